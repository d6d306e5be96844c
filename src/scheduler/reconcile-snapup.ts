/** A snapup job of a restored database and what the chain has of its sector. */
import type { Job } from '../schema/job.ts';
import type { Context } from './context.ts';
import type { Reconciled } from './reconcile.ts';
import { adopt, differs, pauseCompared } from './takeover.ts';

/** The job as it goes on; paused where somebody has to look. */
export function reconcileSnapup(ctx: Context, job: Job, seen: Reconciled): Job {
  const { sector } = seen;
  const name = `sector ${job.number} of ${job.miner}`;
  if (sector === null) {
    const message = `the chain has no ${name} any more: it expired or was terminated; abort this job`;
    return pauseCompared(ctx, job, 'permanent', 'not_on_chain', message);
  }
  const { commR, snapCommR } = job.data;
  if (commR !== undefined && (sector.keyCommR ?? sector.commR) !== commR.cid) {
    return differs(ctx, job, `CommR ${sector.keyCommR ?? sector.commR}`);
  }
  // Not upgraded: what the job has sent is followed, what it has not is sent.
  if (sector.keyCommR === null) return job;
  if (snapCommR !== undefined && snapCommR.cid !== sector.commR) return differs(ctx, job, `an update with CommR ${sector.commR}`);
  const { epoch } = seen.messages.find(({ exitCode }) => exitCode === 0) ?? { epoch: sector.activationEpoch };
  const updated = adopt(ctx, job, 'replicaUpdate', epoch, seen);
  if (snapCommR !== undefined && job.data.stored !== undefined) return updated;
  return pauseCompared(
    ctx,
    updated,
    'permanent',
    'proven_already',
    `${name} is upgraded on the chain already: that was finished after the backup was made, and the update's files are in the miner storage; abort this job with force, which deletes nothing there, then check the files by their sector.json and take them over with sealpool import`,
  );
}
