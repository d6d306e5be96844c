/**
 * Results that are being taken. Between the transaction that checks a report and the one that applies it the object store puts the
 * files together, for minutes where they are large. Meanwhile the runner has done its part: that its process ends, or starts anew,
 * costs nothing.
 */
import type { AttemptId } from '../schema/ids.ts';
import type { Attempt } from '../schema/job.ts';
import type { Context } from './context.ts';
import { leaseMs } from './grants.ts';

/** Longer than a store takes. */
const MOST_MS = 10 * 60_000;

/** Its files are put together from now on. Its lease holds as long, whatever becomes of its runner. */
export function beginTaking(ctx: Context, id: AttemptId): void {
  const attempt = ctx.tx.attempt(id);
  if (attempt?.status !== 'running') return;
  const takingUntilMs = ctx.nowMs + MOST_MS;
  ctx.tx.updateAttempt({ ...attempt, takingUntilMs, leaseUntilMs: Math.max(attempt.leaseUntilMs, takingUntilMs) });
}

/** The store could not: from now on its lease is as after a heartbeat, so that its runner can report again. */
export function stopTaking(ctx: Context, id: AttemptId): void {
  const attempt = ctx.tx.attempt(id);
  if (attempt?.status !== 'running' || attempt.takingUntilMs === undefined) return;
  ctx.tx.updateAttempt({ ...attempt, takingUntilMs: undefined, leaseUntilMs: ctx.nowMs + leaseMs(ctx, attempt.stage) });
}

/** Once at start: what the process before was taking its runners report again. */
export function stopTakingAll(ctx: Context): void {
  for (const { id } of ctx.tx.takingAttempts()) stopTaking(ctx, id);
}

/** Whether its result is being taken now. */
export const isTaken = ({ nowMs }: Context, { takingUntilMs = 0 }: Attempt): boolean => takingUntilMs > nowMs;
