/** Jobs: whole rows, one live job per sector, listings and the queues the engine asks. */
import { describe, expect, test } from 'vitest';
import type { MinerId } from '../../../src/schema/ids.ts';
import type { Job, Waiting } from '../../../src/schema/job.ts';
import type { Stage } from '../../../src/schema/stage.ts';
import type { JobFilter, Page, Tx } from '../../../src/scheduler/ports.ts';
import type { Database } from '../conformance.ts';
import { attemptId, effect, effectId, job, jobId, MINER, OTHER_MINER, runnerId, sectorRecord } from '../rows.ts';

const WAITS: Waiting[] = [
  { for: 'thread' },
  { for: 'runner', stage: 'PC1', sinceMs: 5 },
  { for: 'runner', stage: 'PC1', sinceMs: 5, rankMs: -7 },
  { for: 'stage', stage: 'C2', attempt: attemptId(1) },
  { for: 'effect', effect: effectId(1) },
  { for: 'retry', untilMs: 9_007_199_254_740_991 },
  { for: 'operator' },
  { for: 'nothing' },
];

const insertAll = (tx: Tx, jobs: readonly Job[]): void => {
  for (const one of jobs) tx.insertJob(one);
};

export function jobsConformance(fresh: () => Database): void {
  describe('jobs', () => {
    test('a job goes in and comes out whole, whatever it waits for', async () => {
      await fresh().use(async (store) => {
        const jobs = WAITS.map((waiting, n) =>
          job(n, {
            waiting,
            number: n,
            paused: n % 2 === 1,
            thread: n % 3 === 0 ? 'local/0' : null,
            error: n === 2 ? { category: 'temporary', code: 'rpc_timeout', message: 'a sentence', atMs: 4 } : null,
            reserved: n === 1 ? { runner: runnerId(1), untilMs: 50 } : null,
          }),
        );
        await store.commit((tx) => insertAll(tx, jobs));
        expect(await store.commit((tx) => jobs.map((one) => tx.job(one.id)))).toEqual(jobs);
        const changed = jobs.map((one, n) => ({ ...one, waiting: WAITS[(n + 1) % WAITS.length] as Waiting, retries: 3, error: null }));
        await store.commit((tx) => {
          for (const one of changed) tx.updateJob(one);
        });
        expect(await store.commit((tx) => jobs.map((one) => tx.job(one.id)))).toEqual(changed);
        await expect(store.commit((tx) => tx.updateJob(job(99)))).rejects.toThrow(/j-job000099/);
      });
    });

    test('a sector has one live job at most, and is named by it, else by its last', async () => {
      await fresh().use(async (store) => {
        await store.commit((tx) =>
          insertAll(tx, [job(1, { number: 7, state: 'Finished' }), job(2, { number: 7, state: 'Aborted' }), job(3, { number: 7 })]),
        );
        await expect(store.commit((tx) => tx.insertJob(job(4, { number: 7 })))).rejects.toMatchObject({
          code: 'sector_has_live_job',
          status: 409,
        });
        await store.commit((tx) =>
          insertAll(tx, [job(5, { number: 7, miner: OTHER_MINER }), job(6), job(7), job(8, { number: 7, state: 'Aborted' })]),
        );
        // Taking the number by an update is refused alike.
        await expect(store.commit((tx) => tx.updateJob(job(6, { number: 7 })))).rejects.toMatchObject({ code: 'sector_has_live_job' });
        expect((await store.commit((tx) => tx.jobOfSector(MINER, 7)))?.id).toBe(jobId(3));
        await store.commit((tx) => tx.updateJob(job(3, { number: 7, state: 'Finished' })));
        expect((await store.commit((tx) => tx.jobOfSector(MINER, 7)))?.id).toBe(jobId(8));
        expect(await store.commit((tx) => tx.jobOfSector(MINER, 8))).toBeUndefined();
        await store.commit((tx) => tx.insertJob(job(9, { number: 7 })));
      });
    });

    test('a listing is newest first, in pages without gap or repeat while new jobs come', async () => {
      await fresh().use(async (store) => {
        await store.commit((tx) =>
          insertAll(
            tx,
            Array.from({ length: 25 }, (_, n) => job(n)),
          ),
        );
        const seen: string[] = [];
        let cursor: string | null = null;
        for (let page = 0; page < 3; page++) {
          const at: string | null = cursor;
          const found: Page<Job> = await store.commit((tx) => tx.jobs({}, 10, at));
          seen.push(...found.items.map((one) => one.id));
          cursor = found.cursor;
          await store.commit((tx) => tx.insertJob(job(100 + page)));
        }
        expect(seen).toEqual(Array.from({ length: 25 }, (_, n) => jobId(24 - n)));
        expect(cursor).toBeNull();
      });
    });

    test('each filter keeps what it says; a list of miners may be of any length', async () => {
      await fresh().use(async (store) => {
        await store.commit((tx) =>
          insertAll(tx, [
            job(1),
            job(2, { state: 'PC1Done' }),
            job(3, { miner: OTHER_MINER, number: 7 }),
            job(4, { paused: true, error: { category: 'permanent', code: 'ticket_expired', message: 'm', atMs: 1 } }),
          ]),
        );
        const find = (filter: JobFilter): Promise<string[]> => store.commit((tx) => tx.jobs(filter, 10, null).items.map((one) => one.id));
        expect(await find({ state: 'PC1Done' })).toEqual([jobId(2)]);
        expect(await find({ plan: 'sealer' })).toHaveLength(4);
        expect(await find({ miner: OTHER_MINER })).toEqual([jobId(3)]);
        expect(await find({ paused: true })).toEqual([jobId(4)]);
        expect(await find({ paused: false, miner: MINER })).toEqual([jobId(2), jobId(1)]);
        expect(await find({ miner: OTHER_MINER, number: 7 })).toEqual([jobId(3)]);
        expect(await find({ miner: MINER, number: 7 })).toEqual([]);
        expect(await find({ error: 'ticket_expired' })).toEqual([jobId(4)]);
        expect(await find({ miners: [] })).toEqual([]);
        const many = Array.from({ length: 1_000 }, (_, n) => `t0${5_000 + n}` as MinerId);
        expect(await find({ miners: [...many, OTHER_MINER] })).toEqual([jobId(3)]);
      });
    });

    test('queues: live and not paused only, oldest or longest waiting first, limited', async () => {
      await fresh().use(async (store) => {
        const forRunner = (stage: 'PC1' | 'C2', sinceMs: number, rankMs = sinceMs): Partial<Job> => ({
          state: 'X',
          waiting: { for: 'runner', stage, sinceMs, ...(rankMs === sinceMs ? {} : { rankMs }) },
        });
        await store.commit((tx) =>
          insertAll(tx, [
            job(1),
            job(2, { miner: OTHER_MINER }),
            job(3, { paused: true }),
            job(4, { state: 'Aborted' }),
            job(5),
            job(10, forRunner('PC1', 300)),
            job(11, forRunner('C2', 900, -100)),
            job(12, forRunner('PC1', 200)),
            job(13, { ...forRunner('PC1', 1), paused: true }),
            job(20, { waiting: { for: 'retry', untilMs: 50 } }),
            job(21, { waiting: { for: 'retry', untilMs: 40 } }),
            job(22, { waiting: { for: 'retry', untilMs: 51 } }),
            job(30, { waiting: { for: 'nothing' }, reserved: { runner: runnerId(1), untilMs: 50 } }),
            job(31, { waiting: { for: 'nothing' }, reserved: { runner: runnerId(1), untilMs: 51 } }),
            job(32, { waiting: { for: 'nothing' }, reserved: { runner: runnerId(2), untilMs: 99 } }),
          ]),
        );
        const ids = (read: (tx: Tx) => readonly Job[]): Promise<string[]> => store.commit((tx) => read(tx).map((one) => one.id));
        expect(await ids((tx) => tx.jobsForThread('sealer', null, 9))).toEqual([1, 2, 5].map(jobId));
        expect(await ids((tx) => tx.jobsForThread('sealer', null, 2))).toEqual([1, 2].map(jobId));
        expect(await ids((tx) => tx.jobsForThread('sealer', OTHER_MINER, 9))).toEqual([jobId(2)]);
        expect(await ids((tx) => tx.jobsForRunner(['PC1', 'C2'], 9))).toEqual([11, 12, 10].map(jobId));
        expect(await ids((tx) => tx.jobsForRunner(['PC1'], 1))).toEqual([jobId(12)]);
        expect(await ids((tx) => tx.jobsForRunner(['PC1', 'C2'], 1, 1))).toEqual([jobId(12)]);
        expect(await ids((tx) => tx.jobsForRunner([], 9))).toEqual([]);
        const counted = (tx: Tx): number[] => [tx.countForRunner('PC1', 9), tx.countForRunner('PC1', 1), tx.countForRunner('PC2', 9)];
        expect(await store.commit(counted)).toEqual([2, 1, 0]);
        expect(await ids((tx) => tx.jobsDue(50, 9))).toEqual([21, 20].map(jobId));
        expect(await store.commit((tx) => tx.reservedOn(runnerId(1), 50))).toEqual([jobId(31)]);
      });
    });

    test('counts for metrics: by plan, queue of runners, first pre-commit that is not proven, open effects', async () => {
      await fresh().use(async (store) => {
        const data = (landedEpoch: number, proven?: number) => ({
          ...job(1).data,
          preCommit: { cid: 'bafy', nonce: 1, try: 1, landedEpoch },
          ...(proven === undefined ? {} : { proveCommit: { cid: 'bafz', nonce: 2, try: 1, landedEpoch: proven } }),
        });
        const waits = (stage: Stage) => ({ waiting: { for: 'runner' as const, stage, sinceMs: 5 } });
        expect(await store.commit((tx) => [tx.countSectors(), tx.countQueued(), tx.firstUnproven(), tx.countOpenEffects()])).toEqual([
          [],
          [],
          undefined,
          [],
        ]);
        await store.commit((tx) => {
          insertAll(tx, [
            job(1, waits('PC1')),
            job(2, { ...waits('C2'), data: data(700) }),
            job(3, { ...waits('C2'), data: data(600) }),
            // Paused: nobody gives it to a runner.
            job(4, { ...waits('C2'), paused: true, data: data(800) }),
            job(5, { data: data(500, 650) }),
            job(6, { state: 'Aborted', data: data(400) }),
            job(7, { plan: 'snapup' }),
          ]);
          tx.insertEffect(effect(1));
          tx.insertEffect(effect(2, { step: 'Delete', want: { kind: 'delete', keys: [] } }));
          tx.insertEffect(effect(3, { step: 'Delete', try: 3, want: { kind: 'delete', keys: [] }, status: 'done' }));
        });
        const [sectors, queued, unproven, effects] = await store.commit((tx) => [
          tx.countSectors(),
          tx.countQueued(),
          tx.firstUnproven(),
          tx.countOpenEffects(),
        ]);
        expect(sectors).toHaveLength(4);
        expect(sectors).toEqual(
          expect.arrayContaining([
            { plan: 'sealer', state: 'Empty', paused: false, count: 4 },
            { plan: 'sealer', state: 'Empty', paused: true, count: 1 },
            { plan: 'sealer', state: 'Aborted', paused: false, count: 1 },
            { plan: 'snapup', state: 'Empty', paused: false, count: 1 },
          ]),
        );
        expect(queued).toHaveLength(2);
        expect(queued).toEqual(
          expect.arrayContaining([
            { stage: 'PC1', count: 1 },
            { stage: 'C2', count: 2 },
          ]),
        );
        expect(unproven).toBe(600);
        expect(effects).toHaveLength(2);
        expect(effects).toEqual(
          expect.arrayContaining([
            { kind: effect(1).want.kind, count: 1 },
            { kind: 'delete', count: 1 },
          ]),
        );
      });
    });

    test('counts by state and pause', async () => {
      await fresh().use(async (store) => {
        await store.commit((tx) => insertAll(tx, [job(1), job(2), job(3, { paused: true }), job(4, { state: 'PC1Done' })]));
        const counts = await store.commit((tx) => tx.countJobs());
        expect(counts).toHaveLength(3);
        expect(counts).toEqual(
          expect.arrayContaining([
            { state: 'Empty', paused: false, count: 2 },
            { state: 'Empty', paused: true, count: 1 },
            { state: 'PC1Done', paused: false, count: 1 },
          ]),
        );
      });
    });

    test('the next sector number is one above all jobs and records of the range, whatever lies outside of it', async () => {
      await fresh().use(async (store) => {
        const next = (first: number, last: number): Promise<number> => store.commit((tx) => tx.nextSectorNumber(MINER, first, last));
        expect(await next(100, 199)).toBe(100);
        await store.commit((tx) => {
          insertAll(tx, [job(1, { number: 7 }), job(2, { number: 120 }), job(3, { number: 500, miner: OTHER_MINER }), job(4)]);
          tx.putSectorRecord(sectorRecord(300));
        });
        expect(await Promise.all([next(100, 199), next(0, 99), next(200, 299)])).toEqual([121, 8, 200]);
        // The last one of the range is used: those below it that nobody has are left.
        expect(await Promise.all([next(100, 120), next(7, 7), next(119, 120)])).toEqual([100, 8, 119]);
        await store.commit((tx) => {
          for (const number of [119, 150]) tx.putSectorRecord(sectorRecord(number));
          tx.putSectorRecord(sectorRecord(160, { miner: OTHER_MINER }));
        });
        expect(await Promise.all([next(100, 199), next(100, 149), next(300, 400)])).toEqual([151, 121, 301]);
        expect(await Promise.all([next(119, 120), next(118, 120), next(120, 120)])).toEqual([121, 118, 121]);
        await store.commit((tx) => tx.putSectorRecord(sectorRecord(118)));
        expect(await Promise.all([next(118, 120), next(117, 120)])).toEqual([121, 117]);
      });
    });

    test('live jobs come in pages, newest first, without those that ended', async () => {
      await fresh().use(async (store) => {
        const state = (n: number): string => (n % 3 === 0 ? 'Finished' : n % 3 === 1 ? 'Aborted' : 'PC1Done');
        await store.commit((tx) =>
          insertAll(
            tx,
            Array.from({ length: 15 }, (_, n) => job(n, { state: state(n), paused: n === 5 })),
          ),
        );
        const first = await store.commit((tx) => tx.liveJobs(3, null));
        expect(first.items.map((one) => one.id)).toEqual([14, 11, 8].map(jobId));
        const second = await store.commit((tx) => tx.liveJobs(3, first.cursor));
        expect(second.items).toEqual([job(5, { state: 'PC1Done', paused: true }), job(2, { state: 'PC1Done' })]);
        expect(second.cursor).toBeNull();
      });
    });
  });
}
