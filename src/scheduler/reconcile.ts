/**
 * After a restore: the database is older than the chain. Before anything of a job is sent, the chain is looked
 * at (`src/effects/known-sector.ts` waits until no message of the lost database is under way) and what was done
 * meanwhile is taken over. Where that cannot be done, the job pauses and is compared again when it is resumed.
 */
import type { MinerId } from '../schema/ids.ts';
import type { Job } from '../schema/job.ts';
import { change, fence, goBack, note, want, wantBesideJobs, without } from './change.ts';
import type { Context } from './context.ts';
import { forgetDeclared } from './declared.ts';
import { EVER_RESTORED, type EffectOutcome, type EffectRow, reconcilingKey } from './effects.ts';
import { alone, settle } from './engine.ts';
import { isFinal } from './machine.ts';
import { planOf } from './plans/all.ts';
import { reconcileSealer } from './reconcile-sealer.ts';
import { reconcileSnapup } from './reconcile-snapup.ts';
import { RECONCILE } from './restored.ts';
import { assignThreads } from './threads.ts';

/** Set by `sealpool restore` to the time of the restore (Unix milliseconds); empty once its jobs are held. */
export const RESTORED = 'restored_ms';
const BATCH = 200;
const REASON = 'the database was restored from a backup';

export type Reconciled = Extract<EffectOutcome, { outcome: 'reconciled' }>;

/** Once at start. After a restore: ends what ran when the backup was made, and holds what may have gone on since. */
export function holdRestored(ctx: Context): void {
  if ((ctx.tx.meta(RESTORED) ?? '') === '') return;
  forgetDeclared(ctx);
  const miners = new Set<string>();
  const holdOnce = (miner: string): void => {
    if (!miners.has(miner)) holdMiner(ctx, miner as MinerId);
    miners.add(miner);
  };
  // Before its jobs: one that goes on at once must find its miner held.
  for (const miner of Object.keys(ctx.settings.miners)) holdOnce(miner);
  for (let cursor: string | null = null, more = true; more;) {
    const page = ctx.tx.liveJobs(BATCH, cursor);
    for (const job of page.items) {
      holdOnce(job.miner);
      alone(ctx, job, () => hold(ctx, job));
    }
    cursor = page.cursor;
    more = cursor !== null;
  }
  ctx.tx.setMeta(EVER_RESTORED, 'yes');
  ctx.tx.setMeta(RESTORED, '');
}

/** No number is given out and no message sent for the miner while messages of the lost database may be under way. */
function holdMiner(ctx: Context, miner: MinerId): void {
  ctx.tx.setMeta(reconcilingKey(miner), wantBesideJobs(ctx, RECONCILE, { kind: 'reconcile', miner, number: null }));
}

/** Plans whose later states send messages: the lost database may have got there from any state. */
const SENDS: ReadonlySet<string> = new Set(['sealer', 'snapup']);

/** What may not be so any more: the lost database may have used the number for this very job, and moved what was stored. */
const ASKED_AGAIN: Readonly<Record<string, readonly (keyof Job['data'])[]>> = { Empty: ['numberFree'], Persisted: ['storedChecked'] };

function hold(ctx: Context, job: Job): void {
  fence(ctx, job, REASON);
  note(ctx, job, { actor: 'engine', kind: 'note', from: job.state, detail: { reason: REASON } });
  const held = change(ctx, job, { reserved: null, data: without(job.data, ASKED_AGAIN[job.state] ?? []) });
  const compares = job.number !== null && SENDS.has(job.plan);
  if (compares && !ctx.tx.openEffectsOfJob(job.id).some(({ want: { kind } }) => kind === 'reconcile')) {
    want(ctx, held, RECONCILE, { kind: 'reconcile', miner: job.miner, number: job.number });
  }
  settle(ctx, held);
}

/**
 * What a lost database signed has come up only now, and its step is done twice once this one's goes out too: the message is not
 * signed, and the job is compared with the chain again.
 */
export function compareAgain(ctx: Context, effect: EffectRow, lost: Extract<EffectOutcome, { outcome: 'compareAgain' }>): void {
  const reason = `${lost.reason}; nothing is sent before the job has been compared with the chain again`;
  ctx.tx.updateEffect({ ...effect, status: 'cancelled', lastError: reason });
  const job = effect.job === null ? undefined : ctx.tx.job(effect.job);
  if (job === undefined || isFinal(job.state)) return;
  note(ctx, job, { actor: 'chain', kind: 'note', from: job.state, detail: { reason } });
  settle(ctx, change(ctx, job, { data: { ...job.data, reconcile: true } }));
}

/** Takes over what the chain has. The effect is done already; the job may have gone back or ended meanwhile. */
export function reconciled(ctx: Context, effect: EffectRow, seen: Reconciled): void {
  const job = effect.job === null ? undefined : ctx.tx.job(effect.job);
  if (job === undefined) {
    if (effect.job === null && effect.want.kind === 'reconcile') release(ctx, effect.want.miner);
    return;
  }
  if (isFinal(job.state)) return;
  const { preCommit, sector, taken, messages, missing } = seen;
  note(ctx, job, {
    actor: 'chain',
    kind: 'note',
    from: job.state,
    detail: { reason: 'compared with the chain after a restore', preCommit, sector, numberTaken: taken, messages, missing },
  });
  const after = job.plan === 'snapup' ? reconcileSnapup(ctx, job, seen) : reconcileSealer(ctx, job, seen);
  const whole = after.paused ? after : backToMissing(ctx, after, seen.missing);
  if (!whole.paused) settle(ctx, whole);
}

/** What the lost database deleted is made again, from the earliest state on; a job that only has to end needs none of it. */
function backToMissing(ctx: Context, job: Job, missing: readonly string[]): Job {
  const { proveCommit, replicaUpdate, artifacts } = job.data;
  if (proveCommit?.exitCode === 0 || replicaUpdate?.exitCode === 0) return job;
  const { order } = planOf(job.plan);
  const lost = missing.flatMap((name) => artifacts[name] ?? []).map(({ madeIn }) => order.indexOf(madeIn));
  const state = order[Math.min(...lost)];
  if (state === undefined) return job;
  return goBack(ctx, job, state, 'engine', `${missing.join(', ')} were deleted after the backup was made`);
}

function release(ctx: Context, miner: MinerId): void {
  ctx.tx.setMeta(reconcilingKey(miner), '');
  ctx.signals.add('effects');
  assignThreads(ctx);
}
