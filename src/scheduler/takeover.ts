/** Taking over, after a restore, what messages of a lost database did on the chain. */
import type { ErrorCategory, Job } from '../schema/job.ts';
import { change, note } from './change.ts';
import type { Context } from './context.ts';
import type { EffectOutcome, MessageField } from './effects.ts';
import { fail } from './engine.ts';
import { planOf } from './plans/all.ts';
import { foundMessage } from './plans/made.ts';

type Seen = Extract<EffectOutcome, { outcome: 'reconciled' }>;

/**
 * The job's message of this kind counts as landed, since the chain shows its work: ours where that is the one
 * that landed, else one that nobody here knows, and then ours is not sent any more. `epoch`: when it was done.
 */
export function adopt(ctx: Context, job: Job, field: MessageField, epoch: number, seen: Seen): Job {
  const known = job.data[field];
  if (known?.exitCode === 0) return job;
  const landed = seen.messages.find(({ cid, exitCode }) => cid === known?.cid && exitCode === 0);
  const message = known !== undefined && landed !== undefined ? { ...known, landedEpoch: landed.epoch, exitCode: 0 } : foundMessage(epoch);
  if (message.found === true) recall(ctx, job, field);
  const adopted = change(ctx, job, { data: { ...job.data, [field]: message } });
  note(ctx, adopted, { actor: 'chain', kind: 'message', detail: { field, ...message } });
  return adopted;
}

/** A message of ours whose work another one did: its nonce is spent, or it could only fail on the chain. */
function recall(ctx: Context, job: Job, field: MessageField): void {
  const { messages } = planOf(job.plan);
  for (const effect of ctx.tx.openEffectsOfJob(job.id)) {
    if (messages[effect.step]?.field !== field) continue;
    ctx.tx.updateEffect({ ...effect, status: 'cancelled', lastError: 'another message had done its work before the restore' });
  }
}

/** Pauses; the job is compared with the chain again when it is resumed. */
export function pauseCompared(ctx: Context, job: Job, category: ErrorCategory, code: string, message: string): Job {
  return fail(ctx, change(ctx, job, { data: { ...job.data, reconcile: true } }), { category, code, message });
}

/** The chain has another replica under this number than the restored database can make. */
export function differs(ctx: Context, job: Job, what: string): Job {
  return pauseCompared(
    ctx,
    job,
    'critical',
    'chain_differs',
    `the chain has ${what} for sector ${job.number} of ${job.miner} and the restored database has another; abort this job with force, which deletes nothing in the miner storage, then look for the sector's files there and take them over with sealpool import`,
  );
}
