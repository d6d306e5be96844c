/** commit(): all or nothing, one after the other, durable, never asynchronous. */
import { describe, expect, test } from 'vitest';
import type { Tx } from '../../../src/scheduler/ports.ts';
import type { Database } from '../conformance.ts';
import { event, job, jobId } from '../rows.ts';

export function transactionConformance(fresh: () => Database): void {
  describe('commit', () => {
    test('what was committed is there after the database is opened again', async () => {
      const db = fresh();
      await db.use((store) => store.commit((tx) => tx.insertJob(job(1))));
      await db.use((store) => store.commit((tx) => tx.setMeta('alive', '7')));
      const [found, alive] = await db.use((store) => store.commit((tx) => [tx.job(jobId(1)), tx.meta('alive')] as const));
      expect(found).toEqual(job(1));
      expect(alive).toBe('7');
    });

    test('one request that fails takes nothing of the others in its turn with it', async () => {
      await fresh().use(async (store) => {
        const results = await Promise.allSettled([
          store.commit((tx) => tx.insertJob(job(1))),
          store.commit((tx) => {
            tx.insertJob(job(2));
            tx.appendEvent(event(2));
            throw new Error('changed my mind');
          }),
          store.commit((tx) => {
            tx.insertJob(job(3));
            tx.insertJob(job(3));
          }),
          store.commit((tx) => tx.insertJob(job(4))),
        ]);
        expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
        expect(results[1]).toMatchObject({ reason: { message: 'changed my mind' } });
        const ids = await store.commit((tx) => tx.jobs({}, 10, null).items.map((found) => found.id));
        expect(ids).toEqual([jobId(4), jobId(1)]);
        expect(await store.commit((tx) => tx.eventsAfter(0, 10))).toEqual([]);
      });
    });

    test('requests of one turn see what those before them wrote', async () => {
      await fresh().use(async (store) => {
        const counts = Array.from({ length: 20 }, () =>
          store.commit((tx) => {
            const count = Number(tx.meta('count') ?? '0') + 1;
            tx.setMeta('count', String(count));
            return count;
          }),
        );
        expect(await Promise.all(counts)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
      });
    });

    test('a savepoint that fails takes only its own writes with it, in another one too', async () => {
      await fresh().use(async (store) => {
        const fails = (tx: Tx, step: () => void): void =>
          expect(() =>
            tx.savepoint(() => {
              step();
              throw new Error('changed my mind');
            }),
          ).toThrow(/changed my mind|UNIQUE/);
        await store.commit((tx) => {
          tx.insertJob(job(1));
          fails(tx, () => tx.insertJob(job(2)));
          tx.savepoint(() => {
            tx.insertJob(job(3));
            fails(tx, () => tx.insertJob(job(3)));
            fails(tx, () => tx.insertJob(job(4)));
          });
          fails(tx, () => tx.savepoint(() => tx.insertJob(job(5))));
        });
        expect((await store.commit((tx) => tx.jobs({}, 10, null))).items.map(({ id }) => id)).toEqual([jobId(3), jobId(1)]);
      });
    });

    test('an asynchronous function is refused and writes nothing', async () => {
      await fresh().use(async (store) => {
        const sneaky = (tx: Tx): unknown => Promise.resolve(tx.setMeta('early', 'x'));
        await expect(store.commit(sneaky)).rejects.toThrow(/asynchronous/);
        // @ts-expect-error a promise does not compile
        await expect(store.commit(async (tx) => tx.setMeta('early', 'x'))).rejects.toThrow(/asynchronous/);
        expect(await store.commit((tx) => tx.meta('early'))).toBeUndefined();
      });
    });

    test('a Tx kept beyond its commit is of no use', async () => {
      await fresh().use(async (store) => {
        let kept: Tx | undefined;
        await store.commit((tx) => {
          kept = tx;
        });
        expect(() => kept?.setMeta('late', 'x')).toThrow(/outside commit/);
        expect(() => kept?.meta('late')).toThrow(/outside commit/);
      });
    });

    test('a value that only one engine takes is refused on both, and nothing of the request stays', async () => {
      await fresh().use(async (store) => {
        for (const wrong of [true, new Date(5), 5n, undefined, Number.NaN]) {
          const attempt = store.commit((tx) => {
            tx.setMeta('before', 'x');
            tx.insertJob(job(1, { retries: wrong as unknown as number }));
          });
          await expect(attempt).rejects.toThrow();
        }
        expect(await store.commit((tx) => [tx.meta('before'), tx.job(jobId(1))])).toEqual([undefined, undefined]);
      });
    });

    test('a row of 1.7 MB fits, one of 2 MB is refused with a clear error', async () => {
      await fresh().use(async (store) => {
        const long = 'x'.repeat(1_700_000);
        await store.commit((tx) => tx.setMeta('long', long));
        expect(await store.commit((tx) => tx.meta('long')?.length)).toBe(long.length);
        await expect(store.commit((tx) => tx.setMeta('long', 'x'.repeat(2_000_000)))).rejects.toMatchObject({ code: 'row_too_large' });
      });
    });

    test('facts are overwritten, text comes back as it was', async () => {
      await fresh().use(async (store) => {
        const text = `it's "quoted" \\ — ü 🦀 \n 中 'x'; drop table jobs;--`;
        await store.commit((tx) => tx.setMeta(text, 'first'));
        await store.commit((tx) => tx.setMeta(text, text));
        expect(await store.commit((tx) => [tx.meta(text), tx.meta('other')])).toEqual([text, undefined]);
      });
    });
  });
}
