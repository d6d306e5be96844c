/** An operator's hands on jobs: pledge, pause, resume, abort. Checked before anything is touched. */
import type { JobId, MinerId, PieceId } from '../schema/ids.ts';
import type { Job, PlanName } from '../schema/job.ts';
import { SealpoolError } from '../schema/problem.ts';
import { sealProofInfo } from '../schema/seal-proof.ts';
import { alignedBytes, attach, minerSettings } from './allocate.ts';
import { change, fence, goBack, note, toAborted, withdraw } from './change.ts';
import type { Context } from './context.ts';
import { settle } from './engine.ts';
import { isFinal } from './machine.ts';
import { planOf } from './plans/all.ts';
import { assignThreads } from './threads.ts';

export type Pledge = {
  readonly plan: string;
  readonly miner: MinerId;
  readonly count: number;
  readonly pieces?: readonly PieceId[] | undefined;
};

const conflict = (code: string, message: string, extra?: Record<string, unknown>): SealpoolError =>
  new SealpoolError('conflict', code, message, extra);

/** Queues `count` jobs; free threads of the plan take them one after another. */
export function pledge(ctx: Context, request: Pledge, actor: string): Job[] {
  const plan = planOf(request.plan);
  const { sealProof } = minerSettings(ctx, request.miner);
  if (request.pieces !== undefined && request.pieces.length > 0 && request.count !== 1) {
    throw new SealpoolError('bad_request', 'pieces_count', 'pieces go into one sector: ask for count 1 when you name pieces');
  }
  const made = Array.from({ length: request.count }, () => {
    const job: Job = {
      id: ctx.ids.next('j') as JobId,
      plan: plan.name as PlanName,
      miner: request.miner,
      number: null,
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
      data: { network: ctx.settings.network, sealProof, pieces: [], artifacts: {} },
    };
    ctx.tx.insertJob(job);
    note(ctx, job, { actor, kind: 'created', to: 'Empty', detail: { plan: plan.name, miner: request.miner, sealProof } });
    return request.pieces === undefined ? job : attachNamed(ctx, job, request.pieces);
  });
  assignThreads(ctx);
  return made.map((job) => ctx.tx.job(job.id) ?? job);
}

function attachNamed(ctx: Context, job: Job, ids: readonly PieceId[]): Job {
  const rows = [...new Set(ids)].map((id) => {
    const row = ctx.tx.piece(id);
    if (row === undefined || row.miner !== job.miner)
      throw new SealpoolError('not_found', 'not_found', `there is no piece ${id} of ${job.miner}; upload it with POST /v1/pieces`);
    if (row.job !== null) throw conflict('piece_taken', `piece ${id} is in job ${row.job} already; upload it again for another sector`);
    return row;
  });
  const room = sealProofInfo(job.data.sealProof).sectorSizeBytes;
  const needed = alignedBytes(rows.map(({ paddedSizeBytes }) => Number(paddedSizeBytes)));
  if (needed > room)
    throw new SealpoolError(
      'unprocessable',
      'pieces_too_large',
      `these pieces need ${needed} padded bytes and a sector has ${room}; name fewer`,
    );
  return attach(ctx, job, rows);
}

/** The job, or the refusal that a missing and a foreign one share. */
export function jobOrRefuse(ctx: Context, id: JobId): Job {
  const job = ctx.tx.job(id);
  if (job === undefined)
    throw new SealpoolError('not_found', 'not_found', `there is no job or sector ${id}; sealpool sectors list shows them`);
  return job;
}

/** Queued work and messages not yet signed stop at once; a running stage finishes (with `now` it is stopped) and its result is kept. */
export function pauseJob(ctx: Context, id: JobId, options: { now?: boolean | undefined }, actor: string): Job {
  const job = jobOrRefuse(ctx, id);
  if (isFinal(job.state)) throw conflict('ended', `job ${id} is ${job.state}: there is nothing to pause`);
  if (job.paused && options.now !== true)
    throw conflict('paused_already', `job ${id} is paused already; resume it, or pause with now to stop its running stage`);
  if (options.now === true) fence(ctx, job, 'stopped by pause now');
  else withdraw(ctx, job, 'the job was paused');
  const paused = change(ctx, job, { paused: true, waiting: { for: 'operator' } });
  if (!job.paused) note(ctx, paused, { actor, kind: 'paused', from: job.state, detail: { now: options.now === true } });
  return paused;
}

/** Older users type `Abort`. */
export function canonicalState(state: string): string {
  return state === 'Abort' ? 'Aborted' : state;
}

/**
 * Goes on: without a state the current one runs again; with one, from that (an earlier one to retry, Aborted
 * to give up). Refused, with the job untouched, where the state is unknown, lies ahead, or a stage runs.
 */
export function resumeJob(
  ctx: Context,
  id: JobId,
  options: { state?: string | undefined; force?: boolean | undefined },
  actor: string,
): Job {
  const job = jobOrRefuse(ctx, id);
  const state = options.state === undefined ? undefined : canonicalState(options.state);
  if (state === 'Aborted') return abortJob(ctx, id, { force: options.force }, actor);
  if (isFinal(job.state)) throw conflict('ended', `job ${id} is ${job.state}: nothing happens there any more; pledge a new sector`);
  const plan = planOf(job.plan);
  const reachable = plan.order.slice(0, plan.order.indexOf(job.state) + 1).filter((name) => name !== 'Empty' || job.state === 'Empty');
  if (state !== undefined && !plan.order.includes(state)) {
    throw new SealpoolError(
      'bad_request',
      'unknown_state',
      `${state} is no state of the ${plan.name} plan; from ${job.state} you can resume at ${[...reachable, 'Aborted'].join(', ')}`,
      { valid: [...reachable, 'Aborted'] },
    );
  }
  if (state !== undefined && !reachable.includes(state)) {
    throw conflict(
      'inputs_missing',
      `${state} needs what job ${id} in ${job.state} has not made; you can resume at ${[...reachable, 'Aborted'].join(', ')}`,
      { valid: [...reachable, 'Aborted'] },
    );
  }
  const running = ctx.tx.attemptsOfJob(id).find(({ status }) => status === 'running');
  if (running !== undefined && options.force !== true) {
    throw conflict(
      'stage_running',
      `${running.stage} of job ${id} runs on ${running.runner} (attempt ${running.id}); wait for it, or resume with force to stop it first`,
      { attempt: running.id, stage: running.stage },
    );
  }
  if (!job.paused && options.force !== true)
    throw conflict('not_paused', `job ${id} is not paused, it ${waitsFor(job)}; pause it first, or resume with force`);
  refusePastLivePreCommit(job, state);
  if (running !== undefined) fence(ctx, job, 'stopped by resume with force');
  const target = state ?? job.state;
  const back = target === job.state && state === undefined ? job : goBack(ctx, job, target, actor, `resumed at ${target}`);
  const resumed = change(ctx, back, {
    paused: false,
    error: null,
    retries: 0,
    waiting: job.thread === null ? { for: 'thread' } : { for: 'nothing' },
  });
  note(ctx, resumed, { actor, kind: 'resumed', from: job.state, to: target, detail: { force: options.force === true } });
  assignThreads(ctx);
  return settle(ctx, ctx.tx.job(id) ?? resumed);
}

function waitsFor(job: Job): string {
  return job.waiting.for === 'runner' || job.waiting.for === 'stage' ? `waits for ${job.waiting.stage}` : `waits for ${job.waiting.for}`;
}

/** A pre-commit that is not provably dead binds the ticket: going back before it would give another CommR. */
function refusePastLivePreCommit(job: Job, state: string | undefined): void {
  const live = job.data.preCommit;
  if (state === undefined || live === undefined || (live.exitCode ?? 0) !== 0) return;
  const { order } = planOf(job.plan);
  if (order.indexOf(state) >= order.indexOf('TicketAssigned')) return;
  throw conflict(
    'live_pre_commit',
    `pre-commit ${live.cid} of this sector is signed and not provably dead: ${state} would draw a new ticket and give another CommR; resume at TicketAssigned or later`,
  );
}

/** What a signed message pays, in attoFIL, read from its bytes. */
function depositOf(ctx: Context, job: Job): string {
  const effect = ctx.tx.effectsOfJob(job.id).findLast(({ step, signed }) => step === 'SubmitPC' && signed !== null);
  const value = /"Value":\s*"([0-9]+)"/.exec(effect?.signed?.signed ?? '')?.[1];
  if (value === undefined) return 'an unknown deposit';
  const digits = value.padStart(19, '0');
  const fraction = digits.slice(-18).replace(/0+$/, '');
  return `a deposit of ${digits.slice(0, -18)}${fraction === '' ? '' : `.${fraction}`} FIL`;
}

/** Ends the job in Aborted. With a live pre-commit only by force; its files are then kept. */
export function abortJob(ctx: Context, id: JobId, options: { force?: boolean | undefined }, actor: string): Job {
  const job = jobOrRefuse(ctx, id);
  if (isFinal(job.state)) throw conflict('ended', `job ${id} is ${job.state} already`);
  const live = job.data.preCommit !== undefined && (job.data.preCommit.exitCode ?? 0) === 0;
  if (live && options.force !== true) {
    const epochs =
      job.data.preCommit?.landedEpoch === undefined
        ? 'it has not landed yet'
        : `it can be rescued until epoch ${job.data.preCommit.landedEpoch + PROVE_COMMIT_WITHIN}`;
    throw conflict(
      'live_pre_commit',
      `pre-commit ${job.data.preCommit?.cid} is out: ${depositOf(ctx, job)} burns when the sector is not proven, ${epochs}; resume it, or abort with force to give the deposit up`,
      { message: job.data.preCommit?.cid },
    );
  }
  const aborted = toAborted(ctx, job, actor, 'aborted by an operator', live);
  assignThreads(ctx);
  return aborted;
}

/** Epochs from pre-commit to the burning of its deposit (builtin-actors, MaxProveCommitDuration). */
const PROVE_COMMIT_WITHIN = 86_550;
