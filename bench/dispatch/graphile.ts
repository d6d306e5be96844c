/** graphile-worker on PostgreSQL. A hand-off is a task that adds the next one, which another runner waits for. */
import { Logger, type Runner, makeWorkerUtils, run } from 'graphile-worker';
import pg from 'pg';
import type { DispatchQueue, Open } from './queue.ts';

const BATCH = 64;
const logger = new Logger(() => () => undefined);

/** Queues in databases of their own on the PostgreSQL at `port`. */
export function openGraphile(port: number): Open {
  let opened = 0;
  return async () => {
    opened += 1;
    const database = `bench_${opened}`;
    const admin = new pg.Client({ host: '127.0.0.1', port, user: 'bench', database: 'postgres' });
    await admin.connect();
    await admin.query(`CREATE DATABASE ${database}`);
    await admin.end();
    const pgPool = new pg.Pool({ host: '127.0.0.1', port, user: 'bench', database, max: BATCH });
    // A connection that the server ends while idle is no error of the bench.
    pgPool.on('error', () => undefined);
    pgPool.on('connect', (client) => client.on('error', () => undefined));
    const utils = await makeWorkerUtils({ pgPool, logger });
    await utils.migrate();
    return graphile(pgPool, utils);
  };
}

function graphile(pgPool: pg.Pool, utils: Awaited<ReturnType<typeof makeWorkerUtils>>): DispatchQueue {
  const start = (concurrentJobs: number, taskList: Parameters<typeof run>[0]['taskList'], batched: boolean): Promise<Runner> =>
    run({
      pgPool,
      logger,
      noHandleSignals: true,
      taskList: taskList ?? {},
      preset: { worker: { concurrentJobs, ...(batched ? { localQueue: { size: BATCH }, completeJobBatchDelay: 0 } : {}) } },
    });
  const work = async (jobs: number, lanes: number, batched: boolean): Promise<void> => {
    let done = 0;
    let finish: () => void = () => undefined;
    const all = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const runner = await start(lanes, { first: () => Promise.resolve() }, batched);
    // `job:complete` comes after the database has acknowledged it.
    runner.events.on('job:complete', () => {
      done += 1;
      if (done === jobs) finish();
    });
    await all;
    await runner.stop();
  };
  let reported = 0;
  let held: ((ms: number) => void) | undefined;
  let runners: Promise<Runner[]> | undefined;
  const startRunners = (): Promise<Runner[]> =>
    Promise.all([
      start(
        1,
        {
          first: async (_payload, { addJob }) => {
            reported = performance.now();
            await addJob('second', {});
          },
        },
        false,
      ),
      start(1, { second: async () => held?.(performance.now() - reported) }, false),
    ]);
  return {
    name: 'graphile-worker on PostgreSQL',
    setup: `fsync and synchronous_commit on; drained with a local queue of ${BATCH} and batched completion`,
    enqueue: async () => void (await utils.addJob('first', {})),
    work: (jobs, lanes) => work(jobs, lanes, false),
    drain: (jobs) => work(jobs, BATCH, true),
    queued: () => Promise.resolve(),
    handOff: async () => {
      runners ??= startRunners();
      await runners;
      const took = new Promise<number>((resolve) => {
        held = resolve;
      });
      await utils.addJob('first', {});
      return took;
    },
    close: async () => {
      for (const runner of (await runners) ?? []) await runner.stop();
      await utils.release();
      await pgPool.end();
    },
  };
}
