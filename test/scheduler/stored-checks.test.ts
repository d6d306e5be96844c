/** Stored files are read on a schedule: whose turn it is, what was found, and what says nothing. */
import { expect, onTestFinished, test } from 'vitest';
import type { Context } from '../../src/scheduler/context.ts';
import { noteStorage } from '../../src/scheduler/miner-storage.ts';
import { abortJob } from '../../src/scheduler/operate.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import { dueChecks, takeChecks } from '../../src/scheduler/stored-checks.ts';
import { MINER, job, sectorRecord, storagePath } from '../store/rows.ts';
import { COMM_D, COMM_R, TICKET } from './honest.ts';
import { World } from './world.ts';

const DAY_MS = 86_400_000;
const FILE = { path: 'sealed/s-t01000-1', sizeBytes: '2048', hash: `sha256:${'ab'.repeat(32)}` };

async function opened() {
  const world = new World({ scrub: { everyMs: DAY_MS, bytesPerS: 1_000 } });
  onTestFinished(() => world.close());
  await world.start();
  const { id } = await world.register('worker');
  const row = (ctx: Parameters<typeof dueChecks>[0]): RunnerRow => ctx.tx.runner(id) as RunnerRow;
  await world.run((ctx) => noteStorage(ctx, row(ctx), [storagePath('main'), storagePath('other')]));
  const put = (number: number, files: (typeof FILE)[] | null = [FILE]) =>
    world.run((ctx) => ctx.tx.putSectorRecord(sectorRecord(number, { files: { storage: 'main', root: '/mnt/main', files } })));
  const due = () => world.run((ctx) => dueChecks(ctx, row(ctx)));
  const answer = (number: number, bad: { path: string; how: string }[] = [], outcome: 'checked' | 'away' = 'checked') =>
    world.run((ctx) => takeChecks(ctx, row(ctx), [{ storage: 'main', miner: MINER, number, outcome, bad }]));
  const events = () => world.run((ctx) => ctx.tx.eventsAfter(0, 1_000, { kinds: ['storage_file_bad'] }));
  return { world, put, due, answer, events };
}

test('one sector of a path at a time, those never read first, then those that were read longest ago, once in so long', async () => {
  const { world, put, due, answer } = await opened();
  for (const number of [1, 2]) await put(number);
  // Nobody knows what its files should be.
  await put(3, null);
  const seen: number[] = [];
  for (let round = 0; round < 4; round += 1) {
    for (const { number, files, bytesPerS } of await due()) {
      expect([files, bytesPerS]).toEqual([[FILE], 1_000]);
      expect(await due()).toEqual([]);
      seen.push(number);
      world.nowMs += 1_000;
      await answer(number);
    }
  }
  expect(seen).toEqual([1, 2]);
  world.nowMs += DAY_MS - 500;
  expect((await due()).map(({ number }) => number)).toEqual([1]);
});

test('a bad file is told once, and stands with the sector until it is found whole', async () => {
  const { world, put, due, answer, events } = await opened();
  await put(1);
  const bad = [{ path: FILE.path, how: 'it is not there' }];
  const stored = () => world.run((ctx) => ctx.tx.storedSector(MINER, 1));
  for (let time = 0; time < 2; time += 1) {
    expect(await due()).toHaveLength(1);
    await answer(1, bad);
    expect(await stored()).toMatchObject({ damage: bad, checkedMs: world.nowMs });
    world.nowMs += DAY_MS + 1;
  }
  expect(await events()).toMatchObject([{ miner: MINER, detail: { sector: 's-t01000-1', storage: 'main', ...bad[0] } }]);
  await due();
  await answer(1);
  expect(await stored()).toMatchObject({ damage: [] });
});

test('an answer that nobody asked for, or of a storage that was away, says nothing; one that never comes is asked for again', async () => {
  const { world, put, due, answer, events } = await opened();
  await put(1);
  await answer(1, [{ path: FILE.path, how: 'made up' }]);
  expect(await due()).toHaveLength(1);
  await answer(1, [], 'away');
  expect(await world.run((ctx) => ctx.tx.storedSector(MINER, 1))).toMatchObject({ checkedMs: null });
  expect(await due()).toHaveLength(1);
  world.nowMs += 3_600_000;
  expect(await due()).toEqual([]);
  world.nowMs += 10_000;
  expect(await due()).toHaveLength(1);
  expect(await events()).toEqual([]);
  expect(await world.run((ctx) => ctx.tx.checkAllIn('main'))).toBe(1);
});

test.each(['goes on', 'has ended'])('files that a job stores while they are read are not told as bad: it %s', async (how) => {
  const { world, put, due, answer, events } = await opened();
  await put(1);
  await due();
  world.nowMs += 1_000;
  const live = job(1, { miner: MINER, number: 1, state: 'Allocated', plan: 'rebuild' });
  await world.run((ctx) => {
    ctx.tx.insertJob(live);
    if (how === 'goes on') return;
    ctx.tx.updateJob({ ...live, state: 'Finished' });
    ctx.tx.setChecked(MINER, 1, ctx.nowMs, []);
  });
  world.nowMs += 1_000;
  await answer(1, [{ path: FILE.path, how: 'it has another hash' }]);
  expect(await events()).toEqual([]);
  expect(await world.run((ctx) => ctx.tx.storedSector(MINER, 1)?.damage)).toEqual([]);
});

test('a snap that is aborted after it wrote sector.json anew leaves a sector whose record says so, and a check of before says nothing', async () => {
  const world = new World({
    declares: true,
    scrub: { everyMs: DAY_MS, bytesPerS: 1_000 },
    threads: [{ worker: 'local', index: 0, plan: 'snapup', miner: null, auto: false }],
  });
  onTestFinished(() => world.close());
  await world.start();
  const own = (await world.register('own')).id;
  const row = (ctx: Context): RunnerRow => ctx.tx.runner(own) as RunnerRow;
  const json = { path: 'cache/s-t01000-7/sector.json', sizeBytes: '10', hash: `sha256:${'11'.repeat(32)}` };
  const sealed = { ...json, path: 'sealed/s-t01000-7', sizeBytes: '2048' };
  const files = { storage: 'store', root: '/storage', files: [sealed, json] };
  await world.run((ctx) => {
    noteStorage(ctx, row(ctx), [{ ...storagePath('store'), freeBytes: 2 ** 40 }]);
    ctx.tx.putSectorRecord(sectorRecord(7, { commD: COMM_D, commR: COMM_R, ticket: TICKET, files }));
  });
  const [check] = await world.run((ctx) => dueChecks(ctx, row(ctx)));
  world.chain.proven(7);
  const id = await world.ask({ plan: 'snapup', sector: 7, pieces: [await world.piece()] });
  const persist = await world.until('SnapProved', [own]);
  const honest = world.honest(persist) as { result: { files: unknown[] } };
  const written = { ...json, sizeBytes: '20', hash: `sha256:${'22'.repeat(32)}` };
  honest.result.files.push(written);
  await world.report(own, honest);
  await world.run((ctx) => abortJob(ctx, id, {}, 'test'));
  expect(await world.record(7)).toMatchObject({ update: null, files: { ...files, files: [sealed, written] } });
  const bad = [{ path: json.path, how: 'it has 20 bytes and not 10' }];
  await world.run((ctx) => takeChecks(ctx, row(ctx), [{ storage: 'store', miner: MINER, number: 7, outcome: 'checked', bad }]));
  expect(await world.run((ctx) => ctx.tx.storedSector(MINER, 7)?.damage)).toEqual([]);
  expect(check?.number).toBe(7);
});
