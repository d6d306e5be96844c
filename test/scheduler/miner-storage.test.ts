/** Which path takes a sector's files: lists, weight, reserve, what is promised to others; and what a job waits for when none does. */
import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { explain } from '../../src/scheduler/explain.ts';
import { isCordoned, noteStorage, setCordoned } from '../../src/scheduler/miner-storage.ts';
import type { JobId } from '../../src/schema/ids.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import { type StoragePath, choosePath, refusalOf, roomIn } from '../../src/schema/miner-storage.ts';
import { storagePath } from '../store/rows.ts';
import { type Granted, World } from './world.ts';

const GIB = 2 ** 30;
const path = (id: string, change: Partial<StoragePath> = {}): StoragePath =>
  storagePath(id, { freeBytes: GIB, totalBytes: 2 * GIB, ...change });

const SMALL = fc.integer({ min: 0, max: 4 });
const anyPath = (id: string) =>
  fc
    .record({
      weight: SMALL,
      reserveBytes: SMALL,
      freeBytes: fc.integer({ min: 0, max: 12 }),
      readOnly: fc.boolean(),
      allowMiners: fc.subarray(['t01000', 'f02000']),
      denyMiners: fc.subarray(['f01000', 't02000']),
      problem: fc.option(fc.constant('it is away'), { freq: 4 }),
    })
    .map((change) => path(id, change));

test('what is chosen is allowed, fits, and nothing else ranks higher; nothing is chosen only when nothing fits', () => {
  const some = fc.tuple(
    ...['a', 'b', 'c', 'd'].map((id) => fc.tuple(anyPath(id), fc.record({ reservedBytes: SMALL, cordoned: fc.boolean() }))),
  );
  const ids = fc.option(fc.constantFrom('a', 'b', 'c', 'd'), { nil: undefined });
  fc.assert(
    fc.property(some, ids, fc.subarray(['a', 'b', 'c', 'd']), SMALL, (paths, preferred, failing, size) => {
      const failed = new Set(failing);
      const chosen = choosePath(paths, 't01000', size, { preferred, failed });
      // By brute force, in other words than the choice itself.
      const fitting = paths.filter(([one, { reservedBytes, cordoned }]) => {
        const numbers = [one.allowMiners, one.denyMiners].map((list) => list.map((miner) => miner.slice(2)));
        const listed = (numbers[0]?.length === 0 || numbers[0]?.includes('1000') === true) && numbers[1]?.includes('1000') !== true;
        return (
          one.problem === null &&
          !one.readOnly &&
          one.weight > 0 &&
          !cordoned &&
          listed &&
          Math.max(0, one.freeBytes - one.reserveBytes - reservedBytes) >= size
        );
      });
      if (fitting.length === 0) {
        expect(chosen).toHaveProperty('why');
        return;
      }
      const key = ([one, standing]: (typeof paths)[number]): string =>
        [
          failed.has(one.id) ? 0 : one.id === preferred ? 2 : 1,
          String(roomIn(one, standing) * one.weight).padStart(6, '0'),
          'zyxw'['abcd'.indexOf(one.id)],
        ].join(' ');
      const best = fitting.toSorted((one, other) => (key(one) < key(other) ? 1 : -1))[0];
      expect(chosen).toEqual({ id: best?.[0].id });
    }),
    { numRuns: 2_000 },
  );
});

test('a sector that is there already is bound by the disk alone', () => {
  const standing = { reservedBytes: 0, cordoned: true };
  const bound = path('a', { weight: 0, denyMiners: ['t01000'] });
  expect(refusalOf(bound, standing, null, 1)).toBeUndefined();
  expect(refusalOf({ ...bound, readOnly: true }, standing, null, 1)).toBe('it is read-only');
  expect(refusalOf(bound, standing, null, 2 * GIB)).toContain('free space there');
});

/** Two sectors at Persist, and a runner whose paths are what the test says. */
async function atPersist(count: number) {
  const world = new World({
    threads: [0, 1, 2].map((index) => ({ worker: 'local', index, plan: 'sealer' as const, miner: null, auto: false })),
  });
  onTestFinished(() => world.close());
  await world.start();
  const all = await world.register('worker', 'own');
  const others = await world.register(
    'others',
    'own',
    all.stages.filter((stage) => stage !== 'Persist'),
  );
  const jobs: JobId[] = [];
  for (let at = 0; at < count; at += 1) jobs.push(await world.ask());
  for (let round = 0; round < 100; round += 1) {
    for (const effect of await world.effects()) await world.perform(effect);
    for (const one of await world.grant(others.id, 4)) await world.report(others.id, world.honest(one));
    const states = await Promise.all(jobs.map(async (id) => (await world.job(id)).waiting));
    if (states.every((waiting) => waiting.for === 'runner' && waiting.stage === 'Persist')) break;
    await world.tick(1_000);
  }
  const tell = (...paths: StoragePath[]): Promise<RunnerRow> =>
    world.run((ctx) => noteStorage(ctx, ctx.tx.runner(all.id) as RunnerRow, paths));
  const why = async (at = 0): Promise<string> => {
    const id = jobs[at] as JobId;
    const told = await world.run((ctx) => explain(ctx, ctx.tx.job(id) as NonNullable<ReturnType<typeof ctx.tx.job>>));
    return `${told.sentence} ${told.candidates.find(({ name }) => name === 'worker')?.why}`;
  };
  return { world, runner: all.id, jobs, tell, why };
}
const storageOf = ({ grant }: Granted): string | null => (grant.work.kind === 'persist' ? grant.work.storage : null);
/** What one sector of 2 KiB takes, and a little. */
const ONE = 2 ** 20 + 8_192;

test('two at once do not overfill a path: the second waits with the reason and goes on when the first has ended', async () => {
  const { world, runner, jobs, tell, why } = await atPersist(2);
  expect(await tell(path('main', { freeBytes: ONE + 100_000 }))).toMatchObject({ storage: ['main'] });
  const granted = await world.grant(runner, 4);
  expect(granted.map(storageOf)).toEqual(['main']);
  const waits = jobs.findIndex((id) => !granted.some(({ grant }) => grant.inputs.length > 0 && grant.inputs[0]?.key.includes(id)));
  expect(await why(waits)).toMatch(
    /Persist waits for a runner.*none of its miner storage takes the files \(main: it has \d+ bytes free, of which \d+ are promised to sectors on their way/,
  );
  await world.report(runner, world.honest(granted[0] as Granted));
  expect((await world.grant(runner, 4)).filter((one) => storageOf(one) !== null).map(storageOf)).toEqual(['main']);
});

test('a path that is lost, read-only or too small is passed over, another one is taken; without one it waits and goes on', async () => {
  const { world, runner, tell, why } = await atPersist(1);
  const bad = [path('away', { problem: '/mnt/away is not there' }), path('ro', { readOnly: true }), path('full', { freeBytes: 10 })];
  await tell(...bad);
  expect(await world.grant(runner)).toEqual([]);
  expect(await why()).toMatch(
    /away: \/mnt\/away is not there; full: it has 10 bytes free, and \d+ are needed; free space there; ro: it is read-only/,
  );
  await tell(...bad, path('good'));
  expect((await world.grant(runner)).map(storageOf)).toEqual(['good']);
});

test('a path that failed goes last, also while it tells of much room', async () => {
  const { world, runner, jobs, tell } = await atPersist(1);
  await tell(path('big', { freeBytes: 100 * GIB }), path('small'));
  const [first] = await world.grant(runner);
  expect(storageOf(first as Granted)).toBe('big');
  await world.report(runner, world.failure(first as Granted, 'storage_full'));
  expect(await world.job(jobs[0] as JobId)).toMatchObject({ paused: false, error: { code: 'storage_full' } });
  await world.tick(60_000);
  const [second] = await world.grant(runner);
  expect(storageOf(second as Granted)).toBe('small');
  await world.report(runner, world.failure(second as Granted, 'storage_full'));
  await world.tick(600_000);
  expect((await world.grant(runner)).map(storageOf)).toEqual(['big']);
});

test('nothing new goes into a storage that is cordoned, until it may again; both are told', async () => {
  const { world, runner, tell, why } = await atPersist(1);
  await tell(path('main'));
  await world.run((ctx) => setCordoned(ctx, 'main', true, 'operator:test'));
  expect(await world.grant(runner)).toEqual([]);
  expect(await why()).toContain('main: new sectors are kept out of it (cordon)');
  await world.run((ctx) => setCordoned(ctx, 'main', false, 'operator:test'));
  expect(await world.run((ctx) => isCordoned(ctx, 'main'))).toBe(false);
  expect((await world.grant(runner)).map(storageOf)).toEqual(['main']);
  const told = await world.run((ctx) => ctx.tx.eventsAfter(0, 10_000, { kinds: ['audit'] }).map(({ detail }) => detail['action']));
  expect(told).toEqual(['storage.cordoned', 'storage.uncordoned']);
});

test('a name that two runners have for two disks is told of; what is told no more is gone; a rented runner has none', async () => {
  const { world, runner, tell } = await atPersist(0);
  await tell(path('main', { storeId: 'one' }), path('more'));
  const second = await world.register('second');
  const rented = await world.register('rented', 'rented');
  const note = (row: RunnerRow, told: StoragePath[]) => world.run((ctx) => noteStorage(ctx, row, told));
  await note(second, [path('main', { storeId: 'other' }), path('more')]);
  expect(await note(rented, [path('main')])).toMatchObject({ storage: [] });
  await tell(path('more'));
  const rows = await world.run((ctx) => ctx.tx.storagePaths().map((row) => [row.runner, row.path.id, row.path.problem]));
  expect(rows).toEqual([
    [runner, 'more', null],
    [second.id, 'main', expect.stringContaining('another disk under this name')],
    [second.id, 'more', null],
  ]);
});

test('of two disks of one name the first goes on; the second takes its place once the first runner is banned or has another id', async () => {
  const { world, runner, tell } = await atPersist(0);
  const second = await world.register('second');
  const note = () => world.run((ctx) => noteStorage(ctx, second, [path('main', { storeId: 'two' })]));
  const problems = () => world.run((ctx) => ctx.tx.storagePaths().map((row) => row.path.problem));
  const namesake = expect.stringContaining(`runner ${runner} has another disk under this name; give one of them another id`);
  await tell(path('main', { storeId: 'one' }));
  for (let round = 0; round < 2; round += 1) {
    await note();
    await tell(path('main', { storeId: 'one' }));
    expect(await problems()).toEqual([null, namesake]);
  }
  await tell(path('first', { storeId: 'one' }));
  await note();
  expect(await problems()).toEqual([null, null]);
  await world.run((ctx) => ctx.tx.updateRunner({ ...(ctx.tx.runner(runner) as RunnerRow), status: 'banned' }));
  await world.run((ctx) => ctx.tx.putStoragePath({ runner, path: path('main', { storeId: 'one' }), seenMs: 0, checking: null }));
  await note();
  expect((await problems()).at(-1)).toBeNull();
});

test('what reads stored files waits while its path is away or is another disk of its name, and reads one that only takes nothing', async () => {
  const { world, runner, jobs, tell, why } = await atPersist(1);
  await tell(path('main'));
  await world.report(runner, world.honest((await world.grant(runner))[0] as Granted));
  expect(await world.job(jobs[0] as JobId)).toMatchObject({ state: 'Persisted', waiting: { for: 'runner', stage: 'Verify' } });
  for (const problem of ['/mnt/main is not there', 'runner r-9 has another disk under this name; give one of them another id']) {
    await tell(path('main', { problem, ...(problem.startsWith('/') ? { totalBytes: 0, freeBytes: 0 } : {}) }));
    expect(await world.grant(runner)).toEqual([]);
    expect(await why()).toContain(`storage main: ${problem}`);
  }
  await tell(path('main', { problem: 'its sectorstore.json keeps it from long-term storage (CanStore)' }));
  expect((await world.grant(runner)).map(({ grant }) => grant.work.kind)).toEqual(['check-stored']);
});
