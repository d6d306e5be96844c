/** Attempts that got no further in time. */
import type { Attempt, Job } from '../schema/job.ts';
import type { Context } from './context.ts';
import { taken } from './evidence.ts';
import { lose, strike } from './fleet.ts';

const minutes = (ms: number): string => (ms < 60_000 ? `${Math.round(ms / 1000)} s` : `${Math.round(ms / 60_000)} min`);

/** Takes an attempt away that is overdue: it costs the runner, and the stage goes elsewhere. */
export function takeOverdue(ctx: Context, job: Job, attempt: Attempt): void {
  // Another of the same runner may have cost it all it had.
  if (ctx.tx.attempt(attempt.id)?.status !== 'running') return;
  const sinceMs = attempt.progressMs ?? attempt.grantedMs;
  const further = ctx.settings.progressMs?.[attempt.stage] ?? Number.POSITIVE_INFINITY;
  const silent = ctx.nowMs - sinceMs >= further;
  const reason = silent
    ? `it got no further for ${minutes(ctx.nowMs - sinceMs)} while it sent heartbeats`
    : `it took ${minutes(ctx.nowMs - attempt.grantedMs)} and did not end`;
  lose(ctx, attempt, reason);
  const runner = ctx.tx.runner(attempt.runner);
  if (runner !== undefined) strike(ctx, runner, `${attempt.stage} of ${job.id}: ${reason}`, false, taken(job, attempt));
}
