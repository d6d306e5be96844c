/** An operator's hands on jobs: pause, resume, abort. Checked before anything is touched. */
import type { JobId } from '../schema/ids.ts';
import type { Job } from '../schema/job.ts';
import { SealpoolError } from '../schema/problem.ts';
import { change, fence, goBack, note, toAborted, withdraw, without } from './change.ts';
import type { Context } from './context.ts';
import { settle } from './engine.ts';
import { depositOf, isLive, liveMessages, messageName, noticeOf, rescueOf } from './live-message.ts';
import { isFinal } from './machine.ts';
import { planOf } from './plans/all.ts';
import { canonicalState, targetOrRefuse } from './resume-target.ts';
import { refuseWhileReconciling } from './restored.ts';
import { assignThreads } from './threads.ts';

/** The job after an operation, and what the operator has to know besides: the message that is out, or null. */
export type Operated = { readonly job: Job; readonly notice: string | null };

const conflict = (code: string, message: string, extra?: Record<string, unknown>): SealpoolError =>
  new SealpoolError('conflict', code, message, extra);

/** The job, or the refusal that a missing and a foreign one share. */
export function jobOrRefuse(ctx: Context, id: JobId): Job {
  const job = ctx.tx.job(id);
  if (job === undefined)
    throw new SealpoolError('not_found', 'not_found', `there is no job or sector ${id}; sealpool sectors list shows them`);
  return job;
}

const runningOf = (ctx: Context, job: Job) => ctx.tx.attemptsOfJob(job.id).find(({ status }) => status === 'running');

/** Queued work and messages not yet signed stop at once; a running stage finishes (with `now` it is stopped) and its result is kept. */
export function pauseJob(ctx: Context, id: JobId, options: { now?: boolean | undefined }, actor: string): Job {
  const job = jobOrRefuse(ctx, id);
  if (isFinal(job.state)) throw conflict('ended', `job ${id} is ${job.state}: there is nothing to pause`);
  const running = runningOf(ctx, job);
  if (job.paused && (options.now !== true || running === undefined)) {
    const what = running === undefined ? 'nothing of it runs' : 'pause with now to stop its running stage';
    throw conflict('paused_already', `job ${id} is paused already; resume it to go on (${what})`);
  }
  if (options.now === true) fence(ctx, job, 'stopped by pause now');
  else withdraw(ctx, job, 'the job was paused');
  // A place held for its PC1 goes to others.
  const paused = change(ctx, job, { paused: true, waiting: { for: 'operator' }, reserved: null });
  note(ctx, paused, { actor, kind: 'paused', from: job.state, detail: { now: options.now === true } });
  return paused;
}

export type ResumeOptions = { readonly state?: string | undefined; readonly force?: boolean | undefined };

/**
 * Goes on: without a state the current one runs again; with one, from that (an earlier one to retry, Aborted
 * to give up). Refused, with the job untouched, where the state is unknown or its inputs are not there, a
 * stage runs, or a live pre-commit would be left behind. `force` stops the stage, and goes back past the
 * pre-commit with its ticket, so that the new run gives the same CommR.
 */
export function resumeJob(ctx: Context, id: JobId, options: ResumeOptions, actor: string): Operated {
  const job = jobOrRefuse(ctx, id);
  const state = options.state === undefined ? undefined : canonicalState(options.state);
  if (state === 'Aborted') return abortJob(ctx, id, { force: options.force }, actor);
  if (isFinal(job.state)) throw conflict('ended', `job ${id} is ${job.state}: nothing happens there any more; pledge a new sector`);
  const target = targetOrRefuse(job, state);
  refuseWhileUnderWay(ctx, job, target, options.force === true);
  const past = leavesTicket(job, target);
  if (past && options.force !== true) throw livePreCommit(ctx, job, target);
  const back = state === undefined ? stopped(ctx, job) : goBack(ctx, job, target, actor, `resumed at ${target}`);
  const resumed = change(ctx, back, {
    paused: false,
    error: null,
    retries: 0,
    // The count starts anew: whatever was reached before says nothing about the cause an operator has mended.
    data: without(back.data, ['furthest']),
    waiting: job.thread === null ? { for: 'thread' } : { for: 'nothing' },
  });
  note(ctx, resumed, { actor, kind: 'resumed', from: job.state, to: target, detail: { force: options.force === true } });
  assignThreads(ctx);
  const settled = settle(ctx, ctx.tx.job(id) ?? resumed);
  const gone = past ? liveMessages(job) : [];
  return { job: settled, notice: noticeOf(gone, 'the sector is made again with the same ticket and has to give the same CommR') };
}

/** With force a running stage is stopped first; its late result is refused. */
function stopped(ctx: Context, job: Job): Job {
  fence(ctx, job, 'stopped by resume with force');
  return job;
}

/** Of many who resume one job exactly one wins: afterwards nothing is left to stop. */
function refuseWhileUnderWay(ctx: Context, job: Job, target: string, force: boolean): void {
  const running = runningOf(ctx, job);
  if (running !== undefined && !force) {
    throw conflict(
      'stage_running',
      `${running.stage} of job ${job.id} runs on ${running.runner} (attempt ${running.id}); wait for it, or resume with force to stop it first`,
      { attempt: running.id, stage: running.stage },
    );
  }
  if (job.paused) return;
  const waits = `${job.waiting.for === 'runner' || job.waiting.for === 'stage' ? `for ${job.waiting.stage}` : `for ${job.waiting.for}`}`;
  if (!force) throw conflict('not_paused', `job ${job.id} is not paused, it waits ${waits}; pause it first, or resume with force`);
  if (running === undefined && job.error === null && target === job.state)
    throw conflict('not_paused', `job ${job.id} is at the beginning of ${target} already and waits ${waits}; there is nothing to stop`);
}

/** Whether going to `target` would, by itself, draw another ticket than the one that a live pre-commit names. */
function leavesTicket(job: Job, target: string): boolean {
  const { order, messages } = planOf(job.plan);
  if (messages['SubmitPC'] === undefined || !isLive(job.data.preCommit) || target === job.state) return false;
  return order.indexOf(target) < order.indexOf('TicketAssigned');
}

function livePreCommit(ctx: Context, job: Job, target: string): SealpoolError {
  const { preCommit } = job.data;
  if (preCommit === undefined) throw new Error('there is no pre-commit');
  return conflict(
    'live_pre_commit',
    `pre-commit ${preCommit.cid} of this sector is signed and not provably dead: ${depositOf(ctx, job)} burns when the sector is not proven, ${rescueOf(ctx, preCommit)}; resume at TicketAssigned or later, or at ${target} with force, which keeps the ticket`,
    { message: preCommit.cid },
  );
}

/**
 * Ends the job in Aborted. With a live message only by force; its files are then kept until the pre-commit has
 * expired, and the answer names what is out. No other message of the job is signed afterwards.
 */
export function abortJob(ctx: Context, id: JobId, options: { readonly force?: boolean | undefined }, actor: string): Operated {
  const job = jobOrRefuse(ctx, id);
  if (isFinal(job.state)) throw conflict('ended', `job ${id} is ${job.state} already`);
  refuseWhileReconciling(ctx, job, options.force);
  const live = liveMessages(job);
  if (live.length > 0 && options.force !== true) throw liveAbort(ctx, job);
  const aborted = toAborted(ctx, job, actor, 'aborted by an operator');
  const kept = isLive(job.data.preCommit) ? 'until the pre-commit has expired' : 'for 30 days';
  assignThreads(ctx);
  return {
    job: aborted,
    notice: noticeOf(live, `no other message is sent for this job, and its files are kept ${kept}`),
  };
}

/** What giving up would cost: the deposit of a pre-commit, or a sector that an update message is turning into another one. */
function liveAbort(ctx: Context, job: Job): SealpoolError {
  const live = liveMessages(job);
  const names = live.map(messageName).join(' and ');
  const { preCommit } = job.data;
  if (isLive(preCommit)) {
    return conflict(
      'live_pre_commit',
      `${names} ${live.length === 1 ? 'is' : 'are'} out: ${depositOf(ctx, job)} burns when the sector is not proven, ${rescueOf(ctx, preCommit)}; resume it, or abort with force to give the deposit up`,
      { message: preCommit.cid },
    );
  }
  return conflict(
    'live_message',
    `${names} is out: once it lands the chain has the upgraded sector ${job.number}, whose files this job holds; resume it, or abort with force to leave them`,
    { message: live[0]?.message.cid },
  );
}
