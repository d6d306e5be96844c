/** A bucket among the paths of a runner: Persist goes there as to any path, a drain neither empties one nor goes into one. */
import { expect, onTestFinished, test } from 'vitest';
import type { Context } from '../../src/scheduler/context.ts';
import { isCordoned, noteStorage } from '../../src/scheduler/miner-storage.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import { drain, dueMoves, stays } from '../../src/scheduler/storage-moves.ts';
import { choosePath } from '../../src/schema/miner-storage.ts';
import { sectorRecord, storagePath } from '../store/rows.ts';
import { World } from './world.ts';

const standing = { reservedBytes: 0, cordoned: false };
const bucket = storagePath('cold', { path: 's3://sectors/miner', freeBytes: 2 ** 50, totalBytes: 2 ** 50 });
const folder = storagePath('main', { freeBytes: 2 ** 40 });

test('it is chosen by its room and weight; where it failed, or takes nothing, the folder is', () => {
  const paths = [folder, bucket].map((path) => [path, standing] as const);
  const none = { failed: new Set<string>() };
  expect(choosePath(paths, 't01000', 1_000, none)).toEqual({ id: 'cold' });
  expect(choosePath(paths, 't01000', 1_000, { failed: new Set(['cold']) })).toEqual({ id: 'main' });
  expect(
    choosePath(
      [
        [folder, standing],
        [{ ...bucket, weight: 0 }, standing],
      ],
      't01000',
      1_000,
      none,
    ),
  ).toEqual({ id: 'main' });
  expect(
    choosePath(
      [
        [folder, standing],
        [{ ...bucket, problem: 'bucket sectors refused' }, standing],
      ],
      't01000',
      1_000,
      none,
    ),
  ).toEqual({ id: 'main' });
});

test('draining one is refused with what to do, and nothing moves into one', async () => {
  const world = new World({ declares: true });
  onTestFinished(() => world.close());
  await world.start();
  const { id } = await world.register('worker');
  const row = (ctx: Context): RunnerRow => ctx.tx.runner(id) as RunnerRow;
  await world.run((ctx) => noteStorage(ctx, row(ctx), [folder, bucket]));
  const file = { path: 'sealed/s-t01000-1', sizeBytes: '2048', hash: `sha256:${'ab'.repeat(32)}` };
  await world.run((ctx) => ctx.tx.putSectorRecord(sectorRecord(1, { files: { storage: 'main', root: '/mnt/main', files: [file] } })));
  await expect(world.run((ctx) => drain(ctx, 'cold', 'operator:test', true))).rejects.toMatchObject({ code: 'bucket_not_drained' });
  expect(await world.run((ctx) => isCordoned(ctx, 'cold'))).toBe(false);
  await world.run((ctx) => drain(ctx, 'main', 'operator:test', false));
  expect(await world.run((ctx) => dueMoves(ctx, row(ctx)))).toEqual([]);
  const why = await world.run((ctx) => {
    const path = ctx.tx.storagePaths(id).find(({ path: { id: name } }) => name === 'main');
    return path && stays(ctx, path);
  });
  expect(why).toBe('its runner has no other path that is a folder');
});
