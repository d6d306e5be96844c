/** Fencing: what a runner says about an attempt counts only while it holds it with that lease epoch. */
import type { Attempt, Job } from '../schema/job.ts';
import type { Report, ReportStatus } from '../schema/runner.ts';
import type { Context } from './context.ts';
import type { RunnerRow } from './ports.ts';

export type ReportAnswer = { readonly status: ReportStatus; readonly message: string };

export const answer = (status: ReportStatus, message: string): ReportAnswer => ({ status, message });

/** The attempt that the runner holds with this lease epoch, and its job; else what to answer. */
export function heldAttempt(
  ctx: Context,
  runner: RunnerRow,
  named: Pick<Report, 'attempt' | 'epoch'>,
): { readonly attempt: Attempt; readonly job: Job } | ReportAnswer {
  const attempt = ctx.tx.attempt(named.attempt);
  if (attempt === undefined || attempt.runner !== runner.id)
    return answer('unknown_attempt', `there is no attempt ${named.attempt} of this runner; drop it`);
  const job = ctx.tx.job(attempt.job);
  if (attempt.epoch === named.epoch && (attempt.status === 'done' || attempt.status === 'failed' || attempt.status === 'refused')) {
    return answer('duplicate', `attempt ${attempt.id} was reported before and counts once`);
  }
  if (job === undefined || attempt.status !== 'running' || attempt.epoch !== named.epoch || attempt.generation !== job.generation) {
    const current = ctx.tx.lastEpoch(attempt.job, attempt.stage);
    return answer(
      'lease_lost',
      `attempt ${attempt.id}: lease epoch ${named.epoch} is over (the last granted is ${current}); stop the stage and claim new work`,
    );
  }
  return { attempt, job };
}

/** Whether its runner ended it when it was told to stop. */
export const wasInterrupted = ({ failure }: Attempt): boolean => failure?.startsWith('interrupted: ') === true;
