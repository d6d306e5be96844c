/** A database that the first version made: brought forward with every row, and used by this one. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { openNodeStore } from '../../src/store/node.ts';
import { apiToken, attempt, attemptId, effect, event, job, jobId, MINER, piece, runner, runnerId, sectorRecord } from './rows.ts';

/** Written by the first version from rows of `rows.ts`, then dumped. */
const VERSION_1 = readFileSync(new URL('version-1.sql', import.meta.url), 'utf8');

test('a database of version 1 keeps its rows, and has what this version adds', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sealpool-upgrade-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'a.db');
  const old = new Database(path);
  old.exec(VERSION_1);
  old.close();
  const store = openNodeStore({ path, onFatal: (error) => expect.fail(error.message) });
  onTestFinished(() => store.close());
  const sealing = job(1, {
    number: 7,
    state: 'PC1Done',
    thread: 'local/0',
    waiting: { for: 'stage', stage: 'PC2', attempt: attemptId(2) },
  });
  const sealed = job(2, { number: 3, state: 'Finished', waiting: { for: 'nothing' } });
  const paused = job(3, {
    paused: true,
    waiting: { for: 'operator' },
    error: { category: 'permanent', code: 'ticket_expired', message: 'a sentence', atMs: 4 },
  });
  const thread = { worker: 'local', plan: 'sealer' as const, miner: null, auto: false, enabled: true };
  const signed = { sender: 't3worker', nonce: 5, cid: 'bafy2bzacea', signed: '{}', pushed: true };
  const read = await store.commit((tx) => ({
    jobs: [1, 2, 3, 4].map((n) => tx.job(jobId(n))),
    events: tx.eventsAfter(0, 9),
    attempts: tx.attemptsOfJob(jobId(1)),
    uploads: tx.uploadsOfAttempt(attemptId(2)),
    runner: tx.runner(runnerId(1)),
    tokens: tx.apiTokens(),
    pieces: tx.waitingPieces(MINER, 9),
    threads: tx.threads(),
    effects: tx.effectsOfJob(jobId(1)),
    taken: tx.meta('taken:t01000'),
  }));
  expect(read).toEqual({
    jobs: [sealing, sealed, paused, job(4)],
    events: [
      { seq: 1, ...event(1) },
      { seq: 2, ...event(2, { kind: 'note', from: null, to: null, event: null, detail: {} }) },
    ],
    attempts: [attempt(1, { status: 'done', endedMs: 9 }), attempt(2, { stage: 'PC2', epoch: 1, fraction: 0.5 })],
    uploads: [{ attempt: attemptId(2), name: 'sealed', key: 'k/sealed', uploadId: 'u-1' }],
    runner: runner(1),
    tokens: [apiToken(1)],
    pieces: [piece(1)],
    threads: [
      { ...thread, id: 'local/0', index: 0, job: jobId(1) },
      { ...thread, id: 'local/1', index: 1, job: null },
    ],
    effects: [effect(1, { status: 'done', signed }), effect(2, { dueMs: 900 })],
    taken: '2',
  });
  // What is new finds the old rows, and takes new ones.
  const found = await store.commit((tx) => ({
    free: tx.freeThreads().map(({ id }) => id),
    live: tx.liveJobs(9, null).items.map(({ id }) => id),
    next: tx.nextSectorNumber(MINER, 0, 99),
    byThread: tx.runningByThread(),
  }));
  expect(found).toEqual({
    free: ['local/1'],
    live: [4, 3, 1].map(jobId),
    next: 8,
    byThread: [{ stage: 'PC2', thread: 'local/0', count: 1 }],
  });
  const candidates = await store.commit((tx) => {
    for (const number of [3, 7]) tx.putSectorRecord(sectorRecord(number));
    return tx.snapCandidates(MINER, 0, 9).map(({ number }) => number);
  });
  expect(candidates).toEqual([3]);
});
