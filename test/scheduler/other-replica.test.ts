/** PC2 comes to another CommR than the chain has: a bad replica, or a record that is wrong itself. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pledge } from '../../src/scheduler/pledge.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import { Stage } from '../../src/schema/stage.ts';
import { COMM_D, COMM_R, digest } from './honest.ts';
import { type Granted, MINER, World } from './world.ts';

const OTHER = { cid: 'bagboea4b5abother', hex: digest('other commR') };
const SEALING: readonly Stage[] = ['PC1', 'PC2'];

let world: World;
beforeEach(async () => {
  world = new World({ threads: [{ worker: 'local', index: 0, plan: 'rebuild', miner: null, auto: false }] });
  await world.start();
});
afterEach(() => world.close());

/** A rebuild of a sector whose record names a ticket that is not its own. */
async function rebuild(): Promise<Job['id']> {
  const nothing = { update: null, files: null, preCommit: null, proveCommit: null, replicaUpdate: null };
  const ticket = { epoch: 1, value: digest('wrong') };
  const sector = { miner: MINER, number: 7, sealProof: 'StackedDrg2KiBV1_1' as const, commD: COMM_D, commR: COMM_R, pieces: [] };
  await world.run((ctx) => ctx.tx.putSectorRecord({ ...sector, ...nothing, ticket, source: 'csv' }));
  world.chain.proven(7);
  const [job] = await world.run((ctx) => pledge(ctx, { plan: 'rebuild', miner: MINER, count: 1, sector: 7 }, 'test'));
  return (job as Job).id;
}

const fleet = () => world.run((ctx) => ctx.tx.runners());
/** The next PC2; undefined: the job paused before there was one. */
async function pc2(id: Job['id']): Promise<Granted | undefined> {
  for (let round = 0; round < 300 && !(await world.job(id)).paused; round += 1) {
    for (const effect of await world.effects()) await world.perform(effect);
    for (const { id: at } of await fleet()) {
      for (const granted of await world.grant(at)) {
        if (granted.grant.stage === 'PC2') return granted;
        await world.report(at, world.honest(granted));
      }
    }
    await world.tick(2_000);
  }
  return undefined;
}
const comesTo = async (id: Job['id'], commR: typeof OTHER): Promise<RunnerId | undefined> => {
  const granted = await pc2(id);
  if (granted === undefined) return undefined;
  await world.report(granted.runner, world.honest(granted, { result: { commR, commD: COMM_D } }));
  return granted.runner;
};

test('two makers come to the same other CommR: the record is wrong, nobody is called a liar, and the job pauses', async () => {
  await world.register(
    'own',
    'own',
    Stage.options.filter((stage) => !SEALING.includes(stage)),
  );
  for (const name of ['a', 'b', 'c', 'd']) await world.register(name, 'rented', SEALING);
  const id = await rebuild();
  const makers = new Set<RunnerId | undefined>();
  for (let round = 0; round < 6 && !(await world.job(id)).paused; round += 1) {
    makers.add(await comesTo(id, OTHER));
    const [last] = [...makers].slice(-1);
    // Whoever came to it is busy elsewhere the next time.
    await world.run((ctx) => {
      for (const runner of ctx.tx.runners()) ctx.tx.updateRunner({ ...runner, status: runner.id === last ? 'cordoned' : 'ready' });
    });
  }
  expect(makers.size).toBe(2);
  expect(await world.job(id)).toMatchObject({
    paused: true,
    error: { category: 'permanent', code: 'replica_differs', message: expect.stringContaining(OTHER.cid) },
  });
  expect((await fleet()).filter(({ status }) => status === 'quarantined')).toEqual([]);
});

test('our own machine that comes to the same other CommR twice has told enough', async () => {
  await world.register('own');
  const id = await rebuild();
  expect(await comesTo(id, OTHER)).toBeDefined();
  expect(await world.job(id)).toMatchObject({ state: 'TreeDBuilt', generation: 2, paused: false });
  expect(await comesTo(id, OTHER)).toBeDefined();
  expect(await world.job(id)).toMatchObject({ paused: true, error: { code: 'replica_differs' } });
});

test('a bad replica is made again; one rented runner alone is heard again, and not for ever', async () => {
  await world.register(
    'own',
    'own',
    Stage.options.filter((stage) => !SEALING.includes(stage)),
  );
  await world.register('rented', 'rented', SEALING);
  const id = await rebuild();
  await comesTo(id, OTHER);
  expect(await world.job(id)).toMatchObject({ state: 'TreeDBuilt', generation: 2, retries: 0 });
  await comesTo(id, OTHER);
  expect(await world.job(id)).toMatchObject({ state: 'TreeDBuilt', generation: 3, retries: 1, paused: false });
  await world.finish((await fleet()).map((runner) => runner.id));
  expect(await world.job(id)).toMatchObject({ state: 'Finished' });
});
