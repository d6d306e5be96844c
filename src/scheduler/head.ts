/** The chain's head as it was last seen, from which the epoch now follows: an epoch has a fixed length, with or without blocks. */
import type { Context } from './context.ts';

const HEAD = 'head';
/** Length of an epoch where no head was seen yet (mainnet). */
const USUAL_EPOCH_MS = 30_000;

type SeenHead = { readonly epoch: number; readonly atMs: number; readonly epochMs: number };

/** Keeps the head that the node told; `askedMs`: when it was asked, where that is not just now (Unix milliseconds). */
export function setHead(ctx: Context, head: { readonly epoch: number; readonly epochMs: number }, askedMs = ctx.nowMs): void {
  const seen: SeenHead = { epoch: head.epoch, atMs: askedMs, epochMs: head.epochMs };
  ctx.tx.setMeta(HEAD, JSON.stringify(seen));
}

/**
 * After a restart: as if the kept head had been seen now. How long the process was away is the wall clock's word,
 * which may be hours off, and a dev chain stands still while it is down; the node tells the true head within an epoch.
 */
export function holdHead(ctx: Context): void {
  const head = seenHead(ctx);
  if (head !== undefined) setHead(ctx, head);
}

function seenHead(ctx: Context): SeenHead | undefined {
  const text = ctx.tx.meta(HEAD);
  return text === undefined ? undefined : (JSON.parse(text) as SeenHead);
}

/** The epoch now; undefined while no head was ever seen. */
export function epochNow(ctx: Context): number | undefined {
  const head = seenHead(ctx);
  return head === undefined ? undefined : head.epoch + Math.floor(Math.max(0, ctx.nowMs - head.atMs) / head.epochMs);
}

/** Milliseconds that so many epochs take. */
export function epochsToMs(ctx: Context, epochs: number): number {
  return epochs * (seenHead(ctx)?.epochMs ?? USUAL_EPOCH_MS);
}
