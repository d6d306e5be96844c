/** What one thread or runner cannot take must not keep another from what it could. */
import { afterEach, expect, test } from 'vitest';
import type { Settings } from '../../src/scheduler/context.ts';
import { insertJob } from '../../src/scheduler/new-job.ts';
import { planOf } from '../../src/scheduler/plans/all.ts';
import { pledge } from '../../src/scheduler/pledge.ts';
import { COMM_D, COMM_R, TICKET } from './honest.ts';
import { MINER, World } from './world.ts';

let world: World;
afterEach(() => world.close());

/** A record of a sector of committed capacity. */
const known = (number: number): Promise<void> =>
  world.run((ctx) =>
    ctx.tx.putSectorRecord({
      miner: MINER,
      number,
      sealProof: 'StackedDrg2KiBV1_1',
      ticket: TICKET,
      commD: COMM_D,
      commR: COMM_R,
      pieces: [],
      update: null,
      files: { storage: 'store', root: '/storage', files: null },
      preCommit: null,
      proveCommit: null,
      replicaUpdate: null,
      source: 'lotus',
    }),
  );

test('an auto thread that wants five deals does not keep one that takes a single deal from its snap', async () => {
  const threads: Settings['threads'] = [5, 1].map((minDeals, index) => ({
    worker: 'w',
    index,
    plan: 'snapup',
    miner: null,
    auto: true,
    minDeals,
  }));
  world = new World({ threads });
  await world.start();
  await known(40);
  await world.piece();
  await world.tick(1_000);
  expect((await world.run((ctx) => ctx.tx.jobs({}, 9, null))).items).toMatchObject([{ plan: 'snapup', thread: 'w/1' }]);
});

test('many older stages that a runner may not take do not hide a younger one that it may', async () => {
  world = new World();
  await world.start();
  const rented = (await world.register('rented', 'rented')).id;
  const young = await world.run((ctx) => {
    const make = (sinceMs: number, state: string, stage: 'AddPiece' | 'PC1') => {
      const job = insertJob(ctx, { plan: planOf('sealer'), miner: MINER, sealProof: 'StackedDrg2KiBV1_1' }, 'test');
      ctx.tx.updateJob({ ...job, thread: `other/${sinceMs}`, number: sinceMs, state, waiting: { for: 'runner', stage, sinceMs } });
      return job.id;
    };
    // Pieces are added by own runners only.
    for (let at = 1; at <= 450; at += 1) make(at, 'DealsAcquired', 'AddPiece');
    return make(900, 'TreeDBuilt', 'PC1');
  });
  expect(await world.grant(rented)).toEqual([]);
  expect(await world.job(young)).toMatchObject({ reserved: { runner: rented } });
  expect((await world.run((ctx) => ctx.tx.jobs({ paused: true }, 9, null))).items).toEqual([]);
});

test('a record with the last number of a range does not use the others up', async () => {
  world = new World();
  await world.start();
  const own = (await world.register('own')).id;
  await known(1_000);
  await known(1);
  const pledged = await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 2 }, 'test'));
  await world.finish([own]);
  const jobs = await Promise.all(pledged.map(({ id }) => world.job(id)));
  expect(jobs).toMatchObject([2, 3].map((number) => ({ state: 'Finished', number })));
});
