/** Sector records: whole, replaced by their key, listed by miner and number, and those that a snap may take. */
import { describe, expect, test } from 'vitest';
import type { MinerId } from '../../../src/schema/ids.ts';
import type { PlacedPiece, SectorRecord } from '../../../src/schema/sector-record.ts';
import type { Page, SectorRecordFilter, Store } from '../../../src/scheduler/ports.ts';
import type { Database } from '../conformance.ts';
import { job, MINER, OTHER_MINER, sectorRecord } from '../rows.ts';

const PIECE: PlacedPiece = { cid: 'baga6ea4seaq', paddedSizeBytes: '2048', offsetBytes: '0' };
const COMMITMENT = { cid: 'bagboea4b5abc', hex: 'ef'.repeat(32) };

const put = (store: Store, records: readonly SectorRecord[]): Promise<void> =>
  store.commit((tx) => {
    for (const record of records) tx.putSectorRecord(record);
  });

export function sectorRecordsConformance(fresh: () => Database): void {
  describe('sector records', () => {
    test('a record goes in and comes out whole, and a second one of the sector replaces it', async () => {
      const database = fresh();
      const bare = sectorRecord(0, { ticket: null, files: null, source: 'csv' });
      const upgraded = sectorRecord(0, {
        pieces: [],
        update: { commR: COMMITMENT, commD: COMMITMENT, pieces: [PIECE] },
        files: { storage: 'main', root: '/s', files: [{ path: 'update/s-t01000-0', sizeBytes: '2048', hash: 'sha256:aa' }] },
        replicaUpdate: 'bafy2bzaced',
      });
      const other = sectorRecord(0, { miner: OTHER_MINER });
      await database.use((store) => put(store, [bare, other]));
      const read = () => database.use((store) => store.commit((tx) => [tx.sectorRecord(MINER, 0), tx.sectorRecord(OTHER_MINER, 0)]));
      expect(await read()).toEqual([bare, other]);
      await database.use((store) => put(store, [upgraded]));
      expect(await read()).toEqual([upgraded, other]);
      expect(await database.use((store) => store.commit((tx) => tx.sectorRecord(MINER, 1)))).toBeUndefined();
    });

    test('a listing goes by miner and number, of all miners, of one, or of those a token is for', async () => {
      await fresh().use(async (store) => {
        const third = 't03000' as MinerId;
        const made = [MINER, OTHER_MINER, third].flatMap((miner) => [10, 9, 2].map((number) => sectorRecord(number, { miner })));
        await put(store, made);
        const walk = async (filter: SectorRecordFilter, limit: number): Promise<string[]> => {
          const seen: string[] = [];
          let cursor: string | null = null;
          do {
            const at: string | null = cursor;
            const page: Page<SectorRecord> = await store.commit((tx) => tx.sectorRecords(filter, limit, at));
            seen.push(...page.items.map(({ miner, number }) => `${miner}-${number}`));
            cursor = page.cursor;
          } while (cursor !== null);
          return seen;
        };
        const of = (miner: MinerId): string[] => [2, 9, 10].map((number) => `${miner}-${number}`);
        for (const limit of [1, 2, 3, 4, 9, 100]) {
          expect(await walk({}, limit)).toEqual([...of(MINER), ...of(OTHER_MINER), ...of(third)]);
          expect(await walk({ miner: OTHER_MINER }, limit)).toEqual(of(OTHER_MINER));
          expect(await walk({ miners: [third, MINER, third] }, limit)).toEqual([...of(MINER), ...of(third)]);
        }
        expect(await walk({ miners: [] }, 9)).toEqual([]);
        expect(await walk({ miner: OTHER_MINER, miners: [MINER] }, 9)).toEqual([]);
        expect(await walk({ miner: MINER, miners: [MINER, third] }, 9)).toEqual(of(MINER));
      });
    });

    test('a snap may take committed capacity with known files that no live job has', async () => {
      await fresh().use(async (store) => {
        await put(store, [
          sectorRecord(1),
          sectorRecord(2, { pieces: [PIECE] }),
          sectorRecord(3, { update: { commR: COMMITMENT, commD: COMMITMENT, pieces: [PIECE] } }),
          sectorRecord(4, { files: null }),
          sectorRecord(5),
          sectorRecord(6),
          sectorRecord(7),
          sectorRecord(5, { miner: OTHER_MINER }),
        ]);
        await store.commit((tx) => {
          tx.insertJob(job(1, { number: 5, state: 'PC1Done' }));
          tx.insertJob(job(2, { number: 6, state: 'Finished' }));
          tx.insertJob(job(3, { number: 6, state: 'Aborted' }));
          tx.insertJob(job(4, { number: 7, miner: OTHER_MINER }));
        });
        const numbers = (from: number, limit: number): Promise<number[]> =>
          store.commit((tx) => tx.snapCandidates(MINER, from, limit).map(({ number }) => number));
        expect(await numbers(0, 9)).toEqual([1, 6, 7]);
        expect(await numbers(2, 1)).toEqual([6]);
        expect(await numbers(7, 9)).toEqual([7]);
        expect(await numbers(8, 9)).toEqual([]);
        // The job ends and its snap is recorded: one is free again, one is no candidate any more.
        await store.commit((tx) => tx.updateJob(job(1, { number: 5, state: 'Aborted' })));
        await put(store, [sectorRecord(1, { update: { commR: COMMITMENT, commD: COMMITMENT, pieces: [PIECE] } })]);
        expect(await numbers(0, 9)).toEqual([5, 6, 7]);
        expect(await store.commit((tx) => tx.snapCandidates(OTHER_MINER, 0, 9))).toEqual([sectorRecord(5, { miner: OTHER_MINER })]);
      });
    });
  });
}
