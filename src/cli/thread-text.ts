/** Workers and sealing_threads as text, in the columns that damocles' users know. */
import type { ThreadView, WorkerView } from '../api/client.ts';
import { elapsed, table } from './text.ts';

/** `Idle`, `Off`, `Paused(17s)`, `Running(3m 4s) PC1`, `Waiting(2s) PC1`. */
function threadState({ threadState: state, stage, elapsedMs }: ThreadView): string {
  if (elapsedMs === null) return state;
  const shown = `${state}(${elapsed(elapsedMs)})`;
  return state === 'Paused' || stage === null ? shown : `${shown} ${stage}`;
}

/** One line a thread. The location is `worker/index`: a thread has no folder here. */
function threadRow(worker: string, thread: ThreadView): (string | number | null)[] {
  const { index, plan, sector, job, state, stage, error } = thread;
  return [index, `${worker}/${index}`, plan, sector ?? job, state ?? 'Empty', stage, threadState(thread), error];
}

/** As `worker list` prints threads: of one worker, or of all. */
export function threadList(workers: readonly WorkerView[]): string {
  return table(
    ['#', 'location', 'Plan', 'JobID', 'JobState', 'JobStage', 'ThreadState', 'LastErr'],
    workers.flatMap(({ worker, threads }) => threads.map((thread) => threadRow(worker, thread))),
  );
}

/** As `util worker info` prints the threads of one worker. */
export function workerInfo({ worker, threads }: WorkerView): string {
  return table(
    ['Index', 'Loc', 'Plan', 'JobID', 'JobState', 'JobStage', 'ThreadState', 'LastErr'],
    threads.map((thread) => threadRow(worker, thread)),
  );
}

/** As `util worker list` prints workers. They live in the control plane, so the last word of each is its answer. */
export function workerList(workers: readonly WorkerView[]): string {
  const rows = workers.map(({ worker, address, threads }) => {
    const count = (...states: ThreadView['threadState'][]): number => threads.filter((t) => states.includes(t.threadState)).length;
    const errors = threads.filter(({ error }) => error !== null).length;
    return [worker, address, null, threads.length, count('Idle', 'Off'), count('Paused'), count('Running'), count('Waiting'), errors, '0s'];
  });
  return table(
    ['Name', 'Dest', 'Version', 'Threads', 'Empty', 'Paused', 'Running', 'Waiting', 'Errors', 'LastPing(with ! if expired)'],
    rows,
  );
}
