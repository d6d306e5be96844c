/** Events, attempts and leases, runners, tokens, pieces, threads. */
import { manifestOf } from '../../../src/schema/manifest.ts';
import { expect, test } from 'vitest';
import type { Attempt } from '../../../src/schema/job.ts';
import type { TokenId } from '../../../src/schema/ids.ts';
import type { ThreadRow, Tx } from '../../../src/scheduler/ports.ts';
import type { Database } from '../conformance.ts';
import { apiToken, attempt, attemptId, event, job, jobId, MINER, OTHER_MINER, piece, runner, runnerId } from '../rows.ts';

const LOST: Partial<Attempt> = {
  status: 'lost',
  failure: 'gone',
  endedMs: 9,
  fraction: 0.25,
  secondsLeft: 1.5,
  expected: { fetchMs: 1, stageMs: 2.5, ramBytes: 3, diskBytes: 4 },
};

export function rowsConformance(fresh: () => Database): void {
  test('events are numbered in order and read after a number, or the newest of a job', async () => {
    await fresh().use(async (store) => {
      const made = await store.commit((tx) => {
        for (const n of [1, 2]) tx.insertJob(job(n));
        return [event(1), event(2), event(1, { kind: 'note', from: null, to: null, event: null, detail: {} })].map((one) =>
          tx.appendEvent(one),
        );
      });
      const [first, second, third] = made.map((one) => one.seq) as [number, number, number];
      expect(first < second && second < third).toBe(true);
      const [all, later, ofJob, one] = await store.commit(
        (tx) => [tx.eventsAfter(0, 10), tx.eventsAfter(first, 10), tx.eventsOfJob(jobId(1), 10), tx.eventsOfJob(jobId(1), 1)] as const,
      );
      expect(all).toEqual(made);
      expect(later).toEqual([made[1], made[2]]);
      expect(ofJob).toEqual([made[0], made[2]]);
      expect(one).toEqual([made[2]]);
      await expect(store.commit((tx) => tx.appendEvent(event(9)))).rejects.toThrow();
    });
  });

  test('attempts: whole rows, lease epochs that never repeat, expiry and extension', async () => {
    await fresh().use(async (store) => {
      await store.commit((tx) => {
        tx.insertJob(job(1));
        tx.insertAttempt(attempt(1, LOST));
        tx.insertAttempt(attempt(2, { leaseUntilMs: 200 }));
        tx.insertAttempt(attempt(3, { stage: 'C2', leaseUntilMs: 100 }));
        tx.insertAttempt(attempt(4, { stage: 'AddPiece', runner: runnerId(2), leaseUntilMs: 300 }));
      });
      await expect(store.commit((tx) => tx.insertAttempt(attempt(9, { epoch: 2 })))).rejects.toThrow();
      const read = await store.commit((tx) => ({
        lost: tx.attempt(attemptId(1)),
        none: tx.attempt(attemptId(99)),
        ofJob: tx.attemptsOfJob(jobId(1)).map((one) => one.id),
        running: tx.runningAttempts(runnerId(1)).map((one) => one.id),
        on: tx.runningOn([runnerId(1), runnerId(9)]),
        epochs: [tx.lastEpoch(jobId(1), 'PC1'), tx.lastEpoch(jobId(1), 'Persist')],
        expired: tx.expiredAttempts(201, 9).map((one) => one.id),
        first: tx.expiredAttempts(201, 1).map((one) => one.id),
        atEnd: tx.expiredAttempts(100, 9),
      }));
      expect(read).toEqual({
        lost: attempt(1, LOST),
        none: undefined,
        ofJob: [1, 2, 3, 4].map(attemptId),
        running: [2, 3].map(attemptId),
        on: ['PC1', 'C2'].map((stage) => ({ runner: runnerId(1), stage, grantedMs: 1_000, secondsLeft: null, fraction: null })),
        epochs: [2, 0],
        expired: [3, 2].map(attemptId),
        first: [attemptId(3)],
        atEnd: [],
      });
      await store.commit((tx) => {
        tx.extendLeases(1_000, 2_000);
        tx.updateAttempt(attempt(2, { status: 'done', logTail: 'the end' }));
      });
      const [lost, done, extended] = await store.commit((tx) => [1, 2, 3].map((n) => tx.attempt(attemptId(n))));
      expect(lost?.leaseUntilMs).toBe(20_000);
      expect(done).toEqual(attempt(2, { status: 'done', logTail: 'the end' }));
      expect(extended?.leaseUntilMs).toBe(1_100);
      // Granted a moment ago: it was kept waiting no longer than that.
      const late = await store.commit((tx) => (tx.extendLeases(1_000, 1_020), tx.attempt(attemptId(3))));
      expect(late?.leaseUntilMs).toBe(1_120);
    });
  });

  test('running attempts are counted by stage and by the thread of their job', async () => {
    await fresh().use(async (store) => {
      await store.commit((tx) => {
        tx.insertJob(job(1, { thread: 'local/0' }));
        tx.insertJob(job(2, { thread: 'local/1' }));
        tx.insertJob(job(3));
        tx.insertAttempt(attempt(1));
        tx.insertAttempt(attempt(2, { stage: 'C2' }));
        tx.insertAttempt(attempt(3, { job: jobId(2), stage: 'C2' }));
        tx.insertAttempt(attempt(4, { job: jobId(2), stage: 'C2' }));
        tx.insertAttempt(attempt(5, { job: jobId(3), stage: 'C2' }));
        tx.insertAttempt(attempt(6, { status: 'lost' }));
      });
      const counted = await store.commit((tx) => tx.runningByThread());
      expect(counted).toHaveLength(4);
      expect(counted).toEqual(
        expect.arrayContaining([
          { stage: 'PC1', thread: 'local/0', count: 1 },
          { stage: 'C2', thread: 'local/0', count: 1 },
          { stage: 'C2', thread: 'local/1', count: 2 },
          { stage: 'C2', thread: null, count: 1 },
        ]),
      );
    });
  });

  test('a manifest belongs to a key: put again it is replaced, dropped it is gone', async () => {
    await fresh().use(async (store) => {
      const [one, other] = [manifestOf(64, [1, 2]), manifestOf(2 ** 26, [2 ** 32 - 1])];
      await store.commit((tx) => tx.putManifest('k/one', other));
      await store.commit((tx) => {
        tx.putManifest('k/one', one);
        tx.putManifest('k/two', other);
      });
      expect(await store.commit((tx) => [tx.manifest('k/one'), tx.manifest('k/two'), tx.manifest('k')])).toEqual([one, other, undefined]);
      await store.commit((tx) => {
        tx.dropManifest('k/one');
        tx.dropManifest('k');
      });
      expect(await store.commit((tx) => [tx.manifest('k/one'), tx.manifest('k/two')])).toEqual([undefined, other]);
    });
  });

  test('uploads belong to an attempt and go with one call', async () => {
    await fresh().use(async (store) => {
      const uploads = ['cache/p_aux', 'sealed'].map((name) => ({ attempt: attemptId(1), name, key: `k/${name}`, uploadId: `u-${name}` }));
      await store.commit((tx) => {
        tx.insertJob(job(1));
        tx.insertAttempt(attempt(1));
        tx.insertAttempt(attempt(2));
        for (const upload of uploads) tx.insertUpload(upload);
        tx.insertUpload({ ...(uploads[0] as (typeof uploads)[0]), attempt: attemptId(2) });
      });
      await expect(store.commit((tx) => tx.insertUpload(uploads[0] as (typeof uploads)[0]))).rejects.toThrow();
      expect(await store.commit((tx) => tx.uploadsOfAttempt(attemptId(1)))).toEqual(uploads);
      const [first] = uploads as [(typeof uploads)[0]];
      await store.commit((tx) => tx.deleteUpload(first.attempt, first.name));
      expect(await store.commit((tx) => tx.uploadsOfAttempt(attemptId(1)))).toEqual(uploads.slice(1));
      await store.commit((tx) => tx.deleteUploads(attemptId(1)));
      expect(await store.commit((tx) => [tx.uploadsOfAttempt(attemptId(1)).length, tx.uploadsOfAttempt(attemptId(2)).length])).toEqual([
        0, 1,
      ]);
    });
  });

  test('runners are found by id and credential; a join token is burnt by exactly one of many', async () => {
    await fresh().use(async (store) => {
      await store.commit((tx) => {
        tx.insertRunner(runner(1));
        tx.insertRunner(runner(2, { trust: 'own', storage: ['main'] }));
        tx.insertJoinToken({ hash: 'join', trust: 'own', labels: ['eu'], expiresMs: 99, usedBy: null });
      });
      await expect(store.commit((tx) => tx.insertRunner(runner(3, { credentialHash: 'hash-1' })))).rejects.toThrow();
      const rented = (tx: Tx): boolean[] => [
        tx.anyRented('PC1', runner(1).lastSeenMs),
        tx.anyRented('PC1', runner(1).lastSeenMs + 1),
        tx.anyRented('Persist', 0),
      ];
      expect(await store.commit(rented)).toEqual([true, false, false]);
      const changed = runner(1, {
        status: 'quarantined',
        reason: 'a proof with a flipped bit',
        strikes: 3,
        slots: 2,
        stageMs: { 'PC1/2048': 70 },
        cached: ['jobs/j-1/a-1/sealed'],
      });
      const silent = { ...runner(2, { trust: 'own', storage: ['main'] }), silentSinceMs: 5 };
      const there = (tx: Tx): string[] => tx.readyRunners('PC1', 0, 9, 0).map(({ id }) => id);
      expect(await store.commit(there)).toEqual([runnerId(1), runnerId(2)]);
      await store.commit((tx) => tx.updateRunner(silent));
      expect(await store.commit((tx) => [tx.runner(runnerId(2)), there(tx)])).toEqual([silent, [runnerId(1)]]);
      await store.commit((tx) => tx.touchRunner(runnerId(2), silent.lastSeenMs));
      expect(await store.commit(there)).toEqual([runnerId(1), runnerId(2)]);
      await store.commit((tx) => tx.updateRunner({ ...changed, lastSeenMs: changed.lastSeenMs - 1 }));
      await store.commit((tx) => tx.touchRunner(changed.id, changed.lastSeenMs));
      expect(
        await store.commit((tx) => [
          tx.runner(runnerId(1)),
          tx.runnerByCredential('hash-2')?.id,
          tx.runnerByCredential('x'),
          tx.runners().length,
        ]),
      ).toEqual([changed, runnerId(2), undefined, 2]);
      const burnt = await Promise.all(Array.from({ length: 50 }, (_, n) => store.commit((tx) => tx.burnJoinToken('join', runnerId(n)))));
      expect(burnt.filter(Boolean)).toEqual([true]);
      expect(await store.commit((tx) => tx.joinToken('join'))).toEqual({
        hash: 'join',
        trust: 'own',
        labels: ['eu'],
        expiresMs: 99,
        usedBy: runnerId(0),
      });
      expect(await store.commit((tx) => [tx.burnJoinToken('other', runnerId(1)), tx.joinToken('other')])).toEqual([false, undefined]);
    });
  });

  test('API tokens are found by hash and revoked once', async () => {
    await fresh().use(async (store) => {
      await store.commit((tx) => {
        tx.insertApiToken(apiToken(1));
        tx.insertApiToken(apiToken(2, { role: 'admin', miners: null }));
      });
      const [revoked, again, unknown] = await store.commit((tx) => [
        tx.revokeApiToken(apiToken(1).id, 7),
        tx.revokeApiToken(apiToken(1).id, 8),
        tx.revokeApiToken('t-nothing' as TokenId, 8),
      ]);
      expect([revoked, again, unknown]).toEqual([true, false, false]);
      expect(await store.commit((tx) => [tx.apiTokenByHash('token-hash-1'), tx.apiTokenByHash('x')])).toEqual([
        apiToken(1, { revokedMs: 7 }),
        undefined,
      ]);
      expect(await store.commit((tx) => tx.apiTokens())).toEqual([
        apiToken(1, { revokedMs: 7 }),
        apiToken(2, { role: 'admin', miners: null }),
      ]);
    });
  });

  test('pieces wait for a job, oldest first', async () => {
    await fresh().use(async (store) => {
      await store.commit((tx) => {
        for (const one of [piece(1, { job: jobId(1) }), piece(3), piece(2), piece(4, { miner: OTHER_MINER })]) tx.insertPiece(one);
      });
      expect(await store.commit((tx) => tx.waitingPieces(MINER, 9))).toEqual([piece(3), piece(2)]);
      expect(await store.commit((tx) => tx.waitingPieces(MINER, 1))).toEqual([piece(3)]);
      const named = [piece(5, { reserved: true }), piece(6, { reserved: true, job: jobId(1) })];
      await store.commit((tx) => {
        for (const one of named) tx.insertPiece(one);
      });
      expect(await store.commit((tx) => [tx.waitingPieces(MINER, 9), tx.reservedPieces(MINER, 9)])).toEqual([
        [piece(3), piece(2)],
        [named[0]],
      ]);
      const taken = piece(3, { job: jobId(2), cid: 'baga' });
      await store.commit((tx) => tx.updatePiece(taken));
      expect(await store.commit((tx) => [tx.piece(taken.id), ...tx.waitingPieces(MINER, 9)])).toEqual([taken, piece(2)]);
    });
  });

  test('threads are put, replaced and deleted', async () => {
    await fresh().use(async (store) => {
      const thread = (index: number, change: Partial<ThreadRow> = {}): ThreadRow => ({
        id: `local/${index}`,
        worker: 'local',
        index,
        plan: 'sealer',
        miner: null,
        auto: false,
        enabled: true,
        job: null,
        ...change,
      });
      await store.commit((tx) => {
        for (const index of [10, 2]) tx.putThread(thread(index));
        tx.putThread(thread(2, { auto: true, enabled: false, job: jobId(1), miner: MINER }));
      });
      expect(await store.commit((tx) => tx.threads())).toEqual([
        thread(2, { auto: true, enabled: false, job: jobId(1), miner: MINER }),
        thread(10),
      ]);
      await store.commit((tx) => {
        tx.putThread(thread(11, { enabled: false }));
        tx.putThread(thread(3, { job: jobId(2) }));
        tx.putThread(thread(4, { worker: 'early', id: 'early/4', plan: 'snapup', miner: MINER }));
      });
      const free = (): Promise<string[]> => store.commit((tx) => tx.freeThreads().map(({ id }) => id));
      expect(await free()).toEqual(['early/4', 'local/10']);
      await store.commit((tx) => {
        tx.putThread(thread(3));
        tx.putThread(thread(10, { job: jobId(3) }));
        tx.deleteThread('early/4');
        tx.deleteThread('local/11');
      });
      expect(await free()).toEqual(['local/3']);
      await store.commit((tx) => {
        tx.deleteThread('local/3');
        tx.putThread(thread(10));
        tx.deleteThread('local/2');
      });
      expect(await store.commit((tx) => [tx.thread('local/2'), tx.thread('local/10')])).toEqual([undefined, thread(10)]);
    });
  });
}
