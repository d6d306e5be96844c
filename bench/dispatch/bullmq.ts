/** BullMQ on Redis. A hand-off is a flow of two queues: the child done, the parent becomes ready for another worker. */
import { FlowProducer, Queue, Worker } from 'bullmq';
import type { DispatchQueue, Open } from './queue.ts';

const BATCH = 64;

/** Queues on the Redis at `port`, under names that no earlier call used. */
export function openBullmq(port: number): Open {
  let opened = 0;
  return async () => {
    opened += 1;
    const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };
    const first = new Queue(`first-${opened}`, { connection });
    const second = new Queue(`second-${opened}`, { connection });
    await Promise.all([first.waitUntilReady(), second.waitUntilReady()]);
    return bullmq(first, second, connection);
  };
}

function bullmq(first: Queue, second: Queue, connection: { host: string; port: number; maxRetriesPerRequest: null }): DispatchQueue {
  const work = async (jobs: number, concurrency: number): Promise<void> => {
    let done = 0;
    const worker = new Worker(first.name, async () => undefined, { connection, concurrency });
    await new Promise<void>((resolve) => {
      worker.on('completed', () => {
        done += 1;
        if (done === jobs) resolve();
      });
    });
    await worker.close();
  };
  let reported = 0;
  let held: ((ms: number) => void) | undefined;
  let workers: Promise<Worker[]> | undefined;
  const flow = new FlowProducer({ connection });
  const startWorkers = async (): Promise<Worker[]> => {
    const one = new Worker(
      first.name,
      async () => {
        reported = performance.now();
      },
      { connection },
    );
    const other = new Worker(second.name, async () => held?.(performance.now() - reported), { connection });
    await Promise.all([one.waitUntilReady(), other.waitUntilReady()]);
    return [one, other];
  };
  return {
    name: 'BullMQ on Redis',
    setup: `appendfsync always; drained with concurrency ${BATCH}`,
    enqueue: async () => void (await first.add('stage', {}, { removeOnComplete: true })),
    work,
    drain: (jobs) => work(jobs, BATCH),
    queued: () => Promise.resolve(),
    handOff: async () => {
      workers ??= startWorkers();
      await workers;
      const took = new Promise<number>((resolve) => {
        held = resolve;
      });
      await flow.add({ name: 'second', queueName: second.name, children: [{ name: 'first', queueName: first.name }] });
      return took;
    },
    close: async () => {
      for (const worker of (await workers) ?? []) await worker.close();
      await Promise.all([flow.close(), first.close(), second.close()]);
    },
  };
}
