/** What the chain may have of a sector that a restored snapup is behind with; and plans that send nothing. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { abortJob } from '../../src/scheduler/operate.ts';
import { commitmentOfHex } from '../../src/schema/commitment-cid.ts';
import type { Job } from '../../src/schema/job.ts';
import { COMM_D, TICKET, UPDATE_COMM_R } from '../scheduler/honest.ts';
import { MINER } from '../scheduler/world.ts';
import { NOTHING, OTHER_COMM_R, OUR_COMM_R, RestoredWorld, proven } from './restored-world.ts';

let world: RestoredWorld;
beforeEach(async () => {
  world = new RestoredWorld();
  await world.start();
  world.chain.proven(1, OUR_COMM_R.cid);
  await world.run((ctx) =>
    ctx.tx.putSectorRecord({
      miner: MINER,
      number: 1,
      sealProof: 'StackedDrg2KiBV1_1',
      ticket: TICKET,
      commD: COMM_D,
      commR: OUR_COMM_R,
      pieces: [],
      update: null,
      files: { storage: 'store', root: '/storage', files: null },
      preCommit: null,
      proveCommit: null,
      replicaUpdate: null,
      source: 'lotus',
    }),
  );
});
afterEach(() => world.close());

const snapIn = async (state: string): Promise<Job['id']> => {
  const piece = await world.piece();
  return (await world.backedUpIn(state, { plan: 'snapup', sector: 1, pieces: [piece] })).id;
};
const updated = (commR: string) => proven({ commR, keyCommR: OUR_COMM_R.cid });
const STATES = ['Allocated', 'PieceAdded', 'TreeDBuilt', 'SnapEncoded', 'SnapProved'] as const;

test.each([...STATES, 'Persisted'])('not upgraded: a job of %s goes on and sends its one message', async (state) => {
  const id = await snapIn(state);
  await world.restore(proven());
  await world.finish([world.own]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished' });
  expect(world.sent).toEqual(['SubmitUpdate']);
});

test('upgraded with our update, and its files are stored: it ends and sends nothing', async () => {
  const id = await snapIn('Persisted');
  await world.restore(updated(UPDATE_COMM_R.cid));
  await world.finish([world.own]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished', data: { replicaUpdate: { found: true, exitCode: 0 } } });
  expect(await world.run((ctx) => ctx.tx.sectorRecord(MINER, 1))).toMatchObject({ update: { commR: UPDATE_COMM_R }, replicaUpdate: null });
  expect(world.sent).toEqual([]);
});

test.each(STATES)('upgraded meanwhile, and a job of %s knows of no stored files: it stops', async (state) => {
  const id = await snapIn(state);
  await world.restore(updated(UPDATE_COMM_R.cid));
  expect(await world.job(id)).toMatchObject({ paused: true, error: { category: 'permanent', code: 'proven_already' } });
  expect(await world.grant(world.own)).toEqual([]);
});

test('upgraded meanwhile: the update is taken over in the way that the error tells', async () => {
  const update = { commR: commitmentOfHex('sealed', '11'.repeat(32)), commD: commitmentOfHex('unsealed', '12'.repeat(32)), pieces: [] };
  const id = await snapIn('TreeDBuilt');
  await world.restore(updated(update.commR.cid));
  await world.doAsTold(id, { update });
  expect(await world.record(1)).toMatchObject({ update });
});

test('upgraded meanwhile and given up with force: files and client data stay until they can have been looked at, then go', async () => {
  const id = await snapIn('SnapEncoded');
  await world.restore(updated(UPDATE_COMM_R.cid));
  const { data } = await world.job(id);
  await world.run((ctx) => abortJob(ctx, id, { force: true }, 'test'));
  const deletions = (await world.run((ctx) => ctx.tx.openEffectsOfJob(id))).flatMap(({ want, dueMs }) =>
    want.kind === 'delete' ? [{ keys: want.keys, dueMs }] : [],
  );
  const all = [...Object.values(data.artifacts), ...data.pieces].map(({ key }) => key).toSorted();
  expect(data.pieces).toHaveLength(1);
  const kept = deletions.filter(({ dueMs }) => dueMs > world.nowMs + 86_400_000);
  expect(kept.flatMap(({ keys }) => keys).toSorted()).toEqual(all);
});

test.each([
  ['another update', updated(OTHER_COMM_R.cid), 'chain_differs'],
  ['another sector', proven({ commR: OTHER_COMM_R.cid }), 'chain_differs'],
  ['no such sector', NOTHING, 'not_on_chain'],
] as const)('the chain has %s: it stops', async (_what, seen, code) => {
  const id = await snapIn('Persisted');
  await world.restore(seen);
  expect(await world.job(id)).toMatchObject({ paused: true, error: { code } });
  expect(world.sent).toEqual([]);
});

test('a rebuild sends nothing and is not compared: what ran is ended and runs again', async () => {
  const { id, running } = await world.backedUpIn('TreeDBuilt', { plan: 'rebuild', sector: 1 });
  await world.markRestored();
  expect((await world.comparing()).filter(({ job }) => job === id)).toEqual([]);
  const [again] = await world.grant(world.own);
  expect(again?.grant).toMatchObject({ stage: running.grant.stage, epoch: running.grant.epoch + 1 });
});
