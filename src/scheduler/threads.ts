/** sealing_threads: slots that run one sector job after another. Logical: a thread costs nothing while a stage waits. */
import type { JobId } from '../schema/ids.ts';
import type { Job } from '../schema/job.ts';
import { SealpoolError } from '../schema/problem.ts';
import { change } from './change.ts';
import type { Context } from './context.ts';
import { alone, settle } from './engine.ts';
import type { ThreadRow } from './ports.ts';

/** Id of a thread: `worker/index`. */
export function threadId(worker: string, index: number): string {
  return `${worker}/${index}`;
}

/** Gives queued jobs to free threads, oldest first. */
export function assignThreads(ctx: Context): void {
  // What one free thread did not find, the next one of the same kind will not find either.
  const dry = new Set<string>();
  for (const thread of ctx.tx.freeThreads()) {
    const kind = `${thread.plan} ${thread.miner ?? ''}`;
    if (dry.has(kind)) continue;
    const [job] = ctx.tx.jobsForThread(thread.plan, thread.miner, 1);
    if (job === undefined) {
      dry.add(kind);
      continue;
    }
    ctx.tx.putThread({ ...thread, job: job.id });
    const taken = change(ctx, job, { thread: thread.id });
    alone(ctx, taken, () => void settle(ctx, taken));
  }
}

/** Makes the threads of the configuration; those it no longer names go once they are free. */
export function syncThreads(ctx: Context): void {
  const wanted = new Map(ctx.settings.threads.map((thread) => [threadId(thread.worker, thread.index), thread]));
  for (const [id, thread] of wanted) {
    const before = ctx.tx.thread(id);
    ctx.tx.putThread({ ...thread, id, enabled: before?.enabled ?? true, job: before?.job ?? null });
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

/** The job that the thread runs, or a refusal. */
export function jobOfThread(ctx: Context, worker: string, index: number): Job {
  const thread = threadOrRefuse(ctx, worker, index);
  const job = thread.job === null ? undefined : ctx.tx.job(thread.job as JobId);
  if (job === undefined)
    throw new SealpoolError(
      'conflict',
      'thread_idle',
      `sealing_thread ${thread.id} has no sector now; pledge one with sealpool sectors pledge`,
    );
  return job;
}
