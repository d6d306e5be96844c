/** Miner storage: paths by runner, room that running attempts take, and whose files are to be read next. */
import { describe, expect, test } from 'vitest';
import type { StoragePath } from '../../../src/schema/miner-storage.ts';
import type { StoragePathRow } from '../../../src/scheduler/storage-rows.ts';
import type { Database } from '../conformance.ts';
import { attempt, attemptId, effect, job, jobId, MINER, OTHER_MINER, runnerId, sectorRecord, storageMove, storagePath } from '../rows.ts';

const path = (id: string): StoragePath => storagePath(id, { allowMiners: ['t01000'], freeBytes: 2 ** 45, totalBytes: 2 ** 46 });
const row = (n: number, id: string, change: Partial<StoragePathRow> = {}): StoragePathRow => ({
  runner: runnerId(n),
  path: path(id),
  seenMs: 5,
  checking: null,
  ...change,
});

export function minerStorageConformance(fresh: () => Database): void {
  describe('miner storage', () => {
    test('paths go in and come out whole by runner and id; a second one replaces the first; they can be dropped', async () => {
      await fresh().use(async (store) => {
        const checked = row(1, 'a', { checking: { miner: MINER, number: 7, sinceMs: 9 }, seenMs: 6 });
        await store.commit((tx) => {
          for (const one of [row(2, 'b'), row(1, 'b'), row(1, 'a'), checked]) tx.putStoragePath(one);
        });
        expect(await store.commit((tx) => tx.storagePaths())).toEqual([checked, row(1, 'b'), row(2, 'b')]);
        expect(await store.commit((tx) => tx.storagePaths(runnerId(1)))).toEqual([checked, row(1, 'b')]);
        await store.commit((tx) => tx.deleteStoragePath(runnerId(1), 'b'));
        expect(await store.commit((tx) => tx.storagePaths())).toEqual([checked, row(2, 'b')]);
      });
    });

    test('room is taken while the attempt runs, and what an attempt put where stays known', async () => {
      await fresh().use(async (store) => {
        await store.commit((tx) => {
          tx.insertJob(job(1));
          for (const n of [1, 2, 3]) {
            tx.insertAttempt(attempt(n, { job: jobId(1), epoch: n, status: n === 1 ? 'failed' : 'running' }));
            tx.insertStoragePlace({ attempt: attemptId(n), job: jobId(1), storage: n === 3 ? 'b' : 'a', sizeBytes: 2 ** 40 + n });
          }
        });
        expect(await store.commit((tx) => [...tx.storageReserved()])).toEqual(
          expect.arrayContaining([
            ['a', 2 ** 40 + 2],
            ['b', 2 ** 40 + 3],
          ]),
        );
        const places = await store.commit((tx) =>
          tx.placesOfJob(jobId(1)).map(({ storage, status, sizeBytes }) => [storage, status, sizeBytes]),
        );
        expect(places).toEqual([
          ['b', 'running', 2 ** 40 + 3],
          ['a', 'running', 2 ** 40 + 2],
          ['a', 'failed', 2 ** 40 + 1],
        ]);
        expect(await store.commit((tx) => tx.placesOfJob(jobId(2)))).toEqual([]);
      });
    });

    test('sectors of a storage: counted, paged, and read in turn unless a live job has them', async () => {
      await fresh().use(async (store) => {
        const elsewhere = { files: { storage: 'other', root: '/o', files: [] } };
        await store.commit((tx) => {
          for (const record of [
            sectorRecord(1),
            sectorRecord(2),
            sectorRecord(3, elsewhere),
            sectorRecord(4),
            sectorRecord(2, { miner: OTHER_MINER }),
          ])
            tx.putSectorRecord(record);
          tx.insertJob(job(1, { number: 4, state: 'PC1Done' }));
          // A message of an ended job is still followed.
          tx.putSectorRecord(sectorRecord(5));
          tx.insertJob(job(2, { number: 5, state: 'Aborted' }));
          tx.insertEffect(effect(1, { job: jobId(2) }));
        });
        const numbers = (found: readonly { miner: string; number: number }[]): string[] =>
          found.map(({ miner, number }) => `${miner}/${number}`);
        const unchecked = (before: number): Promise<string[]> =>
          store.commit((tx) => numbers(tx.uncheckedIn('main', before, 9)).toSorted());
        const page = await store.commit((tx) => numbers(tx.sectorsIn('main', 2).map(({ record }) => record)));
        expect(page).toEqual(['t01000/1', 't01000/2']);
        const rest = await store.commit((tx) => numbers(tx.sectorsIn('main', 9, { miner: MINER, number: 2 }).map(({ record }) => record)));
        expect(rest).toEqual(['t01000/4', 't01000/5', 't02000/2']);
        expect(await store.commit((tx) => [tx.countSectorsIn('main'), tx.countSectorsIn('other'), tx.countSectorsIn('none')])).toEqual([
          5, 1, 0,
        ]);
        expect(await unchecked(0)).toEqual(['t01000/1', 't01000/2', 't02000/2']);
        const bad = [{ path: 'sealed/s-t01000-1', how: 'it is not there' }];
        await store.commit((tx) => {
          tx.setChecked(MINER, 1, 100, bad);
          tx.setChecked(MINER, 2, 200, []);
          tx.setChecked(OTHER_MINER, 2, 300, []);
        });
        expect(await unchecked(50)).toEqual([]);
        expect(await unchecked(250)).toEqual(['t01000/1', 't01000/2']);
        // What is put again keeps what was found.
        await store.commit((tx) => tx.putSectorRecord(sectorRecord(1)));
        expect(await store.commit((tx) => tx.storedSector(MINER, 1))).toEqual({
          record: sectorRecord(1),
          checkedMs: 100,
          damage: bad,
          declared: null,
        });
        expect(await store.commit((tx) => tx.checkAllIn('main'))).toBe(5);
        expect(await unchecked(0)).toEqual(['t01000/1', 't01000/2', 't02000/2']);
        expect(await store.commit((tx) => tx.storedSector(MINER, 99))).toBeUndefined();
      });
    });

    test('moves go in and come out whole, and take room while files are copied', async () => {
      await fresh().use(async (store) => {
        const asked = storageMove(2, {
          asked: { runner: runnerId(1), bootId: 'b', atMs: 7 },
          why: 'full',
          phase: 'undo',
          cause: 'request',
        });
        await store.commit((tx) => {
          for (const one of [storageMove(2), storageMove(1), asked, storageMove(1, { miner: OTHER_MINER, to: 'more', sizeBytes: 2 ** 40 })])
            tx.putStorageMove(one);
        });
        const reserved = () => store.commit((tx) => Object.fromEntries(tx.storageReserved()));
        expect(await store.commit((tx) => tx.storageMoves().map(({ miner, number }) => `${miner}/${number}`))).toEqual([
          't01000/1',
          't01000/2',
          't02000/1',
        ]);
        expect(await store.commit((tx) => [tx.storageMove(MINER, 2), tx.storageMove(MINER, 9)])).toEqual([asked, undefined]);
        expect(await reserved()).toEqual({ other: 4_096, more: 2 ** 40 });
        await store.commit((tx) => tx.deleteStorageMove(MINER, 1));
        expect(await reserved()).toEqual({ more: 2 ** 40 });
      });
    });

    test('what can be moved: whole sectors with known files that nobody has', async () => {
      await fresh().use(async (store) => {
        const file = { path: 'sealed/x', sizeBytes: '1', hash: `sha256:${'ab'.repeat(32)}` };
        const known = { files: { storage: 'main', root: '/storage', files: [file] } };
        await store.commit((tx) => {
          for (const n of [1, 2, 3, 4, 5]) tx.putSectorRecord(sectorRecord(n, known));
          tx.putSectorRecord(sectorRecord(6));
          tx.putSectorRecord(sectorRecord(7, { files: { ...known.files, files: [] } }));
          tx.putSectorRecord(sectorRecord(8, { files: { ...known.files, storage: 'other' } }));
          tx.insertJob(job(1, { number: 1, state: 'PC1Done' }));
          tx.insertJob(job(2, { number: 2, state: 'Finished' }));
          tx.setChecked(MINER, 3, 5, [{ path: 'sealed/x', how: 'it is not there' }]);
          tx.putStorageMove(storageMove(4));
        });
        const movable = (limit: number) => store.commit((tx) => tx.movableIn('main', limit).map(({ number }) => number));
        expect([await movable(9), await movable(1)]).toEqual([[2, 5], [2]]);
      });
    });

    test('whether somebody was told of a sector stays with it; those that nobody was told of are counted by storage', async () => {
      await fresh().use(async (store) => {
        await store.commit((tx) => {
          for (const n of [1, 2, 3, 4]) tx.putSectorRecord(sectorRecord(n));
          for (const n of [1, 2]) tx.setDeclared(MINER, n, 'no');
          tx.setDeclared(MINER, 3, 'yes');
          tx.putSectorRecord(sectorRecord(1));
        });
        const read = () =>
          store.commit((tx) => [
            [1, 2, 3, 4].map((n) => tx.storedSector(MINER, n)?.declared),
            tx.undeclaredIn('main', 9).map(({ number }) => number),
            tx.countUndeclaredIn('main'),
            tx.countUndeclaredIn('other'),
          ]);
        expect(await read()).toEqual([['no', 'no', 'yes', null], [1, 2], 2, 0]);
        await store.commit((tx) => {
          tx.setDeclared(MINER, 1, 'under_way');
          tx.setDeclared(MINER, 2, null);
        });
        expect(await read()).toEqual([['under_way', null, 'yes', null], [], 0, 0]);
        expect(await store.commit((tx) => tx.undeclaredIn('main', 1))).toEqual([]);
      });
    });
  });
}
