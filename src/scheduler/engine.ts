/**
 * One transaction: read → decide → write → outbox. `settle` is the heart: it takes every event whose
 * condition holds, and leaves the job waiting for exactly one thing (`job.waiting`).
 */
import type { Job, JobError } from '../schema/job.ts';
import { change, fence, goBack, note, toAborted, transition, want, without } from './change.ts';
import type { Context } from './context.ts';
import { SealpoolError } from '../schema/problem.ts';
import { acquirePieces, allocateNumber, allowsCc, threadSettings } from './allocate.ts';
import { pickSector } from './existing.ts';
import { isFinal } from './machine.ts';
import { Invariant, type Todo } from './plan.ts';
import { runnerWanted } from './placement/rank.ts';
import { planOf } from './plans/all.ts';
import { heldForReconcile, numbersHeld } from './restored.ts';
import { jitterOf, retryOf, waitMs } from './retry.ts';
import { TICKET_REPAIRS, fallsBack, ticketTooOld } from './ticket.ts';

/** What waits for deals, or for another job to end, looks again after about eight seconds. */
const UNCOUNTED_WAITS = 4;

/** Most events one settle may take: more is a table that goes round in circles. */
const MOST_STEPS = 64;

/** Brings the job as far as it gets without the outside, and records what it then waits for. */
export function settle(ctx: Context, job: Job): Job {
  let current = job;
  for (let step = 0; step < MOST_STEPS; step += 1) {
    const stop = standing(ctx, current);
    if (stop !== undefined) return stop;
    const todo = planOf(current.plan).todo(current);
    if (todo.do === 'advance') {
      current = transition(ctx, current, todo.event, todo.clear);
      continue;
    }
    const tooOld = ticketTooOld(ctx, current, todo);
    const moved = tooOld === undefined ? prepare(ctx, current, todo) : expireTicket(ctx, current, tooOld);
    if (moved === undefined) return await_(ctx, current, todo);
    if (moved.waiting.for === 'retry') return moved;
    current = moved;
  }
  throw new Invariant(`job ${job.id} took ${MOST_STEPS} events in a row; its plan's table or todo goes round in circles`);
}

/** Why the job stays where it is, if it does: final, paused, without a thread, or something is under way. */
function standing(ctx: Context, job: Job): Job | undefined {
  if (isFinal(job.state)) return job;
  if (job.paused) return job.waiting.for === 'operator' ? job : change(ctx, job, { waiting: { for: 'operator' } });
  const effects = ctx.tx.openEffectsOfJob(job.id);
  const compared = heldForReconcile(ctx, job, effects);
  if (compared !== undefined) return compared;
  if (job.thread === null) return job.waiting.for === 'thread' ? job : change(ctx, job, { waiting: { for: 'thread' } });
  const running = ctx.tx.attemptsOfJob(job.id).find(({ status }) => status === 'running');
  if (running !== undefined) {
    return change(ctx, job, { waiting: { for: 'stage', stage: running.stage, attempt: running.id } });
  }
  const open = effects.find(({ want: { kind }, step }) => kind !== 'delete' && belongs(job, step));
  return open === undefined ? undefined : change(ctx, job, { waiting: { for: 'effect', effect: open.id } });
}

/** Whether an open effect of this step holds the job where it is: a signed pre-commit does so in PC2Done only. */
function belongs(job: Job, step: string): boolean {
  const plan = planOf(job.plan);
  const sends = plan.messages[step];
  if (sends !== undefined) return job.state === sends.state;
  const todo = plan.todo(job);
  return (todo.do === 'effect' || todo.do === 'reserve') && todo.step === step;
}

/** Data that only the database or randomness can give; undefined: nothing of that kind is wanted. */
function prepare(ctx: Context, job: Job, todo: Todo): Job | undefined {
  switch (todo.do) {
    case 'allocate':
      if (numbersHeld(ctx, job.miner)) return waitForReconcile(ctx, job);
      return refusedPauses(ctx, job, () => allocateNumber(ctx, job));
    case 'acquire':
      return acquired(ctx, job);
    case 'pick':
      if (numbersHeld(ctx, job.miner)) return waitForReconcile(ctx, job);
      return refusedPauses(ctx, job, () => {
        const found = pickSector(ctx, job);
        return found.picked ? found.job : waitFor(ctx, found.job, found.code, found.message);
      });
    case 'forget':
      return change(ctx, job, { data: without(job.data, todo.fields) });
    case 'back':
      return goBack(ctx, job, todo.state, 'engine', todo.reason);
    case 'challenge':
      return change(ctx, job, { data: { ...job.data, challenge: { seed: challengeSeed(ctx), passed: false } } });
    case 'effect':
      // Nobody is to be told of stored files.
      return todo.want.kind === 'declare' && ctx.settings.declares !== true
        ? change(ctx, job, { data: { ...job.data, declared: false } })
        : undefined;
    default:
      return undefined;
  }
}

/** With pieces attached, or as committed capacity; undefined: it waits for a deal. */
function acquired(ctx: Context, job: Job): Job | undefined {
  let waits = false;
  const filled = refusedPauses(ctx, job, () => {
    // A live pre-commit says what is in the sector: nothing new goes into it.
    const attached = job.data.boundCommR === undefined ? acquirePieces(ctx, job) : job;
    waits = job.data.boundCommR === undefined && attached.data.pieces.length === 0 && !allowsCc(ctx, job);
    return attached;
  });
  if (waits) return undefined;
  return filled.paused ? filled : transition(ctx, filled, 'AcquireDeals');
}

/** What the configuration refuses pauses this one job; it never stops the engine. */
function refusedPauses(ctx: Context, job: Job, step: () => Job): Job {
  try {
    return step();
  } catch (error) {
    if (!(error instanceof SealpoolError)) throw error;
    return fail(ctx, job, { category: 'permanent', code: error.code, message: error.message });
  }
}

/** 32 random bytes below the field's modulus, as chain randomness is used (the top two bits cleared). */
function challengeSeed(ctx: Context): string {
  const hex = ctx.ids.hex(32);
  return hex.slice(0, 62) + (Number.parseInt(hex.slice(62), 16) & 0x3f).toString(16).padStart(2, '0');
}

function await_(ctx: Context, job: Job, todo: Todo): Job {
  switch (todo.do) {
    case 'stage':
    case 'reserve':
      ctx.signals.add(`stage:${todo.stage}`);
      return change(ctx, job, { waiting: runnerWanted(ctx, job, todo.stage, todo, ctx.nowMs) });
    case 'acquire':
      return waitFor(
        ctx,
        job,
        'no_deals',
        `no piece waits for ${job.miner} and committed capacity is switched off; upload a piece or allow CC`,
      );
    case 'effect':
      return change(ctx, job, { waiting: { for: 'effect', effect: want(ctx, job, todo.step, todo.want) } });
    default:
      return change(ctx, job, { waiting: { for: 'nothing' } });
  }
}

/** Sectors of this miner may be in messages that the restored database does not know. */
function waitForReconcile(ctx: Context, job: Job): Job {
  return waitFor(
    ctx,
    job,
    'reconciling',
    `the database was restored; no sector of ${job.miner} is taken before the chain has been looked at`,
  );
}

/** Only time helps: told once, looked at again after some seconds, never counted. */
export function waitFor(ctx: Context, job: Job, code: string, message: string): Job {
  return fail(ctx, job, { category: 'temporary', code, message }, false, UNCOUNTED_WAITS);
}

/**
 * An error of the four categories. Temporary: waits and goes on by itself, until its retries are used up.
 * `counted` false: only waiting was needed, or a runner was at fault; the job's retries stay as they are, and
 * `waits` says how long the wait is (as after so many failures). What is still so is not told again.
 */
export function fail(ctx: Context, job: Job, error: Omit<JobError, 'atMs'>, counted = true, waits = 1): Job {
  if (isFinal(job.state)) return job;
  const full: JobError = { ...error, atMs: ctx.nowMs };
  if (error.category === 'abort') return toAborted(ctx, change(ctx, job, { error: full }), 'engine', error.message);
  const retries = job.retries + (counted ? 1 : 0);
  const policy = retryOf(ctx.settings, error.category === 'temporary' ? stepName(job) : undefined);
  const mostRetries = threadSettings(ctx, job)?.maxRetries ?? policy.maxRetries;
  const again = error.category === 'temporary' && (!counted || retries <= mostRetries);
  const told = !counted && job.error?.code === error.code && job.error.message === error.message;
  if (!told) note(ctx, job, { actor: 'engine', kind: 'error', from: job.state, detail: { ...error, retries, pauses: !again } });
  if (!again) {
    const paused = change(ctx, job, { error: full, retries, paused: true, waiting: { for: 'operator' } });
    note(ctx, paused, { actor: 'engine', kind: 'paused', from: job.state, detail: { reason: error.message, code: error.code } });
    return paused;
  }
  const wait = waitMs(policy, Math.max(counted ? retries : 1, waits), jitterOf(ctx.ids.hex(4)));
  return change(ctx, job, {
    error: full,
    retries,
    waiting: job.paused ? { for: 'operator' } : { for: 'retry', untilMs: ctx.nowMs + wait },
  });
}

/** The stage or step the job is at, or whose message has just failed on chain: its retry policy counts. */
function stepName(job: Job): string | undefined {
  const plan = planOf(job.plan);
  const failed = Object.entries(plan.messages).find(([, { field }]) => (job.data[field]?.exitCode ?? 0) !== 0);
  if (failed !== undefined) return failed[0];
  const todo = plan.todo(job);
  return todo.do === 'stage' || todo.do === 'reserve' ? todo.stage : todo.do === 'effect' ? todo.step : undefined;
}

/** Seals again with a fresh ticket where that is configured and nothing of the job is on chain; else an operator decides. */
export function expireTicket(ctx: Context, job: Job, message: string): Job {
  if (fallsBack(ctx, job)) return goBack(ctx, job, 'TreeDBuilt', 'engine', `${message.split(';')[0]}; a fresh one is drawn by itself`);
  const told = message.includes(TICKET_REPAIRS) ? message : `${message}; ${TICKET_REPAIRS}`;
  return fail(ctx, job, { category: 'permanent', code: 'ticket_expired', message: told });
}

/**
 * Runs `step` for one job of many. A rule that does not hold, or a refusal: what the step wrote is undone, with its
 * events and effects, that job is paused as critical, and all others go on. Answers whether the step held.
 */
export function alone(ctx: Context, job: Job, step: () => void): boolean {
  try {
    ctx.tx.savepoint(step);
    return true;
  } catch (error) {
    // Errors of the database are not one job's: they end the transaction.
    const ours = error instanceof Invariant || (error instanceof SealpoolError && error.status < 500);
    if (!ours) throw error;
    // What the caller read may be older than this transaction's row.
    const now = ctx.tx.job(job.id) ?? job;
    fence(ctx, now, 'the job was stopped by an error inside Sealpool');
    const message = `${error.message}; report this with the output of sealpool sectors show ${job.id}, then resume`;
    fail(ctx, now, { category: 'critical', code: 'invariant', message });
    return false;
  }
}
