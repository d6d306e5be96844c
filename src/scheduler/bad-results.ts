/**
 * Results that turned out bad: who is at fault, and from where the work is done again. A rented maker is called
 * a liar only where what it made is refuted by something that is not in doubt itself.
 */
import type { Attempt, Job } from '../schema/job.ts';
import type { Stage } from '../schema/stage.ts';
import { change, discard, goBack } from './change.ts';
import { isOf } from './checkpoints.ts';
import type { Context } from './context.ts';
import { fail, settle } from './engine.ts';
import { taken } from './evidence.ts';
import { strike } from './fleet.ts';
import type { Verdict } from './plan.ts';
import { planOf } from './plans/all.ts';

type BadResults = Extract<Verdict, { verdict: 'bad_results' }>;

/** Of an attempt whose proofs did not hold: its maker, or what they are about, is bad. */
const DOUBTED = 'its proofs do not hold';

/**
 * Of one bad file its maker pays, in whichever generation it was made, and it is made again with all that came
 * after it. Else rented makers are struck and only what they made since is made again (three hours of our own
 * PC1 are not thrown away); without any, everything from `backTo` on.
 */
export function badResults(ctx: Context, job: Job, verdict: BadResults): Job {
  const { reason, madeBy, other } = verdict;
  if (other !== undefined) return otherReplica(ctx, job, verdict, other);
  if (madeBy !== undefined) {
    const rented = isRented(ctx, madeBy);
    if (rented) blame(ctx, job, madeBy, verdict, true);
    return madeAgain(ctx, job, verdict.backTo, reason, !rented || verdict.counted === true);
  }
  const { order } = planOf(job.plan);
  const from = order.indexOf(verdict.backTo);
  const made = ctx.tx
    .attemptsOfJob(job.id)
    .filter((attempt) => countsFor(job, attempt) && attempt.generation === job.generation && order.indexOf(attempt.state) >= from)
    .filter(({ stage, runner }) => stage !== 'Verify' && stage !== verdict.proofsOf && isRented(ctx, runner));
  const doubt = verdict.proofsOf === undefined ? undefined : doubtOf(ctx, job, verdict.proofsOf, made);
  if (doubt?.again === true) return proveAgain(ctx, job, doubt.attempt, reason);
  for (const id of new Set(made.map(({ runner }) => runner))) blame(ctx, job, id, verdict, doubt?.told ?? true);
  const target = made.reduce((least, { state }) => Math.min(least, order.indexOf(state)), order.length);
  if (target < order.length) return madeAgain(ctx, job, order[target] as string, reason, verdict.counted === true);
  return madeAgain(ctx, job, verdict.backTo, reason, true);
}

/**
 * Another CommR than the chain has. What tells a bad replica from a wrong record (ticket, pieces, a bad
 * pre-commit) is a second maker: no two bad replicas have the same CommR, so two that agree are right.
 */
function otherReplica(ctx: Context, job: Job, verdict: BadResults, other: NonNullable<BadResults['other']>): Job {
  const { cid, by, agreed } = other;
  const before = job.data.otherCommRs ?? [];
  const same = before.filter((one) => one.cid === cid);
  const known = change(ctx, job, {
    data: { ...job.data, otherCommRs: [...before.filter((one) => one.cid !== cid || one.by !== by), { cid, by }] },
  });
  if (same.some((one) => one.by !== by || !isRented(ctx, by))) {
    return fail(ctx, known, { category: 'permanent', code: 'replica_differs', message: agreed });
  }
  const { other: _, ...bad } = verdict;
  return badResults(ctx, known, before.length === 0 ? bad : { ...bad, counted: true });
}

/** It gave its result, or was lost and left layers that the job has gone on with. */
function countsFor(job: Job, { id, status }: Attempt): boolean {
  return status === 'done' || Object.values(job.data.artifacts).some(({ key }) => isOf(id, key));
}

function blame(ctx: Context, job: Job, id: string, { reason, blame: cost }: BadResults, told: boolean): void {
  const maker = ctx.tx.runner(id as Attempt['runner']);
  if (maker === undefined || cost === 'none') return;
  const made = ctx.tx
    .attemptsOfJob(job.id)
    .findLast((attempt) => attempt.runner === maker.id && countsFor(job, attempt) && attempt.stage !== 'Verify');
  strike(ctx, maker, `${job.id}: ${reason}`, told && cost !== 'fault', made === undefined ? undefined : taken(job, made));
}

/** `counted`: whoever made it (our own machines) would make the same again at once, so it is a failure of the job. */
function madeAgain(ctx: Context, job: Job, state: string, reason: string, counted: boolean): Job {
  const back = goBack(ctx, job, state, 'engine', reason);
  if (!counted) return settle(ctx, back);
  const kept = change(ctx, back, { retries: job.retries });
  return fail(ctx, kept, { category: 'temporary', code: 'bad_result', message: `${reason}; it is made again by itself` });
}

const isRented = (ctx: Context, runner: string): boolean => ctx.tx.runner(runner as Attempt['runner'])?.trust === 'rented';

type Doubt = {
  readonly attempt: Attempt;
  /** Somebody else proves it first. */
  readonly again: boolean;
  /** Two makers' proofs do not hold: then what they are about is bad. */
  readonly told: boolean;
};

/** Proofs that do not hold: made by a liar, or about a bad replica. Undefined: an own machine made them, so it is the replica. */
function doubtOf(ctx: Context, job: Job, stage: Stage, makers: readonly Attempt[]): Doubt | undefined {
  const proofs = ctx.tx
    .attemptsOfJob(job.id)
    .filter((attempt) => attempt.stage === stage && attempt.state === job.state && attempt.generation === job.generation);
  const attempt = proofs.findLast(({ status }) => status === 'done');
  if (attempt === undefined || !isRented(ctx, attempt.runner)) return undefined;
  // Who made both is at fault either way.
  if (makers.some(({ runner }) => runner === attempt.runner)) return undefined;
  const before = new Set(proofs.filter(({ failure }) => failure === DOUBTED).map(({ runner }) => runner));
  const told = [...before].some((runner) => runner !== attempt.runner);
  return { attempt, told, again: before.size === 0 || (makers.length === 0 && !told) };
}

/** The same challenge goes to another runner, whose answer tells; the first one is struck, not called a liar. */
function proveAgain(ctx: Context, job: Job, attempt: Attempt, reason: string): Job {
  ctx.tx.updateAttempt({ ...attempt, status: 'refused', failure: DOUBTED });
  const maker = ctx.tx.runner(attempt.runner);
  if (maker !== undefined) strike(ctx, maker, `${attempt.stage} of ${job.id}: ${reason}`, false, taken(job, attempt));
  const own = Object.entries(job.data.artifacts).filter(([, { key }]) => isOf(attempt.id, key));
  discard(
    ctx,
    job,
    own.map(([, { key }]) => key),
  );
  const names = new Set(own.map(([name]) => name));
  const artifacts = Object.fromEntries(Object.entries(job.data.artifacts).filter(([name]) => !names.has(name)));
  return settle(ctx, change(ctx, job, { data: { ...job.data, artifacts } }));
}

/** Proofs of the same replica and challenge hold now: whoever's did not has lied. */
export function strikeRefuted(ctx: Context, job: Job, verified: Attempt): void {
  const proofs = ctx.tx
    .attemptsOfJob(job.id)
    .filter(({ state, generation, stage }) => state === verified.state && generation === verified.generation && stage !== 'Verify');
  const honest = proofs.findLast(({ status }) => status === 'done')?.runner;
  const doubted = proofs.filter(({ failure, runner }) => failure === DOUBTED && runner !== honest);
  for (const [id, attempt] of new Map(doubted.map((one) => [one.runner, one]))) {
    const liar = ctx.tx.runner(id);
    if (liar === undefined) continue;
    strike(ctx, liar, `${job.id}: its proofs did not hold, those of another runner for the same sector do`, true, taken(job, attempt));
  }
}
