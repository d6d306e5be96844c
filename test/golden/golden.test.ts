/**
 * Databases that earlier versions left with jobs in every state: the present code opens each, every job goes on where
 * it was and finishes, the history stays as it was written. Real: engine, store, migrations, the rows of the old
 * version. Stood in for: runners and chain (honest.ts), whose reports the old version's runners had in hand.
 */
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { planTables } from '../../src/scheduler/plans/all.ts';
import { resumeJob } from '../../src/scheduler/operate.ts';
import type { JobId, RunnerId } from '../../src/schema/ids.ts';
import type { PlanName } from '../../src/schema/job.ts';
import { MIGRATIONS } from '../../src/store/migrations.gen.ts';
import { wholeDatabase } from '../faults/faulty-serve.ts';
import { World } from '../scheduler/world.ts';
import { type History, readHistory, versions } from './history.ts';

/** Of each plan: as many as the recorder had, or more. */
const THREADS = 60;
/** Longer than the leases that the recorder gave. */
const LEASES_OVER_MS = 1_100_000_000;

async function opened(history: History): Promise<World> {
  const world = new World(
    {
      threads: Object.keys(planTables()).flatMap((plan) =>
        Array.from({ length: THREADS }, (_, index) => ({ worker: plan, index, plan: plan as PlanName, miner: null, auto: false })),
      ),
    },
    history,
  );
  onTestFinished(() => world.close());
  for (const [number, sector] of history.sectors) world.chain.sectors.set(number, sector);
  await world.start();
  return world;
}

const read = <T>(path: string, sql: string): T[] => {
  const database = new Database(path, { readonly: true });
  try {
    return database.prepare(sql).all() as T[];
  } finally {
    database.close();
  }
};

test.each(versions())('every job of a database of %s goes on and finishes', { timeout: 60_000 }, async (version) => {
  const history = readHistory(version);
  const world = await opened(history);
  expect(read(world.path, 'select name from migrations order by position')).toEqual(MIGRATIONS.map(({ name }) => ({ name })));
  wholeDatabase(world.path);
  const before = read(world.path, 'select * from events order by seq');

  // Runners that went on through the upgrade report what they had; those that did not are given up.
  for (const [at, { runner, report }] of history.reports.entries()) {
    if (at % 2 === 0) expect(await world.report(runner as RunnerId, report), JSON.stringify(report)).toMatchObject({ status: 'accepted' });
  }
  await world.tick(LEASES_OVER_MS);
  for (const [id, left] of Object.entries(history.left)) {
    if (left === 'paused') await world.run((ctx) => resumeJob(ctx, id as JobId, {}, 'test'));
  }
  const runners = read<{ id: RunnerId }>(world.path, 'select id from runners').map(({ id }) => id);
  await world.finish(runners, 600);

  const ends = await Promise.all(
    Object.entries(history.left).map(async ([id, left]) => {
      const { plan, state, error } = await world.job(id as JobId);
      return { id, plan, state, wanted: left === 'aborted' ? 'Aborted' : 'Finished', error };
    }),
  );
  expect(ends.filter(({ state, wanted }) => state !== wanted)).toEqual([]);
  wholeDatabase(world.path);
  expect(read(world.path, 'select * from events order by seq').slice(0, before.length)).toEqual(before);
  const twice = 'select job, step, count(*) as messages from effects where signed is not null group by job, step having count(*) > 1';
  expect(read(world.path, twice)).toEqual([]);
});

test('a state of every plan in which a job can be found stands in the newest recording', () => {
  const newest = versions().at(-1) as string;
  const inserted = readHistory(newest).sql;
  const passed = ['sealer Allocated', 'unseal Empty', 'unseal Unsealed'];
  const database = new Database(':memory:');
  onTestFinished(() => void database.close());
  database.exec(inserted);
  const found = new Set(database.prepare("select plan || ' ' || state from jobs").pluck().all() as string[]);
  const all = Object.entries(planTables()).flatMap(([plan, table]) => Object.keys(table).map((state) => `${plan} ${state}`));
  expect(all.filter((state) => !found.has(state) && !state.endsWith(' Aborted'))).toEqual(passed);
});
