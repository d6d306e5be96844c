/** sealing_threads: slots that run one sector job after another. Logical: a thread costs nothing while a stage waits. */
import type { JobId, MinerId } from '../schema/ids.ts';
import type { Job } from '../schema/job.ts';
import { SealpoolError } from '../schema/problem.ts';
import { knownMiner, threadSettings } from './allocate.ts';
import { change, note } from './change.ts';
import type { Context } from './context.ts';
import { alone, settle } from './engine.ts';
import { insertJob } from './new-job.ts';
import { planOf } from './plans/all.ts';
import type { ThreadRow } from './ports.ts';

/** Id of a thread: `worker/index`. */
export function threadId(worker: string, index: number): string {
  return `${worker}/${index}`;
}

/** Gives queued jobs to free threads, oldest first; an `auto` thread that finds none makes its own. */
export function assignThreads(ctx: Context): void {
  const freed = ctx.signals.delete('threads');
  // A control plane with thousands of threads does not look at them all at each tick.
  if (!freed && !ctx.tx.threadWanted() && !ctx.settings.threads.some(({ auto }) => auto)) return;
  // What one free thread did not find, the next one of the same kind will not find either.
  const dry = new Set<string>();
  for (const { id, plan, miner, auto } of ctx.tx.freeThreads()) {
    const kind = `${plan} ${miner ?? ''} ${auto ? leastDeals(ctx, id) : 'asked'}`;
    if (dry.has(kind)) continue;
    // Read anew: a job that ended at once has freed its thread, and that may have taken another already.
    const thread = ctx.tx.thread(id);
    if (thread === undefined || !thread.enabled || thread.job !== null) continue;
    if (!ctx.settings.threads.some(({ worker, index }) => threadId(worker, index) === id)) {
      // The configuration no longer names it; it had a job to finish.
      ctx.tx.deleteThread(id);
      continue;
    }
    const [queued] = ctx.tx.jobsForThread(thread.plan, thread.miner, 1);
    const job = queued ?? (thread.auto ? ownJob(ctx, thread) : undefined);
    if (job === undefined) {
      dry.add(kind);
      continue;
    }
    ctx.tx.putThread({ ...thread, job: job.id });
    const taken = change(ctx, job, { thread: thread.id, data: { ...job.data, ...askedOf(ctx, job, thread.id) } });
    alone(ctx, taken, () => void settle(ctx, taken));
  }
}

/** Called at the end of whatever may have ended a job: its thread goes on to the next one at once. */
export function assignFreed(ctx: Context): void {
  if (ctx.signals.has('threads')) assignThreads(ctx);
}

/** What the thread asks of its jobs besides what was requested. */
function askedOf(ctx: Context, job: Job, thread: string): Pick<Job['data'], 'asked'> {
  const skips = threadSettings(ctx, { ...job, thread })?.skipOnchainCheck === true && Object.keys(planOf(job.plan).messages).length > 0;
  return skips ? { asked: { ...job.data.asked, skipOnchainCheck: true } } : {};
}

/** The next job of a thread that makes its own: sectors for ever, or snaps while there is data and a sector to take it. */
function ownJob(ctx: Context, thread: ThreadRow): Job | undefined {
  const known = Object.keys(ctx.settings.miners);
  const miner = thread.miner ?? (known.length === 1 ? (known[0] as MinerId) : undefined);
  const plan = planOf(thread.plan);
  const settings = miner === undefined ? undefined : knownMiner(ctx, miner);
  if (miner === undefined || settings === undefined || plan.existing === 'asked') return undefined;
  const { sealProof } = settings;
  if (plan.existing === 'asked_or_next') {
    const least = leastDeals(ctx, thread.id);
    if (ctx.tx.waitingPieces(miner, least).length < least || ctx.tx.snapCandidates(miner, 0, 1).length === 0) return undefined;
  }
  return insertJob(ctx, { plan, miner, sealProof }, `thread:${thread.id}`);
}

/** Fewest waiting pieces for which the thread makes a job with data. */
function leastDeals(ctx: Context, thread: string): number {
  return Math.max(1, ctx.settings.threads.find(({ worker, index }) => threadId(worker, index) === thread)?.minDeals ?? 1);
}

/** Off: the thread finishes the job it has and takes no other. On: it takes the next one at once. */
export function setThreadEnabled(ctx: Context, worker: string, index: number, enabled: boolean, actor: string): ThreadRow {
  const thread = threadOrRefuse(ctx, worker, index);
  if (thread.enabled !== enabled) ctx.tx.putThread({ ...thread, enabled });
  const job = thread.job === null ? undefined : ctx.tx.job(thread.job);
  if (job !== undefined && thread.enabled !== enabled) {
    const reason = enabled
      ? 'its sealing_thread was switched on'
      : 'its sealing_thread was switched off: this job is finished, no other is taken';
    note(ctx, job, { actor, kind: 'note', from: job.state, detail: { reason, thread: thread.id } });
  }
  if (enabled) assignThreads(ctx);
  return threadOrRefuse(ctx, worker, index);
}

/** Makes the threads of the configuration; those it no longer names go once they are free. */
export function syncThreads(ctx: Context): void {
  const wanted = new Map(ctx.settings.threads.map((thread) => [threadId(thread.worker, thread.index), thread]));
  for (const [id, { worker, index, plan, miner, auto }] of wanted) {
    const before = ctx.tx.thread(id);
    ctx.tx.putThread({ worker, index, plan, miner, auto, id, enabled: before?.enabled ?? true, job: before?.job ?? null });
  }
  for (const thread of ctx.tx.threads()) if (!wanted.has(thread.id) && thread.job === null) ctx.tx.deleteThread(thread.id);
}

/** The thread, or a refusal that lists those there are. */
export function threadOrRefuse(ctx: Context, worker: string, index: number): ThreadRow {
  const thread = ctx.tx.thread(threadId(worker, index));
  if (thread === undefined) {
    const known = ctx.tx.threads().map(({ id }) => id);
    throw new SealpoolError(
      'not_found',
      'not_found',
      `there is no sealing_thread ${threadId(worker, index)}; there are ${known.join(', ') || 'none'}`,
    );
  }
  return thread;
}

/** What is told of a thread without a job, and to whoever may not see the job in it. */
export function threadIdle(thread: string): SealpoolError {
  return new SealpoolError(
    'conflict',
    'thread_idle',
    `sealing_thread ${thread} has no sector now; pledge one with sealpool sectors pledge`,
  );
}

/** The job that the thread runs, or a refusal. */
export function jobOfThread(ctx: Context, worker: string, index: number): Job {
  const thread = threadOrRefuse(ctx, worker, index);
  const job = thread.job === null ? undefined : ctx.tx.job(thread.job as JobId);
  if (job === undefined) throw threadIdle(thread.id);
  return job;
}
