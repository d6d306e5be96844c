/** What is asked for is checked before anything is touched; refusals say what to do. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { abortJob } from '../../src/scheduler/operate.ts';
import { type Pledge, pledge } from '../../src/scheduler/pledge.ts';
import type { PieceId, RunnerId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import type { SectorRecord } from '../../src/schema/sector-record.ts';
import { COMM_D, COMM_R, DATA, DATA_COMM_D, TICKET, UPDATE_COMM_R } from './honest.ts';
import { wholeDatabase } from './whole-database.ts';
import { MINER, World } from './world.ts';

let world: World;
let own: RunnerId;
let piece: PieceId;

beforeEach(async () => {
  world = new World({
    miners: { [MINER]: { sealProof: 'StackedDrg2KiBV1_1', firstSector: 1, lastSector: 9, allowCc: true } },
    threads: (['sealer', 'snapup', 'rebuild', 'unseal'] as const).map((plan, index) => ({
      worker: 'local',
      index,
      plan,
      miner: null,
      auto: false,
    })),
  });
  await world.start();
  own = (await world.register('own')).id;
  piece = await world.piece();
});
afterEach(() => world.close());

const recorded = (number: number, changes: Partial<SectorRecord> = {}): Promise<void> =>
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
      ...changes,
    }),
  );

const ask = (request: Partial<Pledge>): Promise<Job[]> =>
  world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1, ...request }, 'test'));

describe('refused, with nothing changed', () => {
  test.each<[string, Partial<Pledge>, string, number, RegExp]>([
    ['a sealer with a number', { sector: 40 }, 'sector_unwanted', 400, /leave the sector out/],
    ['a rebuild without one', { plan: 'rebuild' }, 'sector_missing', 400, /name it with its number/],
    ['an unsealing without one', { plan: 'unseal' }, 'sector_missing', 400, /name it/],
    ['two jobs on one sector', { plan: 'rebuild', sector: 40, count: 2 }, 'sector_count', 400, /ask for count 1/],
    ['no job at all', { count: 0 }, 'bad_count', 400, /one or more/],
    ['a plan that is not there', { plan: 'constructor' }, 'unknown_plan', 400, /plans are sealer, snapup, rebuild, unseal/],
    ['a sector nobody knows', { plan: 'rebuild', sector: 99 }, 'sector_unknown', 404, /sealpool import/],
    ['a snap without data', { plan: 'snapup', sector: 40 }, 'pieces_missing', 409, /--piece/],
    ['a snap of a sector with data', { plan: 'snapup', sector: 41 }, 'not_cc', 409, /name another one/],
    [
      'a rebuild without its pieces',
      { plan: 'rebuild', sector: 41 },
      'pieces_missing',
      409,
      new RegExp(`holds 1 pieces \\(${DATA[0]?.cid}\\)`),
    ],
    ['an unsealing without files', { plan: 'unseal', sector: 43 }, 'files_unknown', 409, /import it again with --storage, or rebuild it/],
    ['a range of a sealer', { range: { offsetBytes: '0', sizeBytes: '1' } }, 'range_unwanted', 400, /unseal only/],
    ['an empty range', { plan: 'unseal', sector: 41, range: { offsetBytes: '0', sizeBytes: '0' } }, 'bad_range', 400, /at least one byte/],
    [
      'a range beyond the data',
      { plan: 'unseal', sector: 41, range: { offsetBytes: '2000', sizeBytes: '33' } },
      'bad_range',
      400,
      /holds 2032 bytes/,
    ],
    [
      'a check skipped that is not made',
      { plan: 'rebuild', sector: 40, skipOnchainCheck: true },
      'skip_unwanted',
      400,
      /leave skipOnchainCheck out/,
    ],
    ['a piece that is not there', { pieces: ['p-000000' as PieceId] }, 'not_found', 404, /upload it/],
  ])('%s', async (_what, request, code, status, message) => {
    await recorded(40);
    await recorded(41, { commD: DATA_COMM_D, pieces: DATA });
    await recorded(42, { update: { commR: UPDATE_COMM_R, commD: DATA_COMM_D, pieces: DATA } });
    await recorded(43, { files: null });
    const before = wholeDatabase(world);
    await expect(ask(request)).rejects.toMatchObject({ code, status, message: expect.stringMatching(message) });
    expect(wholeDatabase(world)).toBe(before);
  });

  test('pieces in an unsealing, or in more than one sector', async () => {
    await recorded(41, { commD: DATA_COMM_D, pieces: DATA });
    await expect(ask({ plan: 'unseal', sector: 41, pieces: [piece] })).rejects.toMatchObject({ code: 'pieces_unwanted' });
    await expect(ask({ pieces: [piece], count: 2 })).rejects.toMatchObject({ code: 'pieces_count' });
    await expect(ask({ pieces: [piece, await world.piece()] })).rejects.toMatchObject({ code: 'pieces_too_large', status: 422 });
  });
});

test('a sector has one live job at most, from the moment it is asked for', async () => {
  await recorded(40);
  const [first] = await ask({ plan: 'rebuild', sector: 40 });
  expect(first).toMatchObject({ number: 40, state: 'Empty' });
  await expect(ask({ plan: 'unseal', sector: 40 })).rejects.toMatchObject({
    code: 'sector_busy',
    status: 409,
    message: expect.stringContaining(`job ${first?.id}`),
  });
  await world.run((ctx) => abortJob(ctx, (first as Job).id, {}, 'test'));
  await expect(ask({ plan: 'unseal', sector: 40 })).resolves.toHaveLength(1);
});

test('the seal proof is that of the sector, not that of the configuration; what was asked for is kept', async () => {
  await recorded(40, { sealProof: 'StackedDrg2KiBV1_1_Feat_SyntheticPoRep' });
  const range = { offsetBytes: '1905', sizeBytes: '127' };
  const [job] = await ask({ plan: 'unseal', sector: 40, range });
  expect(job?.data).toMatchObject({ sealProof: 'StackedDrg2KiBV1_1_Feat_SyntheticPoRep', asked: { number: 40, range } });
});

test('with the check skipped it finishes without looking, and deletes nothing', async () => {
  const [job] = await ask({ skipOnchainCheck: true });
  await world.finish([own]);
  expect(await world.job((job as Job).id)).toMatchObject({ state: 'Finished' });
  const effects = await world.run((ctx) => ctx.tx.effectsOfJob((job as Job).id));
  expect(effects.some(({ step }) => step === 'Finish')).toBe(false);
  expect(effects.flatMap(({ want }) => (want.kind === 'delete' ? want.keys : [])).some((key) => key.endsWith('/sealed'))).toBe(false);
});

describe('sector numbers', () => {
  const ranges = [
    { first: 50, last: 51 },
    { first: 3, last: 5 },
  ];
  const numbers = async (count: number): Promise<(number | null)[]> => {
    const jobs = await ask({ count });
    await world.finish([own], 400);
    return Promise.all(jobs.map(async ({ id }) => (await world.job(id)).number));
  };

  test('come from the ranges in their order; those of the chain and of records are skipped', async () => {
    world.close();
    world = new World({ miners: { [MINER]: { sealProof: 'StackedDrg2KiBV1_1', firstSector: 0, lastSector: 9, ranges, allowCc: true } } });
    await world.start();
    own = (await world.register('own')).id;
    world.chain.proven(50);
    await recorded(3);
    expect(await numbers(3)).toEqual([51, 4, 5]);
    const [job] = await ask({});
    await world.finish([own], 5);
    expect(await world.job((job as Job).id)).toMatchObject({
      paused: true,
      error: {
        code: 'numbers_used_up',
        message: expect.stringMatching(/from 50 to 51, 3 to 5 are taken; configure a further range, then resume/),
      },
    });
  });

  test('one range as before', async () => {
    world.chain.proven(1);
    expect(await numbers(2)).toEqual([2, 3]);
  });
});
