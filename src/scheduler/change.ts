/** Changes of one job: every one writes the row and its event in the same transaction. */
import { type AttemptId, type EffectId, type RunnerId, sectorName } from '../schema/ids.ts';
import type { JobEvent } from '../schema/event.ts';
import type { Job, JobData } from '../schema/job.ts';
import type { SectorRecord } from '../schema/sector-record.ts';
import type { Context } from './context.ts';
import type { EffectRow, EffectWant } from './effects.ts';
import { placeFreed } from './limits.ts';
import { decidesSector, filesGoMs, isLive, liveMessages } from './live-message.ts';
import { isFinal, next } from './machine.ts';
import { dataBefore } from './plan.ts';
import { planOf } from './plans/all.ts';

/** Appends an event of this job. */
export function note(ctx: Context, job: Job, event: Pick<JobEvent, 'actor' | 'kind'> & Partial<JobEvent>): void {
  ctx.tx.appendEvent({
    job: job.id,
    miner: job.miner,
    runner: event.runner ?? (typeof event.detail?.['runner'] === 'string' ? (event.detail['runner'] as RunnerId) : null),
    generation: job.generation,
    atMs: ctx.nowMs,
    actor: event.actor,
    kind: event.kind,
    from: event.from ?? null,
    to: event.to ?? null,
    event: event.event ?? null,
    detail: event.detail ?? {},
    request: ctx.request ?? null,
  });
  ctx.signals.add('events');
}

/** Writes the job with some fields changed and answers it. */
export function change(ctx: Context, job: Job, fields: Partial<Job>): Job {
  const changed = { ...job, ...fields, updatedMs: ctx.nowMs };
  ctx.tx.updateJob(changed);
  return changed;
}

/** Adds an effect to the outbox, not to be performed before `dueMs`; its try is one more than the last of this step and generation. */
export function want(ctx: Context, job: Job, step: string, effect: EffectWant, dueMs = ctx.nowMs): EffectId {
  const before = ctx.tx.effectsOfJob(job.id).filter((row) => row.step === step && row.generation === job.generation);
  const tries = before.reduce((most, row) => Math.max(most, row.try), 0) + 1;
  return put(ctx, { job: job.id, step, generation: job.generation, try: tries, want: effect, dueMs });
}

/** Adds an effect that is no job's to the outbox. */
export function wantBesideJobs(ctx: Context, step: string, effect: EffectWant): EffectId {
  return put(ctx, { job: null, step, generation: 1, try: 1, want: effect, dueMs: ctx.nowMs });
}

function put(ctx: Context, row: Pick<EffectRow, 'job' | 'step' | 'generation' | 'try' | 'want' | 'dueMs'>): EffectId {
  const id = ctx.ids.next('e') as EffectId;
  const open = { status: 'open', signed: null, failures: 0, lastError: null } as const;
  ctx.tx.insertEffect({ ...row, id, ...open, createdMs: ctx.nowMs, request: ctx.request ?? null });
  ctx.signals.add('effects');
  return id;
}

/** Objects that no state of the job needs any more are deleted by an effect of the same transaction. */
export function discard(ctx: Context, job: Job, keys: readonly string[]): void {
  for (const key of keys) ctx.tx.dropManifest(key);
  if (keys.length > 0) want(ctx, job, 'Delete', { kind: 'delete', keys });
}

/** The data without some fields. */
export function without(data: JobData, fields: readonly (keyof JobData)[]): JobData {
  const kept = { ...data };
  for (const field of fields) delete (kept as Partial<JobData>)[field];
  return kept;
}

/** Takes an event of the table. Retries start again where the job gets further than it was in this run. */
export function transition(ctx: Context, job: Job, event: string, clear: readonly (keyof JobData)[] = []): Job {
  const plan = planOf(job.plan);
  const to = next(plan.table, job.state, event);
  const furthest = Math.max(plan.order.indexOf(job.state), plan.order.indexOf(job.data.furthest ?? ''));
  const further = plan.order.indexOf(to) > furthest;
  const data = { ...without(job.data, clear), ...(further ? { furthest: to } : {}) };
  const changed = change(ctx, job, { state: to, data, retries: further ? 0 : job.retries, error: null });
  note(ctx, changed, { actor: 'engine', kind: 'transition', from: job.state, to, event });
  return isFinal(to) ? finish(ctx, changed) : changed;
}

/** A job that ended lets its thread, reservation, files and pieces' objects go. */
function finish(ctx: Context, job: Job): Job {
  releaseThread(ctx, job);
  const plan = planOf(job.plan);
  const done = job.state === 'Finished';
  if (done && job.number !== null) {
    keepRecord(ctx, job, plan.record(job, ctx.tx.sectorRecord(job.miner, job.number)));
    // They were read against their hashes before the job could finish.
    if (job.data.storedChecked === true) ctx.tx.setChecked(job.miner, job.number, ctx.nowMs, []);
  }
  const ended = change(ctx, job, { waiting: { for: 'nothing' }, reserved: null, paused: false });
  // Nobody looked whether the last message landed: what a new try would need stays, and the record follows the chain.
  if (done && job.data.asked?.skipOnchainCheck === true) {
    followEnded(ctx, ended);
    return ended;
  }
  const kept = Object.entries(job.data.artifacts).filter(([name]) => done && plan.keeps.includes(name));
  const keeps = new Set(kept.map(([, { key }]) => key));
  const keys = Object.values(job.data.artifacts).flatMap(({ key }) => (keeps.has(key) ? [] : [key]));
  discard(ctx, job, [...keys, ...(done ? job.data.pieces.map(({ key }) => key) : [])]);
  return change(ctx, ended, { data: { ...job.data, artifacts: Object.fromEntries(kept) } });
}

/**
 * The chain has what a job that did not see it any more had sent: the record says so from now on. What another job, or an import,
 * has said meanwhile stays. False: too little is left of the job to tell.
 */
export function recordLanded(ctx: Context, job: Job): boolean {
  const before = job.number === null ? undefined : ctx.tx.sectorRecord(job.miner, job.number);
  const told = before !== undefined && (job.data.record === undefined || before.update !== null);
  const record = told || job.data.stored === undefined ? undefined : planOf(job.plan).record(job, before);
  keepRecord(ctx, job, record);
  return told || record !== undefined;
}

/** With whether whoever does Window PoSt sees all its files: a snap tells of the update's only. Files of before that are left elsewhere are told of. */
function keepRecord(ctx: Context, job: Job, record: SectorRecord | undefined): void {
  if (record === undefined) return;
  const { data } = job;
  const { miner, number, files } = record;
  const { declared: before, record: known } = ctx.tx.storedSector(miner, number) ?? {};
  ctx.tx.putSectorRecord(record);
  const former = known?.files ?? null;
  if (former !== null && files !== null && former.storage !== files.storage) {
    const where = `storage ${former.storage}${former.root === '' ? '' : ` (${former.root})`}`;
    const reason = `the files of ${sectorName(miner, number)} are in storage ${files.storage} now; those of before are left in ${where} and only take room there, remove them by hand`;
    note(ctx, job, { actor: 'engine', kind: 'note', from: job.state, detail: { reason, leftIn: former.storage } });
  }
  if (data.stored === undefined) return;
  const told = new Set((data.stored.files ?? []).map(({ path }) => path));
  const all = before !== 'no' || (files?.files ?? []).every(({ path }) => told.has(path));
  ctx.tx.setDeclared(miner, number, data.declared === true && all ? 'yes' : 'no');
}

function releaseThread(ctx: Context, job: Job): void {
  const thread = job.thread === null ? undefined : ctx.tx.thread(job.thread);
  if (thread === undefined || thread.job !== job.id) return;
  ctx.tx.putThread({ ...thread, job: null });
  ctx.signals.add('threads');
}

/** Deletes what a job that was given up with live messages kept. */
export const DELETE_KEPT = 'DeleteKept';
/** Follows the message of a job that has ended. */
const FOLLOW_ENDED = 'FollowEnded';

/**
 * The message that decides what the chain's sector becomes is followed after its job has ended, from its push on. An open effect
 * keeps the sector from other jobs till then (`followedJob`).
 */
export function followEnded(ctx: Context, job: Job): void {
  const decides = decidesSector(job);
  if (decides === undefined || decides.message.landedEpoch !== undefined || job.number === null) return;
  const { field, message, commR } = decides;
  const open = ctx.tx.openEffectsOfJob(job.id);
  if (open.some(({ step, signed }) => step === FOLLOW_ENDED || signed?.cid === message.cid)) return;
  want(ctx, job, FOLLOW_ENDED, { kind: 'landed', miner: job.miner, number: job.number, message: message.cid, what: field, commR });
}

/** Pieces of a job that came to nothing go back to where they were taken from. */
export function giveBack(ctx: Context, job: Job): void {
  for (const piece of job.data.pieces) {
    const row = ctx.tx.piece(piece.id);
    if (row !== undefined && row.job === job.id) ctx.tx.updatePiece({ ...row, job: null });
  }
}

/**
 * Ends a job in Aborted. With a live message its files stay until its pre-commit has expired: till then it may be rescued by hand.
 * Where a live message may still put its data into the sector, its pieces stay with it too.
 */
export function toAborted(ctx: Context, job: Job, actor: string, reason: string): Job {
  const live = liveMessages(job);
  fence(ctx, job, 'the job was aborted');
  const decides = decidesSector(job);
  if (decides === undefined) giveBack(ctx, job);
  const aborted = change(ctx, job, { state: 'Aborted', generation: job.generation + 1 });
  note(ctx, aborted, { actor, kind: 'aborted', from: job.state, to: 'Aborted', detail: { reason, filesKept: live.length > 0 } });
  if (live.length === 0) return finish(ctx, aborted);
  releaseThread(ctx, aborted);
  // What landed has the pieces' data in its sector; they go with the files, once there was time to look at those.
  const pieces = decides?.message.exitCode === 0 ? job.data.pieces : [];
  const keys = [...Object.values(job.data.artifacts), ...pieces].map(({ key }) => key);
  if (keys.length > 0) want(ctx, aborted, DELETE_KEPT, { kind: 'delete', keys }, filesGoMs(ctx, job.data.preCommit));
  if (decides?.message.exitCode === 0) recordLanded(ctx, aborted);
  else followEnded(ctx, aborted);
  return change(ctx, aborted, { waiting: { for: 'nothing' }, reserved: null, paused: false });
}

/** Running attempts are cancelled, open effects that have not signed anything are withdrawn. */
export function fence(ctx: Context, job: Job, reason: string): void {
  for (const attempt of ctx.tx.attemptsOfJob(job.id)) {
    if (attempt.status !== 'running') continue;
    ctx.tx.updateAttempt({ ...attempt, status: 'cancelled', endedMs: ctx.nowMs, failure: reason });
    dropUploads(ctx, job, attempt.id);
    placeFreed(ctx);
    note(ctx, job, {
      actor: 'engine',
      kind: 'attempt',
      detail: { attempt: attempt.id, stage: attempt.stage, runner: attempt.runner, status: 'cancelled', reason },
    });
  }
  withdraw(ctx, job, reason);
}

/** Whatever an attempt that ended without a result may have uploaded goes. */
export function dropUploads(ctx: Context, job: Job, attempt: AttemptId): void {
  const uploads = ctx.tx.uploadsOfAttempt(attempt).map(({ key, uploadId }) => ({ key, uploadId }));
  if (uploads.length > 0) want(ctx, job, 'Delete', { kind: 'delete', keys: uploads.map(({ key }) => key), uploads });
  ctx.tx.deleteUploads(attempt);
}

/** Open effects that have not signed anything are withdrawn; deletions and comparisons with the chain stay. */
export function withdraw(ctx: Context, job: Job, reason: string): void {
  for (const effect of ctx.tx.openEffectsOfJob(job.id)) {
    const stays = effect.want.kind === 'delete' || effect.want.kind === 'reconcile';
    if (!stays && effect.signed === null) ctx.tx.updateEffect({ ...effect, status: 'cancelled', lastError: reason });
  }
}

/**
 * Puts the job back to `state`: what that state and later ones made is dropped and the generation rises, so
 * that late results are refused. A message that is not provably dead stays: there is never a second one, and a
 * pre-commit binds the next CommR.
 */
export function goBack(ctx: Context, job: Job, state: string, actor: string, reason: string): Job {
  fence(ctx, job, reason);
  const plan = planOf(job.plan);
  const kept = dataBefore(plan, job.data, state);
  bind(job, kept);
  const keys = new Set(Object.values(kept.artifacts).map(({ key }) => key));
  discard(
    ctx,
    job,
    Object.values(job.data.artifacts).flatMap(({ key }) => (keys.has(key) ? [] : [key])),
  );
  const back = change(ctx, job, { state, generation: job.generation + 1, data: kept, retries: 0, error: null, reserved: null });
  note(ctx, back, { actor, kind: 'went_back', from: job.state, to: state, detail: { reason } });
  return back;
}

/** A live message stays, and with it what makes the new run give the same replica: the ticket, and the CommR it has to have. */
function bind(job: Job, kept: JobData): void {
  delete kept.boundCommR;
  for (const { field, message } of liveMessages(job)) kept[field] = message;
  if (isLive(kept.preCommit)) {
    const bound = job.data.boundCommR ?? job.data.commR;
    if (bound !== undefined) kept.boundCommR = bound;
    if (job.data.ticket !== undefined) kept.ticket = job.data.ticket;
  }
  const update = job.data.boundCommR ?? job.data.snapCommR;
  if (isLive(kept.replicaUpdate) && update !== undefined) kept.boundCommR = update;
}
