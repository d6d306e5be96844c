/** A record that tells of a snap which the chain does not have: the chain decides, and the sector can be rebuilt. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { EffectRow } from '../../src/scheduler/effects.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import type { SectorRecord } from '../../src/schema/sector-record.ts';
import { COMM_D, COMM_R, DATA, DATA_COMM_D, TICKET, UPDATE_COMM_R } from './honest.ts';
import { MINER, World } from './world.ts';

const PLANS = ['sealer', 'snapup', 'rebuild', 'unseal'] as const;
let world: World;
let own: RunnerId;

beforeEach(async () => {
  world = new World({ threads: PLANS.map((plan, index) => ({ worker: 'local', index, plan, miner: null, auto: false })) });
  await world.start();
  own = (await world.register('own')).id;
});
afterEach(() => world.close());

const ask: World['ask'] = (request) => world.ask(request);
const record: World['record'] = (number) => world.record(number);
const candidates = (): Promise<number[]> => world.run((ctx) => ctx.tx.snapCandidates(MINER, 0, 9).map(({ number }) => number));

const imported = async (changes: Partial<SectorRecord> = {}): Promise<void> => {
  const known: SectorRecord = {
    miner: MINER,
    number: 7,
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
    ...changes,
  };
  await world.run((ctx) => ctx.tx.putSectorRecord(known));
  world.chain.proven(7);
};

/** A snap that ends without a look at the chain; what follows its message is answered by the test. */
const unlooked = async (): Promise<{ id: Job['id']; follow: EffectRow }> => {
  await imported();
  const id = await ask({ plan: 'snapup', sector: 7, pieces: [await world.piece()], skipOnchainCheck: true });
  for (let round = 0; round < 300; round += 1) {
    const due = await world.effects();
    const follow = due.find(({ want }) => want.kind === 'landed');
    if (follow !== undefined) return { id, follow };
    for (const effect of due) await world.perform(effect);
    for (const one of await world.grant(own)) await world.report(own, world.honest(one));
    await world.tick(1_000);
  }
  throw new Error('the message is not followed');
};

test('a snap that ends without a look at the chain tells of its update once the chain has it', async () => {
  const { id, follow } = await unlooked();
  expect(await world.job(id)).toMatchObject({ state: 'Finished' });
  expect(await record(7)).toMatchObject({ update: null, replicaUpdate: null });
  expect(await candidates()).toEqual([]);
  await world.perform(follow, { outcome: 'landed', epoch: 12_000, exitCode: 0, onChain: true, detail: '' });
  expect(await record(7)).toMatchObject({ update: { commR: UPDATE_COMM_R, commD: DATA_COMM_D, pieces: DATA } });
  // What was not looked at deletes nothing.
  expect((await world.run((ctx) => ctx.tx.effectsOfJob(id))).filter(({ want }) => want.kind === 'delete')).toEqual([]);
});

test('one whose update failed leaves a committed-capacity sector that is rebuilt without pieces, and snapped again', async () => {
  const { follow } = await unlooked();
  await world.perform(follow, { outcome: 'landed', epoch: 12_000, exitCode: 16, onChain: false, detail: 'deadline' });
  expect(await candidates()).toEqual([7]);
  const rebuild = await ask({ plan: 'rebuild', sector: 7 });
  await world.finish([own]);
  expect(await world.job(rebuild)).toMatchObject({ state: 'Finished' });
  const again = await ask({ plan: 'snapup', sector: 7, pieces: [await world.piece()] });
  await world.finish([own]);
  expect(await world.job(again)).toMatchObject({ state: 'Finished' });
});

const UPDATE = { commR: UPDATE_COMM_R, commD: DATA_COMM_D, pieces: DATA };

test.each([0, 1])(
  'a sector.json that tells of an update which never landed: with %i pieces the rebuild makes the sector the chain has',
  async (count) => {
    await imported({ update: UPDATE, replicaUpdate: 'bafyneverlanded', source: 'sealpool' });
    const pieces = count === 0 ? [] : [await world.piece()];
    const id = await ask({ plan: 'rebuild', sector: 7, pieces });
    await world.finish([own]);
    const job = await world.job(id);
    expect(job, JSON.stringify(job.error)).toMatchObject({ state: 'Finished', data: { commD: COMM_D } });
    expect(await record(7)).toMatchObject({ update: null, replicaUpdate: null, commD: COMM_D, pieces: [] });
    expect(await candidates()).toEqual([7]);
  },
);

test('one that the chain has upgraded still needs its pieces: they are named', async () => {
  await imported({ update: UPDATE });
  world.chain.proven(7, UPDATE_COMM_R.cid, COMM_R.cid);
  const id = await ask({ plan: 'rebuild', sector: 7 });
  await world.finish([own], 40);
  expect(await world.job(id)).toMatchObject({
    paused: true,
    error: { code: 'pieces_missing', message: expect.stringContaining(DATA[0]?.cid as string) },
  });
});
