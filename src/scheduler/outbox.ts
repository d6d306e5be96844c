/** What became of an effect. A signed message is stored before it is pushed, and is never signed twice. */
import type { EffectId } from '../schema/ids.ts';
import type { Job } from '../schema/job.ts';
import { numberTaken } from './allocate.ts';
import { change, note } from './change.ts';
import type { Context } from './context.ts';
import type { EffectOutcome, EffectRow, MessageField, SignedMessage } from './effects.ts';
import { fail, settle } from './engine.ts';
import { isFinal } from './machine.ts';
import { planOf } from './plans/all.ts';
import { act } from './reports.ts';
import { jitterOf, waitMs } from './retry.ts';
import { assignThreads } from './threads.ts';

/**
 * Stores the signed bytes. False: the effect was withdrawn meanwhile (abort, going back): these bytes must
 * not be pushed. From here on the message counts as on chain until it is provably dead.
 */
export function effectSigned(ctx: Context, id: EffectId, signed: SignedMessage): boolean {
  const effect = ctx.tx.effect(id);
  if (effect === undefined || effect.status !== 'open') return false;
  if (effect.signed !== null) return effect.signed.cid === signed.cid;
  const job = effect.job === null ? undefined : ctx.tx.job(effect.job);
  if (job?.paused === true) return false;
  ctx.tx.updateEffect({ ...effect, signed });
  const field = fieldOf(job, effect);
  if (job !== undefined && field !== undefined) {
    const message = { cid: signed.cid, nonce: signed.nonce, try: effect.try };
    change(ctx, job, { data: { ...job.data, [field]: message } });
    note(ctx, job, { actor: 'engine', kind: 'message', detail: { step: effect.step, ...message, sender: signed.sender } });
  }
  return true;
}

/** The field of the job's data that keeps the effect's message; undefined: it sends none. */
function fieldOf(job: Job | undefined, effect: EffectRow): MessageField | undefined {
  return job === undefined ? undefined : planOf(job.plan).messages[effect.step]?.field;
}

/** Records an outcome and lets the job go on. An effect that is not open any more changes nothing. */
export function effectDone(ctx: Context, id: EffectId, outcome: EffectOutcome): void {
  const effect = ctx.tx.effect(id);
  if (effect === undefined || effect.status !== 'open') return;
  if (outcome.outcome === 'wait') {
    ctx.tx.updateEffect({ ...effect, dueMs: ctx.nowMs + outcome.forMs, lastError: outcome.reason, failures: 0 });
    ctx.signals.add('effects');
    return;
  }
  const job = effect.job === null ? undefined : ctx.tx.job(effect.job);
  if (outcome.outcome === 'error') {
    broke(ctx, effect, job, outcome);
    return;
  }
  const signed = effect.signed === null ? null : { ...effect.signed, pushed: true };
  ctx.tx.updateEffect({ ...effect, status: 'done', signed, lastError: null });
  if (job === undefined || outcome.outcome === 'deleted') return;
  // A withdrawn generation's outcome says nothing about the new one; a pushed message is in the data already.
  if (effect.generation !== job.generation) {
    settle(ctx, job);
    return;
  }
  const known = outcome.outcome === 'number' && outcome.taken ? numberTaken(ctx, job) : job;
  const after = act(ctx, known, planOf(job.plan).applyEffect(known, effect.step, outcome));
  if (isFinal(after.state)) assignThreads(ctx);
}

/** What `Chain.push` says when the nonce went to another message: these bytes can never land. */
const NONCE_TAKEN = 'nonce_taken';

/** A signed message that is provably dead: the job pauses, and a resume signs a new try. */
function died(ctx: Context, effect: EffectRow, job: Job | undefined, message: string): void {
  ctx.tx.updateEffect({ ...effect, status: 'failed', failures: effect.failures + 1, lastError: message });
  const field = fieldOf(job, effect);
  if (job === undefined || field === undefined || job.data[field]?.cid !== effect.signed?.cid) return;
  const data = { ...job.data };
  delete data[field];
  fail(ctx, change(ctx, job, { data }), {
    category: 'permanent',
    code: NONCE_TAKEN,
    message: `${message}; see who else signs for this address, then resume to send it anew`,
  });
}

/**
 * An effect that failed. Temporary: a node that is away is waited for, growing apart, however long that takes;
 * a night without it must not leave every sector to be resumed by hand. Others pause the job.
 */
function broke(ctx: Context, effect: EffectRow, job: Job | undefined, error: Extract<EffectOutcome, { outcome: 'error' }>): void {
  const failures = effect.failures + 1;
  const wait = waitMs(ctx.settings.retry, failures, jitterOf(ctx.ids.hex(4)));
  if (effect.signed !== null && error.code === NONCE_TAKEN) {
    died(ctx, effect, job, error.message);
    return;
  }
  // Signed bytes may be on their way whatever the node says: they are pushed until the chain has them, never replaced.
  const signed = effect.signed !== null;
  const keepsTrying = signed || effect.want.kind === 'delete' || error.category === 'temporary';
  const known = job !== undefined && effect.generation === job.generation && effect.want.kind !== 'delete' ? job : undefined;
  if (keepsTrying) {
    ctx.tx.updateEffect({ ...effect, failures, dueMs: ctx.nowMs + wait, lastError: error.message });
    ctx.signals.add('effects');
    if (known === undefined) return;
    if (error.category !== 'temporary') {
      fail(ctx, known, { category: error.category, code: error.code, message: error.message });
      return;
    }
    change(ctx, known, { error: { category: 'temporary', code: error.code, message: error.message, atMs: ctx.nowMs } });
    note(ctx, known, {
      actor: 'engine',
      kind: 'error',
      from: known.state,
      detail: { step: effect.step, code: error.code, message: error.message, failures, pauses: false },
    });
    return;
  }
  ctx.tx.updateEffect({ ...effect, status: 'failed', failures, lastError: error.message });
  if (known === undefined) return;
  fail(ctx, known, { category: error.category, code: error.code, message: error.message });
}
