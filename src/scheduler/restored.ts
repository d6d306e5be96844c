/** What a restored job waits for: nothing of it begins before it has been compared with the chain (`reconcile.ts`). */
import type { MinerId } from '../schema/ids.ts';
import type { Job } from '../schema/job.ts';
import { SealpoolError } from '../schema/problem.ts';
import { change, want, without } from './change.ts';
import type { Context } from './context.ts';
import { type EffectRow, reconcilingKey } from './effects.ts';

/** The step that compares. */
export const RECONCILE = 'Reconcile';

/** The job held on its comparison with the chain, if one is under way or wanted; else undefined. `open`: its open effects. */
export function heldForReconcile(ctx: Context, job: Job, open: readonly EffectRow[]): Job | undefined {
  const comparing = open.find(({ want: { kind } }) => kind === 'reconcile');
  if (comparing !== undefined) return change(ctx, job, { waiting: { for: 'effect', effect: comparing.id } });
  if (job.data.reconcile !== true || job.number === null) return undefined;
  const again = change(ctx, job, { data: without(job.data, ['reconcile']) });
  const effect = want(ctx, again, RECONCILE, { kind: 'reconcile', miner: job.miner, number: job.number });
  return change(ctx, again, { waiting: { for: 'effect', effect } });
}

/** Whether sector numbers of this miner may be in messages that the restored database does not know. */
export function numbersHeld(ctx: Context, miner: MinerId): boolean {
  return (ctx.tx.meta(reconcilingKey(miner)) ?? '') !== '';
}

/** Before the comparison nobody knows what giving the job up would cost. */
export function refuseWhileReconciling(ctx: Context, job: Job, force: boolean | undefined): void {
  if (force === true || !ctx.tx.openEffectsOfJob(job.id).some(({ want: { kind } }) => kind === 'reconcile')) return;
  throw new SealpoolError(
    'conflict',
    'reconciling',
    `job ${job.id} comes from a backup and is being compared with the chain, which may have a pre-commit of it; wait for that (sealpool sectors explain ${job.id}), or abort with force to give up whatever is there`,
  );
}
