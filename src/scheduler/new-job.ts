/** Jobs come into being here: by an operator's request, or by a sealing_thread that makes its own. */
import type { JobId, MinerId } from '../schema/ids.ts';
import type { Asked, Job } from '../schema/job.ts';
import type { SealProof } from '../schema/seal-proof.ts';
import { note } from './change.ts';
import type { Context } from './context.ts';
import type { Plan } from './plan.ts';

export type NewJob = {
  readonly plan: Plan;
  readonly miner: MinerId;
  readonly sealProof: SealProof;
  readonly asked?: Asked | undefined;
};

/** A job in Empty that waits for a thread. One that was asked for by number has its sector at once: no second job takes it. */
export function insertJob(ctx: Context, { plan, miner, sealProof, asked }: NewJob, actor: string): Job {
  const job: Job = {
    id: ctx.ids.next('j') as JobId,
    plan: plan.name,
    miner,
    number: asked?.number ?? null,
    state: 'Empty',
    generation: 1,
    paused: false,
    error: null,
    retries: 0,
    waiting: { for: 'thread' },
    thread: null,
    reserved: null,
    createdMs: ctx.nowMs,
    updatedMs: ctx.nowMs,
    data: { network: ctx.settings.network, sealProof, pieces: [], ...(asked === undefined ? {} : { asked }), artifacts: {} },
  };
  ctx.tx.insertJob(job);
  note(ctx, job, {
    actor,
    kind: 'created',
    to: 'Empty',
    detail: { plan: plan.name, miner, sealProof, ...(asked === undefined ? {} : { asked }) },
  });
  return job;
}
