/** Runs the four scenarios on one system. A fresh queue for each, so that none meets the leavings of another. */
import type { DispatchQueue, Open } from './queue.ts';

export interface Sizes {
  /** Jobs per throughput scenario. */
  readonly jobs: number;
  /** Requests in flight, and workers. */
  readonly lanes: number;
  /** Hand-offs, after as many warm-up ones as `warmUp`. */
  readonly handOffs: number;
  readonly warmUp: number;
}

export interface Figures {
  readonly name: string;
  readonly setup: string;
  readonly enqueuePerS: number;
  readonly pipedPerS: number;
  readonly drainedPerS: number;
  readonly handOffP50Ms: number;
  readonly handOffP99Ms: number;
}

/** Calls `once` `count` times, `lanes` at a time. */
export async function inLanes(count: number, lanes: number, once: () => Promise<void>): Promise<void> {
  let left = count;
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await once();
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

/** The value that `share` of the sorted values do not exceed (nearest rank). */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

async function perSecond(count: number, run: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await run();
  return (count * 1000) / (performance.now() - started);
}

async function withQueue<T>(open: Open, jobs: number, use: (queue: DispatchQueue) => Promise<T>): Promise<T> {
  const queue = await open(jobs);
  try {
    return await use(queue);
  } finally {
    await queue.close();
  }
}

/** All figures of one system. */
export async function measure(open: Open, { jobs, lanes, handOffs, warmUp }: Sizes, say: (what: string) => void): Promise<Figures> {
  say('one by one, then drained');
  const first = await withQueue(open, jobs, async (queue) => {
    const enqueuePerS = await perSecond(jobs, () => inLanes(jobs, lanes, () => queue.enqueue()));
    await queue.queued(jobs);
    const drainedPerS = await perSecond(jobs, () => queue.drain(jobs));
    return { name: queue.name, setup: queue.setup, enqueuePerS, drainedPerS };
  });
  say('piped');
  const pipedPerS = await withQueue(open, jobs, (queue) =>
    perSecond(jobs, () => Promise.all([queue.work(jobs, lanes), inLanes(jobs, lanes, () => queue.enqueue())])),
  );
  say('hand-off');
  const latencies = await withQueue(open, handOffs + warmUp, async (queue) => {
    const all: number[] = [];
    for (let done = 0; done < handOffs + warmUp; done += 1) all.push(await queue.handOff());
    return all.slice(warmUp);
  });
  return { ...first, pipedPerS, handOffP50Ms: percentile(latencies, 0.5), handOffP99Ms: percentile(latencies, 0.99) };
}
