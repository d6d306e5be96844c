/** How moves stand: what a runner may be doing for them just now, which path they keep closed, and when there is nothing left to do. */
import { type MinerId, sectorName } from '../schema/ids.ts';
import type { Context } from './context.ts';
import { audit } from './happened.ts';
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

/** The storage that a sector's record names. */
export function recordedIn(ctx: Pick<Context, 'tx'>, { miner, number }: { miner: MinerId; number: number }): string | undefined {
  return ctx.tx.sectorRecord(miner, number)?.files?.storage;
}

/**
 * The path where nothing of the sector may be put, since a move removes what it leaves behind; undefined: there is none. The new path is
 * free while a copy is not begun or broken off, and once no runner reaches the old one: nothing is removed without it, and whoever takes the place ends the move.
 */
export function closedBy(ctx: Context, move: StorageMove): string | undefined {
  if (move.phase === 'failed') return undefined;
  if (recordedIn(ctx, move) === move.to) return move.from;
  const reached = ctx.tx
    .storagePaths()
    .some(({ runner, path }) => path.id === move.from && path.problem === null && ctx.tx.runner(runner)?.status !== 'banned');
  // A copy that nobody makes now waits for the very job that asks for a place.
  return (reached && move.phase !== 'copy') || inHand(ctx, move) ? move.to : undefined;
}

/** A sector's files are put into a path that a move was to fill: that has nothing to do any more. */
export function placeTaken(ctx: Context, sector: { readonly miner: MinerId; readonly number: number }, storage: string): void {
  const move = ctx.tx.storageMove(sector.miner, sector.number);
  if (move === undefined || move.phase === 'failed' || move.to !== storage || recordedIn(ctx, move) === storage) return;
  end(ctx, move, `storage ${move.from} cannot be reached, and a job puts the files into ${storage}`);
}

/**
 * Ends moves out of, or into, a path that no runner tells of any more; one that is away still has its paths told. Files that are in the
 * new path stay there. Answers the moves that are left.
 */
export function endStranded(ctx: Context): readonly StorageMove[] {
  const moves = ctx.tx.storageMoves();
  if (moves.length === 0) return moves;
  const told = new Set(ctx.tx.storagePaths().map(({ path }) => path.id));
  return moves.filter((move) => {
    const gone = !told.has(move.from) ? move.from : !told.has(move.to) && recordedIn(ctx, move) !== move.to ? move.to : undefined;
    if (gone !== undefined) end(ctx, move, `no runner has storage ${gone} any more`);
    return gone === undefined;
  });
}

function end(ctx: Context, { miner, number, from, to }: StorageMove, why: string): void {
  ctx.tx.deleteStorageMove(miner, number);
  audit(ctx, 'engine', 'storage.move_ended', { sector: sectorName(miner, number), from, to, why });
}
