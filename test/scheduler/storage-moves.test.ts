/** Draining a path: which step is asked of whom, when a record names the new path, and what keeps the old files. */
import { expect, test } from 'vitest';
import type { Settings } from '../../src/scheduler/context.ts';
import { takeOver } from '../../src/scheduler/inventory.ts';
import { isCordoned, isDraining, placeStored } from '../../src/scheduler/miner-storage.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import { drain, stays, stopDraining } from '../../src/scheduler/storage-moves.ts';
import { commitmentOfHex } from '../../src/schema/commitment-cid.ts';
import type { SectorRecord } from '../../src/schema/sector-record.ts';
import { job, jobId, sectorRecord } from '../store/rows.ts';
import { fileOf, movesWorld, roomy } from './moves-world.ts';
import { MINER } from './world.ts';

/** A runner with two paths, and sectors 1 … `sectors` in `main`, which is drained. */
async function opened(given: { settings?: Partial<Settings>; sectors?: number } = {}) {
  const the = await movesWorld(given);
  await the.world.run((ctx) => drain(ctx, 'main', 'operator:test', given.settings?.declares === false));
  const why = () => the.world.run((ctx) => stays(ctx, ctx.tx.storagePaths(the.id)[0] as Parameters<typeof stays>[1]));
  return { ...the, why };
}

test('copied, then recorded and declared, and only then dropped; one sector after another until nothing is left', async () => {
  const { one, due, answer, storageOf, declared, why, actions, world } = await opened({ sectors: 2 });
  for (const number of [1, 2]) {
    const copy = await one();
    expect(copy).toEqual({ step: 'copy', miner: MINER, number, from: 'main', to: 'other', asked: world.nowMs, files: [fileOf(number)] });
    expect([await due(), await storageOf(number)]).toEqual([[], 'main']);
    await answer(copy);
    expect([await due(), await storageOf(number)]).toEqual([[], 'other']);
    expect(await declared()).toMatchObject({ storage: 'other', root: '/mnt/other', dropped: 'main', files: [fileOf(number).path] });
    const drop = await one();
    expect(drop).toMatchObject({ step: 'drop', number, from: 'main', to: 'other' });
    await answer(drop);
  }
  expect([await due(), await why()]).toEqual([[], null]);
  expect(
    await world.run((ctx) => [ctx.tx.countSectorsIn('main'), ctx.tx.storedSector(MINER, 1)?.declared, isCordoned(ctx, 'main')]),
  ).toEqual([0, 'yes', true]);
  expect(await actions()).toEqual(['storage.cordoned', 'storage.draining', 'storage.moved', 'storage.moved']);
});

test('where nobody is told it takes force, and the sector counts as one that nobody was told of', async () => {
  const { world, one, answer, storageOf } = await opened({ settings: { declares: false } });
  await expect(world.run((ctx) => drain(ctx, 'other', 'operator:test', false))).rejects.toMatchObject({ code: 'nobody_to_tell' });
  await answer(await one());
  expect([await storageOf(), (await one()).step]).toEqual(['other', 'drop']);
  expect(await world.run((ctx) => ctx.tx.storedSector(MINER, 1)?.declared)).toBe('no');
});

test('a step is asked for again of a new process, or when no answer comes for long; answers to nothing asked say nothing', async () => {
  const { world, id, one, due, answer, storageOf } = await opened();
  const copy = await one();
  expect(await due()).toEqual([]);
  await world.run((ctx) => ctx.tx.updateRunner({ ...(ctx.tx.runner(id) as RunnerRow), bootId: 'boot-0002' }));
  expect(await one()).toEqual(copy);
  world.nowMs += 4_000_000;
  const again = await one();
  expect(again).toEqual({ ...copy, asked: world.nowMs });
  for (const other of [{ step: 'drop' }, { to: 'elsewhere' }, { number: 2 }] as const) await answer({ ...again, ...other });
  expect(await storageOf()).toBe('main');
  await answer(again);
  await answer(again);
  expect(await storageOf()).toBe('other');
});

test('what a job changed meanwhile stays where it is, and what was made in the new path is removed', async () => {
  const { world, one, due, answer, storageOf, move, why } = await opened();
  const copy = await one();
  await world.run((ctx) => ctx.tx.insertJob(job(1, { miner: MINER, number: 1, state: 'Allocated', plan: 'rebuild' })));
  await answer(copy);
  expect(await storageOf()).toBe('main');
  const undo = await one();
  expect(undo).toMatchObject({ step: 'undo', from: 'main', to: 'other' });
  await answer(undo);
  expect(await move()).toMatchObject({ phase: 'failed' });
  expect(await why()).toMatch(/^s-t01000-1 goes on by itself, it waits: a job took the sector/);
  await world.run((ctx) => ctx.tx.updateJob({ ...job(1, { miner: MINER, number: 1, plan: 'rebuild' }), id: jobId(1), state: 'Finished' }));
  expect(await due()).toEqual([]);
  world.nowMs += 600_000;
  expect(await one()).toEqual({ ...copy, asked: world.nowMs });
});

test('the old files stay while a job has the sector, and nothing of it is put where a move removes something', async () => {
  const { world, id, one, due, answer, declared } = await opened();
  await answer(await one());
  await declared();
  const live = job(1, { miner: MINER, number: 1, state: 'Allocated', plan: 'rebuild' });
  await world.run((ctx) => ctx.tx.insertJob(live));
  expect(await due()).toEqual([]);
  const places = (storage: string | null) =>
    world.run((ctx) => {
      const record = ctx.tx.sectorRecord(MINER, 1);
      const work = { kind: 'persist' as const, storage, files: [], sectorJson: { path: 'cache/x/sector.json', content: {} } };
      const asked = { work, inputs: [], pieces: false, outputs: [], trust: 'own' as const, storage: 'any' };
      const with_ = { ...live, data: { ...live.data, ...(record === undefined ? {} : { record }) } };
      return placeStored(ctx, ctx.tx.runner(id) as RunnerRow, with_, asked);
    });
  expect(await places('other')).toMatchObject({ placed: 'named', storage: 'other' });
  expect(await places('main')).toMatchObject({ placed: 'nowhere' });
  await world.run((ctx) => ctx.tx.updateJob({ ...live, state: 'Finished' }));
  expect((await one()).step).toBe('drop');
});

test('files that a job stored in the new path meanwhile are those that are checked before the old ones go', async () => {
  const { world, one, due, answer, declared, move } = await opened();
  await answer(await one());
  await declared();
  const drop = await one();
  // A job begins while the runner reads, and writes its sector.json.
  const live = job(1, { miner: MINER, number: 1, state: 'Allocated', plan: 'rebuild' });
  await world.run((ctx) => ctx.tx.insertJob(live));
  const json = { path: 'cache/s-t01000-1/sector.json', how: 'it has another hash' };
  await answer(drop, { outcome: 'bad', bad: [json] });
  expect([(await move())?.phase, await due()]).toEqual(['drop', []]);
  expect(await world.run((ctx) => ctx.tx.storedSector(MINER, 1)?.damage)).toEqual([]);
  const files = [fileOf(1), { ...fileOf(2), path: json.path }];
  await world.run((ctx) => {
    ctx.tx.putSectorRecord(sectorRecord(1, { files: { storage: 'other', root: '/mnt/other', files } }));
    ctx.tx.updateJob({ ...live, state: 'Finished' });
  });
  expect(await one()).toMatchObject({ step: 'drop', files });
  // One that is bad is made good from the old path; a file that a job may write just now is left to it.
  const next = job(2, { miner: MINER, number: 1, state: 'Allocated', plan: 'rebuild' });
  await world.run((ctx) => ctx.tx.insertJob(next));
  await answer({ ...drop, asked: world.nowMs }, { outcome: 'bad', bad: [{ path: fileOf(1).path, how: 'it is not there' }, json] });
  const copy = await one();
  expect(copy).toMatchObject({ step: 'copy', files: [fileOf(1)] });
  await answer(copy);
  expect([(await move())?.phase, await due()]).toEqual(['drop', []]);
  await world.run((ctx) => ctx.tx.updateJob({ ...next, state: 'Finished' }));
  expect(await one()).toMatchObject({ step: 'drop', files });
});

test('nobody else says where files are while they are moved: an older list that is imported again is refused', async () => {
  const { world, one, answer, declared, storageOf } = await opened();
  const listed = await world.run((ctx) => {
    const known = { ...(ctx.tx.sectorRecord(MINER, 1) as SectorRecord), commR: commitmentOfHex('sealed', 'cd'.repeat(32)) };
    ctx.tx.putSectorRecord(known);
    return known;
  });
  const brought = (storage: string) =>
    world.run((ctx) => takeOver(ctx, [{ ...listed, files: { storage, root: '', files: null } }], () => true));
  const refused = {
    imported: 0,
    refused: [{ sector: 's-t01000-1', reason: expect.stringContaining('are being moved from storage main to other') }],
  };
  const copy = await one();
  expect(await brought('other')).toMatchObject(refused);
  expect(await brought('main')).toMatchObject({ unchanged: 1, refused: [] });
  await answer(copy);
  await declared();
  expect(await brought('main')).toMatchObject(refused);
  await answer(await one());
  expect([await storageOf(), await brought('main')]).toMatchObject(['other', { imported: 1, refused: [] }]);
});

test('what the record names is not removed, whatever the move was about', async () => {
  const { world, row, one, due, answer, declared, move } = await opened();
  const recorded = (storage: string) =>
    world.run((ctx) => ctx.tx.putSectorRecord(sectorRecord(1, { files: { storage, root: '', files: [fileOf(1)] } })));
  await answer(await one());
  await declared();
  await recorded('main');
  // The copy goes, as far as the old files are whole.
  expect(await one()).toMatchObject({ step: 'undo', number: 1, from: 'main', to: 'other' });
  await recorded('other');
  await world.run((ctx) => ctx.tx.updateRunner({ ...row(ctx), bootId: 'boot-0002' }));
  expect(await due()).toEqual([]);
  expect(await move()).toBeUndefined();
});

test('bad old files are told and stay where they are; the others are moved', async () => {
  const { world, one, due, answer, storageOf, why } = await opened({ sectors: 2 });
  const bad = [{ path: fileOf(1).path, how: 'it is not there' }];
  await answer(await one(), { outcome: 'bad', bad });
  expect(await world.run((ctx) => ctx.tx.storedSector(MINER, 1))).toMatchObject({ damage: bad });
  const told = await world.run((ctx) => ctx.tx.eventsAfter(0, 1_000, { kinds: ['storage_file_bad'] }).map(({ detail }) => detail));
  expect(told).toEqual([{ sector: 's-t01000-1', storage: 'main', ...bad[0] }]);
  await answer(await one());
  expect((await one()).number).toBe(2);
  expect([await storageOf(1), await storageOf(2)]).toEqual(['main', 'main']);
  await world.run((ctx) => ctx.tx.deleteStorageMove(MINER, 2));
  await world.run((ctx) => ctx.tx.setChecked(MINER, 2, 1, bad));
  expect(await due()).toEqual([]);
  expect(await why()).toMatch(/^2 sectors have a live job, files that are bad/);
});

test('new files that are found bad are made again from the old ones, which stay till then', async () => {
  const { world, one, answer, declared } = await opened();
  await answer(await one());
  await declared();
  const bad = [{ path: fileOf(1).path, how: 'it has 1 bytes and not 2048' }];
  await answer(await one(), { outcome: 'bad', bad });
  const copy = await one();
  expect([copy.step, await world.run((ctx) => ctx.tx.storedSector(MINER, 1)?.damage)]).toEqual(['copy', bad]);
  await answer(copy);
  expect(await world.run((ctx) => ctx.tx.storedSector(MINER, 1)?.damage)).toEqual([]);
  expect((await one()).step).toBe('drop');
});

test('new files that are bad when the old ones are gone: the move is over, and the sector counts as damaged', async () => {
  const { world, one, due, answer, declared, move } = await opened();
  await answer(await one());
  await declared();
  // Dropped, but the answer was lost; then the new file went bad.
  const bad = [{ path: fileOf(1).path, how: 'it has another hash' }];
  await answer(await one(), { outcome: 'bad', bad });
  await answer(await one(), { outcome: 'bad', bad: [{ path: fileOf(1).path, how: 'it is not there' }] });
  expect(await move()).toMatchObject({ phase: 'failed', why: expect.stringContaining('bad on both sides; rebuild') });
  world.nowMs += 600_000;
  expect(await due()).toEqual([]);
  expect(await move()).toBeUndefined();
  expect((await world.run((ctx) => ctx.tx.storedSector(MINER, 1)?.damage))?.length).toBeGreaterThan(0);
});

test('a copy that fails is undone, and tried again later, to another path where there is one', async () => {
  const { world, tell, one, due, answer, why } = await opened();
  await tell(roomy('main'), roomy('other'), roomy('small', { freeBytes: 2 ** 30 }));
  const copy = await one();
  expect(copy.to).toBe('other');
  await answer(copy, { outcome: 'failed', message: 'storage other: it has 10 bytes free' });
  await answer(await one());
  expect([await due(), await why()]).toEqual([[], expect.stringContaining('it has 10 bytes free')]);
  world.nowMs += 600_000;
  expect(await one()).toMatchObject({ step: 'copy', to: 'small' });
});

test('without another path that takes the sector it stays, with the reason, and goes on by itself', async () => {
  const { tell, one, due, why } = await opened();
  await tell(roomy('main'));
  expect([await due(), await why()]).toEqual([[], 'its runner has no other path']);
  await tell(roomy('main'), roomy('other', { readOnly: true }));
  expect(await why()).toContain('other: it is read-only');
  await tell(roomy('main'), roomy('other'));
  expect((await one()).step).toBe('copy');
});

test('a drain that is stopped removes what was begun, and ends what was recorded', async () => {
  const { world, one, due, answer, storageOf, declared } = await opened({ sectors: 2 });
  await answer(await one());
  await declared();
  await world.run((ctx) => stopDraining(ctx, 'main', 'operator:test'));
  const drop = await one();
  expect(drop.step).toBe('drop');
  await answer(drop);
  expect([await due(), await world.run((ctx) => isDraining(ctx, 'main'))]).toEqual([[], false]);
  await world.run((ctx) => drain(ctx, 'main', 'operator:test', false));
  const copy = await one();
  await world.run((ctx) => stopDraining(ctx, 'main', 'operator:test'));
  const undo = await one();
  expect(undo).toMatchObject({ step: 'undo', number: 2, to: 'other' });
  // The answer to what is not wanted any more.
  await answer(copy);
  expect(await storageOf(2)).toBe('main');
  await answer(undo);
  expect(await due()).toEqual([]);
});

test('an answer that the network held up says nothing of the same step asked for anew', async () => {
  const { world, one, answer, storageOf } = await opened();
  const copy = await one();
  await world.run((ctx) => stopDraining(ctx, 'main', 'operator:test'));
  await answer(await one());
  world.nowMs += 1_000;
  await world.run((ctx) => drain(ctx, 'main', 'operator:test', false));
  const again = await one();
  expect(again).toMatchObject({ step: 'copy', from: copy.from, to: copy.to });
  // What it tells of was removed since.
  await answer(copy);
  expect(await storageOf()).toBe('main');
  await answer(again);
  expect(await storageOf()).toBe('other');
});
