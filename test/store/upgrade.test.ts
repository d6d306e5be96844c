/** A database that the first version made: brought forward with every row, and used by this one. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { SectorRecord } from '../../src/schema/sector-record.ts';
import { openNodeStore } from '../../src/store/node.ts';
import { apiToken, attempt, attemptId, effect, event, job, jobId, MINER, piece, runner, runnerId, sectorRecord } from './rows.ts';

/** Written by the first version from rows of `rows.ts`, then dumped. */
const VERSION_1 = readFileSync(new URL('version-1.sql', import.meta.url), 'utf8');

const SEALED: SectorRecord = sectorRecord(3, {
  commD: { cid: 'bagad', hex: 'cd'.repeat(32) },
  commR: { cid: 'bagar', hex: 'cd'.repeat(32) },
  files: {
    storage: 'main',
    root: '/storage',
    files: [{ path: 'sealed/s-t01000-3', sizeBytes: '2048', hash: `sha256:${'bb'.repeat(32)}` }],
  },
  preCommit: 'bafypre',
  proveCommit: 'bafyprove',
});
const SEALED_WITH_DATA: SectorRecord = {
  ...SEALED,
  number: 4,
  pieces: [
    { cid: 'baga6ea4seaq', paddedSizeBytes: '1024', offsetBytes: '0' },
    { cid: 'baga6ea4seay', paddedSizeBytes: '1024', offsetBytes: '1024', filler: true },
  ],
};

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
  const paused = job(3, {
    paused: true,
    waiting: { for: 'operator' },
    error: { category: 'permanent', code: 'ticket_expired', message: 'a sentence', atMs: 4 },
  });
  const thread = { worker: 'local', plan: 'sealer' as const, miner: null, auto: false, enabled: true };
  const signed = { sender: 't3worker', nonce: 5, cid: 'bafy2bzacea', signed: '{}', pushed: true };
  const read = await store.commit((tx) => ({
    jobs: [1, 3, 4].map((n) => tx.job(jobId(n))),
    sealed: tx.jobOfSector(MINER, 3)?.data.stored?.files?.map(({ path }) => path),
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
    jobs: [sealing, paused, job(4)],
    sealed: ['sealed/s-t01000-3'],
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
  // Each sector that was sealed has a record now, as if it had been kept from the start.
  const known = await store.commit((tx) => tx.sectorRecords({}, 9, null).items);
  expect(known.map((record) => SectorRecord.parse(record))).toEqual([SEALED, SEALED_WITH_DATA]);
  expect(await store.commit((tx) => tx.snapCandidates(MINER, 0, 9))).toEqual([SEALED]);
  // Nobody was told of their files.
  expect(await store.commit((tx) => [3, 4].map((n) => tx.storedSector(MINER, n)?.declared))).toEqual(['no', 'no']);
});

test.each([
  ['rebuild', '{}', true],
  ['snapup', '{"asked":{"number":7}}', true],
  ['snapup', '{}', false],
  ['sealer', '{}', false],
])('a piece in a %s of version 1 that asked for %s: reserved is %s', async (plan, asked, reserved) => {
  const folder = mkdtempSync(join(tmpdir(), 'sealpool-upgrade-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'a.db');
  const old = new Database(path);
  old.exec(VERSION_1);
  old.prepare('update jobs set plan = ?, data = json_patch(data, ?) where id = ?').run(plan, asked, jobId(1));
  old.prepare('update pieces set job = ?').run(jobId(1));
  old.close();
  const store = openNodeStore({ path, onFatal: (error) => expect.fail(error.message) });
  onTestFinished(() => store.close());
  expect(await store.commit((tx) => tx.piece(piece(1).id))).toEqual(piece(1, { job: jobId(1), reserved }));
});
