/** What became of an effect. A signed message is stored before it is pushed, and is never signed twice. */
import type { EffectId } from '../schema/ids.ts';
import type { Job } from '../schema/job.ts';
import { numberTaken } from './allocate.ts';
import { DELETE_KEPT, change, note, without } from './change.ts';
import type { Context } from './context.ts';
import type { EffectOutcome, EffectRow, MessageField, SignedMessage } from './effects.ts';
import { endedJobHears, endedMessageDied } from './ended.ts';
import { declaredBesideJobs } from './declared.ts';
import { alone, expireTicket, fail, settle } from './engine.ts';
import { epochNow } from './head.ts';
import { PROVE_COMMIT_WITHIN, filesGoMs } from './live-message.ts';
import { isFinal } from './machine.ts';
import { planOf } from './plans/all.ts';
import { compareAgain, reconciled } from './reconcile.ts';
import { act } from './reports.ts';
import { jitterOf, retryOf, waitMs } from './retry.ts';
import { moveDeclared } from './storage-moves.ts';
import { tellStuck } from './stuck-message.ts';
import { assignFreed } from './threads.ts';
import { ticketTooOld } from './ticket.ts';

/**
 * Stores the signed bytes. False: the effect was withdrawn meanwhile (abort, going back): these bytes must
 * not be pushed. From here on the message counts as on chain until it is provably dead.
 */
export function effectSigned(given: Context, id: EffectId, signed: SignedMessage): boolean {
  const effect = given.tx.effect(id);
  if (effect === undefined || effect.status !== 'open') return false;
  const ctx = asWanted(given, effect);
  if (effect.signed !== null) return effect.signed.cid === signed.cid;
  const job = effect.job === null ? undefined : ctx.tx.job(effect.job);
  if (job !== undefined && (job.paused || isFinal(job.state) || effect.generation !== job.generation)) return false;
  if (overtaken(ctx, effect, job)) return false;
  ctx.tx.updateEffect({ ...effect, signed });
  const field = fieldOf(job, effect);
  if (job !== undefined && field !== undefined) {
    const message = { cid: signed.cid, nonce: signed.nonce, try: effect.try };
    change(ctx, job, { data: { ...job.data, [field]: message } });
    note(ctx, job, { actor: 'engine', kind: 'message', detail: { step: effect.step, ...message, sender: signed.sender } });
  }
  return true;
}

/** What comes of an effect says that the request did which wanted it. */
function asWanted(ctx: Context, { request }: EffectRow): Context {
  return request === null ? ctx : { ...ctx, request };
}

/** The field of the job's data that keeps the message that the effect sends or follows; undefined: neither. */
function fieldOf(job: Job | undefined, effect: EffectRow): MessageField | undefined {
  if (effect.want.kind === 'landed') return effect.want.what;
  return job === undefined ? undefined : planOf(job.plan).messages[effect.step]?.field;
}

/** True when the ticket became too old while the message waited to be signed: the effect is withdrawn, the job told. */
function overtaken(ctx: Context, effect: EffectRow, job: Job | undefined): boolean {
  const { want, step, signed } = effect;
  if (want.kind !== 'message' || signed !== null || job === undefined || job.paused || effect.generation !== job.generation) return false;
  const tooOld = ticketTooOld(ctx, job, { do: 'effect', step, want });
  if (tooOld === undefined) return false;
  ctx.tx.updateEffect({ ...effect, status: 'cancelled', lastError: tooOld });
  settle(ctx, job);
  return true;
}

/** Records an outcome and lets the job go on. An effect that is not open any more changes nothing. */
export function effectDone(given: Context, id: EffectId, outcome: EffectOutcome): void {
  const effect = given.tx.effect(id);
  if (effect === undefined || effect.status !== 'open') return;
  const ctx = asWanted(given, effect);
  const job = effect.job === null ? undefined : ctx.tx.job(effect.job);
  if (job === undefined) ended(ctx, effect, undefined, outcome);
  else if (!alone(ctx, job, () => ended(ctx, effect, job, outcome))) leftOver(ctx, id, outcome);
  assignFreed(ctx);
}

/** The job broke over this outcome: a push that is known stays known, and what is still open is not repeated at once. */
function leftOver(ctx: Context, id: EffectId, outcome: EffectOutcome): void {
  const effect = ctx.tx.effect(id);
  if (effect === undefined || effect.status !== 'open') return;
  const lastError = 'its job was stopped by an error inside Sealpool';
  if (effect.signed !== null && outcome.outcome === 'pushed') {
    ctx.tx.updateEffect({ ...effect, status: 'done', signed: { ...effect.signed, pushed: true }, lastError });
    return;
  }
  const failures = effect.failures + 1;
  const wait = waitMs(retryOf(ctx.settings, effect.step), failures, jitterOf(ctx.ids.hex(4)));
  ctx.tx.updateEffect({ ...effect, failures, dueMs: ctx.nowMs + wait, lastError });
}

function ended(ctx: Context, effect: EffectRow, job: Job | undefined, outcome: EffectOutcome): void {
  if (outcome.outcome === 'wait') {
    ctx.tx.updateEffect({ ...effect, dueMs: ctx.nowMs + outcome.forMs, lastError: outcome.reason, failures: 0 });
    ctx.signals.add('effects');
    if (!overtaken(ctx, effect, job) && job !== undefined) tellStuck(ctx, effect, job, outcome);
    return;
  }
  if (outcome.outcome === 'error') {
    broke(ctx, effect, job, outcome);
    return;
  }
  if (outcome.outcome === 'compareAgain') {
    compareAgain(ctx, effect, outcome);
    return;
  }
  const signed = effect.signed === null ? null : { ...effect.signed, pushed: true };
  ctx.tx.updateEffect({ ...effect, status: 'done', signed, lastError: null });
  if (outcome.outcome === 'reconciled') {
    reconciled(ctx, effect, outcome);
    return;
  }
  if (job === undefined) {
    declaredBesideJobs(ctx, effect);
    moveDeclared(ctx, effect);
    return;
  }
  if (outcome.outcome === 'deleted') return;
  if (job.state === 'Aborted' && outcome.outcome === 'pushed') keepLonger(ctx, job);
  if (isFinal(job.state)) {
    endedJobHears(ctx, job, effect, outcome);
    return;
  }
  // A withdrawn generation's outcome says nothing about the new one; a pushed message is in the data already.
  if (effect.generation !== job.generation) {
    settle(ctx, job);
    return;
  }
  if (preCommitExpired(ctx, effect, outcome)) {
    const message = `pre-commit ${job.data.preCommit?.cid} landed and expired unproven: its deposit is gone and nothing of the sector is left on the chain; pledge a new sector`;
    fail(ctx, change(ctx, job, { data: without(job.data, ['preCommit']) }), { category: 'abort', code: 'pre_commit_expired', message });
    return;
  }
  const known = outcome.outcome === 'number' && outcome.taken ? numberTaken(ctx, job) : job;
  act(ctx, known, planOf(job.plan).applyEffect(known, effect.step, outcome));
}

/** It landed, the chain shows neither it nor a sector, and its time is over. */
function preCommitExpired(ctx: Context, { want }: EffectRow, outcome: EffectOutcome): boolean {
  if (want.kind !== 'landed' || want.what !== 'preCommit' || outcome.outcome !== 'landed') return false;
  const now = epochNow(ctx);
  return outcome.exitCode === 0 && !outcome.onChain && now !== undefined && now > outcome.epoch + PROVE_COMMIT_WITHIN;
}

/** A message of a job that was given up went out only now: what was kept for it is kept from now on. */
function keepLonger(ctx: Context, job: Job): void {
  for (const kept of ctx.tx.openEffectsOfJob(job.id)) {
    if (kept.step === DELETE_KEPT) ctx.tx.updateEffect({ ...kept, dueMs: Math.max(kept.dueMs, filesGoMs(ctx, undefined)) });
  }
}

/** What `Chain.push` says when the nonce went to another message: these bytes can never land. */
const NONCE_TAKEN = 'nonce_taken';

/** A message that is provably dead: the job pauses, and a resume signs a new try. */
function died(ctx: Context, effect: EffectRow, job: Job | undefined, message: string): void {
  ctx.tx.updateEffect({ ...effect, status: 'failed', failures: effect.failures + 1, lastError: message });
  const field = fieldOf(job, effect);
  const cid = effect.want.kind === 'landed' ? effect.want.message : effect.signed?.cid;
  if (job === undefined || field === undefined || cid === undefined || job.data[field]?.cid !== cid) return;
  if (isFinal(job.state)) {
    endedMessageDied(ctx, job, cid, message);
    return;
  }
  fail(ctx, change(ctx, job, { data: without(job.data, [field]) }), {
    category: 'permanent',
    code: NONCE_TAKEN,
    message: `${message}; see who else signs for this address, then resume to send it anew`,
  });
}

/** After so many epochs no reorg brings anything back. */
const FINALITY_EPOCHS = 900;
/** Where the seed of the pre-commit is drawn. */
const SEED_STATE = 'PersistanceSubmitted';

/** Whether its time is over by the chain's clock with one finality to spare: then the message and the sector are looked at once more. */
function mayHaveExpired(ctx: Context, { data }: Job): boolean {
  const now = epochNow(ctx);
  const landed = data.preCommit?.landedEpoch;
  return now !== undefined && landed !== undefined && now > landed + PROVE_COMMIT_WITHIN + FINALITY_EPOCHS;
}

/**
 * The chain shows no pre-commit although its message had landed. Where the seed is drawn, and once it must have expired, the
 * message is followed once more, and decides; else a proof is at stake, so that only an operator throws it away.
 */
function preCommitGone(ctx: Context, job: Job, message: string): void {
  const { preCommit } = job.data;
  const code = 'no_pre_commit';
  if (preCommit === undefined || (job.state !== SEED_STATE && !mayHaveExpired(ctx, job))) {
    const then = `it is tried again by itself; when the job pauses over this and the chain has no sector ${job.number} either, resume at ${SEED_STATE}`;
    fail(ctx, job, { category: 'temporary', code, message: `${message}; ${then}` });
    return;
  }
  const { landedEpoch: _landed, exitCode: _exit, ...sent } = preCommit;
  const then = `message ${sent.cid} is looked for again by itself; when the job pauses over this, compare the sector on the chain, then resume`;
  fail(ctx, change(ctx, job, { data: { ...job.data, preCommit: sent } }), { category: 'temporary', code, message: `${message}; ${then}` });
}

/**
 * An effect that failed. Temporary: a node that is away is waited for, growing apart, however long that takes;
 * a night without it must not leave every sector to be resumed by hand. Others pause the job.
 */
function broke(ctx: Context, effect: EffectRow, job: Job | undefined, error: Extract<EffectOutcome, { outcome: 'error' }>): void {
  const failures = effect.failures + 1;
  const wait = waitMs(retryOf(ctx.settings, effect.step), failures, jitterOf(ctx.ids.hex(4)));
  if (error.code === NONCE_TAKEN && (effect.signed !== null || effect.want.kind === 'landed')) {
    died(ctx, effect, job, error.message);
    return;
  }
  // Signed bytes may be on their way whatever the node says: they are pushed until the chain has them, never replaced.
  const signed = effect.signed !== null;
  // A job that was not compared with the chain after a restore must not go on.
  const { kind } = effect.want;
  // Nobody resumes a job that has ended: its message is followed until the chain decides.
  const follows = kind === 'landed' && job !== undefined && isFinal(job.state);
  // Nor is there anybody to resume what no job wanted.
  const besides = kind === 'delete' || kind === 'reconcile' || (kind === 'declare' && job === undefined);
  const keepsTrying = signed || follows || besides || error.category === 'temporary';
  const known =
    job !== undefined && effect.generation === job.generation && effect.want.kind !== 'delete' && !isFinal(job.state) ? job : undefined;
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
    overtaken(ctx, effect, ctx.tx.job(known.id));
    return;
  }
  ctx.tx.updateEffect({ ...effect, status: 'failed', failures, lastError: error.message });
  if (known === undefined) return;
  if (error.code === 'ticket_expired') {
    settle(ctx, expireTicket(ctx, known, error.message));
    return;
  }
  if (error.code === 'no_pre_commit' && known.data.preCommit !== undefined && known.data.preCommit.found !== true) {
    preCommitGone(ctx, known, error.message);
    return;
  }
  fail(ctx, known, { category: error.category, code: error.code, message: error.message });
}
