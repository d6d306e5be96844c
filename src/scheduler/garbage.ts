/**
 * Which of the listed objects and uploads nobody needs. Judged and recorded in one transaction, and only what can never be needed
 * again is judged so: keys contain the attempt, an attempt that has ended never runs again, and a job names no key but of one that
 * ran in the same transaction. So a listing may be as old as it likes, and the deletion may come as late as it likes.
 */
import type { CollectRules, GarbageReason, Judged } from '../schema/garbage.ts';
import type { AttemptId, JobId, PieceId } from '../schema/ids.ts';
import type { Job } from '../schema/job.ts';
import { note, want, wantBesideJobs } from './change.ts';
import type { Context } from './context.ts';
import { type EffectWant, reconcilingKey } from './effects.ts';
import { audit } from './happened.ts';
import { type JobKeys, keysOf, mayStillMake } from './live-keys.ts';
import type { ListedObject, ListedUpload } from './ports.ts';

/** A page of a listing. */
export type Listed = { readonly objects: readonly ListedObject[]; readonly uploads: readonly ListedUpload[] };

/** What events of a removal say. */
const REMOVE = 'objects.remove';
/** The step of the effects that remove what was collected. */
export const COLLECT = 'Collect';
/** What every runner fetches to measure its network: never garbage. */
const KEPT_PROBE = 'probes/down-';

type Verdict = { readonly reason: GarbageReason; readonly job: JobId | null } | 'stays';

/** Whether a restore is not over yet: what the lost database had is not known before. */
export function collectingHeld(ctx: Context): boolean {
  return Object.keys(ctx.settings.miners).some((miner) => (ctx.tx.meta(reconcilingKey(miner as Job['miner'])) ?? '') !== '');
}

/** What of a page is garbage, `unknown` included. Reads only. */
export function judge(ctx: Context, { objects, uploads }: Listed, rules: CollectRules): Judged[] {
  const jobs = new Map<string, JobKeys | undefined>();
  const keys = (job: Job): JobKeys => {
    const known = jobs.get(job.id) ?? keysOf(ctx, job);
    jobs.set(job.id, known);
    return known;
  };
  const judged: Judged[] = [];
  for (const { key, sizeBytes, madeMs } of objects) {
    if (madeMs > ctx.nowMs - rules.graceMs) continue;
    const verdict = standing(ctx, key, keys);
    if (verdict !== 'stays') judged.push({ what: 'object', key, sizeBytes, sinceMs: Math.floor(madeMs), ...verdict });
  }
  for (const { key, uploadId, sizeBytes, begunMs } of uploads) {
    const ageMs = ctx.nowMs - begunMs;
    if (ageMs <= Math.min(rules.graceMs, rules.uploadAgeMs)) continue;
    const verdict = standing(ctx, key, keys, uploadId);
    const old = ageMs > rules.uploadAgeMs;
    if (verdict !== 'stays' && (old || verdict.reason === 'attempt_ended'))
      judged.push({ what: 'upload', key, uploadId, sizeBytes, sinceMs: Math.floor(begunMs), ...uploadVerdict(ctx, key, verdict) });
  }
  return judged;
}

/** Judges a page and writes down, in the same transaction, that what is garbage goes. Answers what was judged. */
export function collect(ctx: Context, listed: Listed, rules: CollectRules): Judged[] {
  const judged = judge(ctx, listed, rules);
  if (collectingHeld(ctx)) return judged;
  const byJob = new Map<JobId | null, Judged[]>();
  for (const item of judged) {
    if (item.reason === 'unknown' && !rules.unknown) continue;
    byJob.set(item.job, [...(byJob.get(item.job) ?? []), item]);
  }
  for (const [id, items] of byJob) remove(ctx, id === null ? undefined : ctx.tx.job(id), items);
  return judged;
}

function remove(ctx: Context, job: Job | undefined, items: readonly Judged[]): void {
  const keys = items.flatMap(({ what, key }) => (what === 'object' ? [key] : []));
  const uploads = items.flatMap(({ key, uploadId }) => (uploadId === undefined ? [] : [{ key, uploadId }]));
  const effect: EffectWant = { kind: 'delete', keys, ...(uploads.length === 0 ? {} : { uploads }) };
  for (const key of keys) ctx.tx.dropManifest(key);
  const sizeBytes = items.reduce((sum, item) => sum + item.sizeBytes, 0);
  const told = { objects: keys.length, uploads: uploads.length, sizeBytes, keys: items.slice(0, 20).map(({ key }) => key) };
  if (job !== undefined) {
    want(ctx, job, COLLECT, effect);
    const reason = 'files that the job does not need are removed';
    note(ctx, job, { actor: 'engine', kind: 'note', from: job.state, detail: { action: REMOVE, reason, ...told } });
    return;
  }
  wantBesideJobs(ctx, COLLECT, effect);
  audit(ctx, 'engine', REMOVE, { reason: 'no job needs them', ...told });
}

/** Whether anything needs the key, or may come to. */
function standing(ctx: Context, key: string, keys: (job: Job) => JobKeys, uploadId?: string): Verdict {
  // A bucket may hold anything: what does not look like a key of ours is nobody's that we know.
  const [kind, owner, id] = key.split('/');
  if (kind === 'jobs' && owner !== undefined && id !== undefined) return ofJob(ctx, key, [owner, id], keys, uploadId);
  if (kind === 'pieces') return ofPiece(ctx, key, id ?? owner ?? '', keys);
  if (kind === 'probes' && owner !== undefined) return key.startsWith(KEPT_PROBE) ? 'stays' : { reason: 'probe', job: null };
  return { reason: 'unknown', job: null };
}

function ofJob(
  ctx: Context,
  key: string,
  [jobId, attemptId]: readonly [string, string],
  keys: (job: Job) => JobKeys,
  uploadId: string | undefined,
): Verdict {
  const job = ctx.tx.job(jobId as JobId);
  if (job === undefined) return { reason: 'unknown', job: null };
  // One that a lost database granted is not known here, and never runs here.
  const attempt = ctx.tx.attempt(attemptId as AttemptId);
  if (attempt !== undefined && mayStillMake(attempt)) return 'stays';
  const { live, leaving, aborting } = keys(job);
  // An object is whole before a job names it: an upload that is still open then was opened twice, and never ends.
  if (uploadId === undefined ? live.has(key) || leaving.has(key) : aborting.has(uploadId)) return 'stays';
  return { reason: attempt === undefined || attempt.job === job.id ? 'attempt_ended' : 'unknown', job: job.id };
}

/** A piece is needed while it waits, and as long as the job that took it goes on or keeps it. */
function ofPiece(ctx: Context, key: string, id: string, keys: (job: Job) => JobKeys): Verdict {
  const row = ctx.tx.piece(id as PieceId);
  if (row === undefined || row.key !== key) return { reason: 'unknown', job: null };
  const job = row.job === null ? undefined : ctx.tx.job(row.job);
  if (job === undefined) return 'stays';
  const { live, leaving } = keys(job);
  return live.has(key) || leaving.has(key) || !job.data.pieces.some((piece) => piece.key === key)
    ? 'stays'
    : { reason: 'job_ended', job: job.id };
}

/** An unfinished upload of a piece of ours is nobody's: its sender has no answer, and sends it again. */
function uploadVerdict(ctx: Context, key: string, verdict: Exclude<Verdict, 'stays'>): Exclude<Verdict, 'stays'> {
  const [kind, owner = ''] = key.split('/');
  const ours = kind === 'pieces' && Object.hasOwn(ctx.settings.miners, owner);
  return verdict.reason === 'unknown' && ours ? { reason: 'unfinished', job: null } : verdict;
}
