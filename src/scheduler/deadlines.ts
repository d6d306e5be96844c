/** Until when a job's next message must be executed: by its ticket before the pre-commit, by the deposit after it. */
import type { Job } from '../schema/job.ts';
import { PROVE_COMMIT_WITHIN, isLive } from './live-message.ts';
import { planOf } from './plans/all.ts';
import { TICKET_VALID_EPOCHS } from './ticket.ts';

export type Deadline = {
  /** What must be executed by then. */
  readonly of: 'pre_commit' | 'prove_commit';
  /** Last epoch in which the chain takes it. */
  readonly epoch: number;
};

/** The deadline that counts for the job now; null: none, nothing is due, or a message that decides it has not landed yet. */
export function deadlineOf({ plan, state, data }: Job): Deadline | null {
  if (state === 'Finished' || state === 'Aborted' || planOf(plan).messages['SubmitPC'] === undefined) return null;
  if (data.proveCommit?.landedEpoch !== undefined && isLive(data.proveCommit)) return null;
  if (isLive(data.preCommit) && data.preCommit.landedEpoch !== undefined)
    return { of: 'prove_commit', epoch: data.preCommit.landedEpoch + PROVE_COMMIT_WITHIN };
  return data.ticket === undefined ? null : { of: 'pre_commit', epoch: data.ticket.epoch + TICKET_VALID_EPOCHS };
}
