/** What is known of a step of a move that a runner was asked for. */
import type { Context } from './context.ts';
import type { StorageMove } from './storage-rows.ts';

/** A step that was never answered, or that failed, is asked for again after so long at least, and after what a slow disk takes. */
const FORGOTTEN_MS = 3_600_000;
const SLOW_BYTES_PER_S = 5_000_000;

/** Whether it is too early to ask for the step again: of the process that was asked for it, it is. */
export function underWay(ctx: Context, { asked, sizeBytes }: Pick<StorageMove, 'asked' | 'sizeBytes'>): boolean {
  if (asked === null) return false;
  if (asked.bootId !== (ctx.tx.runner(asked.runner)?.bootId ?? '')) return false;
  return ctx.nowMs - asked.atMs < FORGOTTEN_MS + (1_000 * sizeBytes) / SLOW_BYTES_PER_S;
}

/** Whether a runner may be doing the step just now. */
export function inHand(ctx: Context, move: Pick<StorageMove, 'asked' | 'sizeBytes'>): boolean {
  return move.asked?.failed !== true && underWay(ctx, move);
}
