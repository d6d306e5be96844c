/** Pieces that a request names are that request's: no other sector takes them, before it comes or after its job was given up. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { abortJob } from '../../src/scheduler/operate.ts';
import { type Pledge, pledge } from '../../src/scheduler/pledge.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import { COMM_R, DATA, DATA_COMM_D, DATA_COMM_R, TICKET } from './honest.ts';
import { MINER, World } from './world.ts';

let world: World;
let own: RunnerId;

beforeEach(async () => {
  world = new World({
    threads: [
      { worker: 'local', index: 0, plan: 'sealer', miner: null, auto: false },
      { worker: 'local', index: 1, plan: 'snapup', miner: MINER, auto: true },
      { worker: 'local', index: 2, plan: 'rebuild', miner: null, auto: false },
    ],
  });
  await world.start();
  own = (await world.register('own')).id;
  await world.run((ctx) =>
    ctx.tx.putSectorRecord({
      miner: MINER,
      number: 7,
      sealProof: 'StackedDrg2KiBV1_1',
      ticket: TICKET,
      commD: DATA_COMM_D,
      commR: DATA_COMM_R,
      pieces: DATA,
      update: null,
      files: null,
      preCommit: null,
      proveCommit: null,
      replicaUpdate: null,
      source: 'lotus',
    }),
  );
  world.chain.proven(7, DATA_COMM_R.cid);
});
afterEach(() => world.close());

const ask = async (request: Partial<Pledge>): Promise<Job['id']> => {
  const [job] = await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1, ...request }, 'test'));
  return (job as Job).id;
};
const waiting = (): Promise<string[]> => world.run((ctx) => ctx.tx.waitingPieces(MINER, 9).map(({ id }) => id));
const reserved = (): Promise<string[]> => world.run((ctx) => ctx.tx.reservedPieces(MINER, 9).map(({ id }) => id));
const abort = (id: Job['id']) => world.run((ctx) => abortJob(ctx, id, {}, 'test'));

test('a reserved piece is left alone by sealers and auto snaps, and the rebuild that names it gets it', async () => {
  const piece = await world.piece(true);
  const sealer = await ask({});
  await world.finish([own], 60);
  expect(await world.job(sealer)).toMatchObject({ state: 'Finished', data: { pieces: [], commR: COMM_R } });
  expect(await reserved()).toEqual([piece]);
  const rebuild = await ask({ plan: 'rebuild', sector: 7, pieces: [piece] });
  await world.finish([own]);
  expect(await world.job(rebuild)).toMatchObject({ state: 'Finished', data: { pieces: [{ id: piece }] } });
});

test.each([true, false])(
  'a rebuild that is given up keeps the piece it named for the next request (uploaded reserved: %s)',
  async (first) => {
    const piece = await world.piece(first);
    const rebuild = await ask({ plan: 'rebuild', sector: 7, pieces: [piece] });
    await abort(rebuild);
    expect([await waiting(), await reserved()]).toEqual([[], [piece]]);
    const sealer = await ask({});
    await world.finish([own], 60);
    expect((await world.job(sealer)).data.pieces).toEqual([]);
    const again = await ask({ plan: 'rebuild', sector: 7, pieces: [piece] });
    await world.finish([own]);
    expect(await world.job(again)).toMatchObject({ state: 'Finished' });
  },
);

test('a piece that a sealer took by itself waits for the next one when that is given up', async () => {
  const piece = await world.piece();
  const sealer = await ask({});
  await world.until('DealsAcquired', [own]);
  expect((await world.job(sealer)).data.pieces).toMatchObject([{ id: piece }]);
  await abort(sealer);
  expect([await waiting(), await reserved()]).toEqual([[piece], []]);
});
