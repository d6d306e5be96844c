/** Imports of sectors that are known: what they say of files, and what counts no more then. */
import { expect, test } from 'vitest';
import { takeOver } from '../../src/scheduler/inventory.ts';
import { drain } from '../../src/scheduler/storage-moves.ts';
import { commitmentOfHex } from '../../src/schema/commitment-cid.ts';
import type { SectorRecord } from '../../src/schema/sector-record.ts';
import type { StoredFile } from '../../src/schema/stage.ts';
import { sectorRecord } from '../store/rows.ts';
import { fileOf, movesWorld } from './moves-world.ts';
import { MINER } from './world.ts';

const UPDATE_D = commitmentOfHex('unsealed', '0b'.repeat(32));
const UPDATE: SectorRecord['update'] = {
  commR: commitmentOfHex('sealed', '0a'.repeat(32)),
  commD: UPDATE_D,
  pieces: [{ cid: UPDATE_D.cid, paddedSizeBytes: '2048', offsetBytes: '0' }],
};
const updated = [fileOf(1), { ...fileOf(1), path: 'update/s-t01000-1' }];

/** Sector 1 in `main`, and what an import may say of it. */
async function opened() {
  const the = await movesWorld();
  const { world } = the;
  const base = sectorRecord(1, {
    commR: commitmentOfHex('sealed', 'cd'.repeat(32)),
    files: { storage: 'main', root: '/mnt/main', files: [fileOf(1)] },
  });
  await world.run((ctx) => ctx.tx.putSectorRecord(base));
  const brought = (change: Partial<SectorRecord>) =>
    world.run((ctx) => takeOver(ctx, [{ ...base, source: 'lotus', ...change }], () => true));
  return { ...the, base, brought, stored: () => world.run((ctx) => ctx.tx.storedSector(MINER, 1)) };
}
const inMain = (files: StoredFile[] | null): Partial<SectorRecord> => ({
  files: { storage: 'main', root: '', files },
});

test('an import that tells of an update without its files makes the list unknown: no move leaves the update behind', async () => {
  const { world, due, request, brought, stored } = await opened();
  expect(await brought({ update: UPDATE, ...inMain(null) })).toMatchObject({ imported: 1 });
  expect((await stored())?.record).toMatchObject({ update: UPDATE, files: { storage: 'main', root: '/mnt/main', files: null } });
  await expect(request([1])).rejects.toMatchObject({ message: expect.stringContaining('nobody knows the hashes of all its files') });
  await world.run((ctx) => drain(ctx, 'main', 'operator:test', false));
  expect(await due()).toEqual([]);
  // One that lists them is taken at its word.
  expect(await brought({ update: UPDATE, ...inMain(updated) })).toMatchObject({ imported: 1 });
  expect((await due()).map(({ files }) => files)).toEqual([updated]);
});

test('a list that we have stays, also where an older one is imported again', async () => {
  const { world, base, brought, stored } = await opened();
  const known = { ...base, update: UPDATE, files: { storage: 'main', root: '/mnt/main', files: updated } };
  await world.run((ctx) => ctx.tx.putSectorRecord(known));
  expect(await brought({})).toMatchObject({ unchanged: 1 });
  expect((await stored())?.record).toEqual(known);
});

test('a record of before whose list lacks the files of its update does not move', async () => {
  const { world, base, due, one, answer, request, move } = await opened();
  await request([1]);
  const copy = await one();
  await world.run((ctx) => ctx.tx.putSectorRecord({ ...base, update: UPDATE }));
  await answer(copy);
  expect((await move())?.phase).toBe('undo');
  await answer(await one());
  await world.run((ctx) => ctx.tx.deleteStorageMove(MINER, 1));
  await world.run((ctx) => drain(ctx, 'main', 'operator:test', false));
  expect(await due()).toEqual([]);
  await expect(request([1])).rejects.toMatchObject({ message: expect.stringContaining('nobody knows the hashes of all its files') });
});

test('an update is not told of while the files are moved', async () => {
  const { one, request, brought } = await opened();
  await request([1]);
  await one();
  const reason = expect.stringContaining('are being moved from storage main to other, and the import tells of an update');
  expect(await brought({ update: UPDATE })).toMatchObject({ imported: 0, refused: [{ sector: 's-t01000-1', reason }] });
});

test('an import that says that the files are elsewhere takes along neither that they were declared nor what was bad', async () => {
  const { world, brought, stored } = await opened();
  await world.run((ctx) => {
    ctx.tx.setDeclared(MINER, 1, 'yes');
    ctx.tx.setChecked(MINER, 1, 1, [{ path: fileOf(1).path, how: 'it is not there' }]);
  });
  await brought(inMain(null));
  expect(await stored()).toMatchObject({ declared: 'yes', checkedMs: 1, damage: [{ path: fileOf(1).path }] });
  await brought({ files: { storage: 'other', root: '/mnt/other', files: null } });
  expect(await stored()).toMatchObject({ record: { files: { storage: 'other' } }, declared: null, checkedMs: null, damage: [] });
});
