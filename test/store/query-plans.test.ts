/**
 * How SQLite looks for what `Tx` asks: through an index, however many rows there are, and never by reading or sorting
 * a table. Plans follow from the indices alone (nothing is analyzed), so that they are the same on an empty database.
 */
import Database from 'better-sqlite3';
import { drizzle } from 'drizzle-orm/better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import type { MinerId } from '../../src/schema/ids.ts';
import type { JobFilter, Tx } from '../../src/scheduler/ports.ts';
import type { Db } from '../../src/store/db.ts';
import { migrate } from '../../src/store/migrate.ts';
import * as tables from '../../src/store/tables.ts';
import { makeTx } from '../../src/store/tx.ts';
import {
  attempt,
  attemptId,
  effect,
  effectId,
  event,
  job,
  jobId,
  MINER,
  OTHER_MINER,
  piece,
  runner,
  runnerId,
  sectorRecord,
  storageMove,
} from './rows.ts';

/** A statement and the steps of SQLite's plan for it. */
type Planned = { readonly query: string; readonly steps: readonly string[] };

function plansOf(body: (tx: Tx) => void): Planned[] {
  const client = new Database(':memory:');
  onTestFinished(() => void client.close());
  const seen: Planned[] = [];
  let listens = false;
  const logQuery = (query: string, params: unknown[]): void => {
    if (!listens) return;
    const rows = client.prepare(`explain query plan ${query}`).all(...params) as { detail: string }[];
    seen.push({ query, steps: rows.map(({ detail }) => detail) });
  };
  const db: Db = drizzle(client, { schema: tables, logger: { logQuery } });
  migrate(db);
  const tx = makeTx(db);
  listens = true;
  body(tx);
  return seen;
}

/** Tables with a row for each machine, token or slot: read whole where all of it is wanted. */
const SMALL = /^SCAN (runners|api_tokens|threads|storage_paths|storage_moves|json_each)\b/;
/** What is sorted without an index: a few rows of one job, one sector, one runner, or due now; and all of a small table. */
const FEW = [
  /from "(effects|attempts|threads|runners|storage_places)"/,
  /"jobs"\."miner" = \+\? and "jobs"\."number" = \+\?/,
  /"reserved_runner" = \+\?/,
];

function costly({ query, steps }: Planned): string[] {
  return steps.filter((step) => {
    if (step.startsWith('USE TEMP B-TREE FOR ORDER BY')) return !FEW.some((few) => few.test(query));
    return step.startsWith('SCAN ') && !/ USING (COVERING )?INDEX /.test(step) && !SMALL.test(step) && step !== 'SCAN CONSTANT ROW';
  });
}

const choices = <T>(...values: T[]): (T | undefined)[] => [undefined, ...values];

function filters(): JobFilter[] {
  return choices('Finished').flatMap((state) =>
    choices('sealer').flatMap((plan) =>
      choices(MINER).flatMap((miner) =>
        choices<readonly MinerId[]>([MINER, OTHER_MINER]).flatMap((miners) =>
          choices(7).flatMap((number) =>
            choices(true, false).flatMap((paused) => choices('e').map((error) => ({ state, plan, miner, miners, number, paused, error }))),
          ),
        ),
      ),
    ),
  );
}

test('whatever a listing is filtered by, it walks one index in the order of creation and reads only its own rows', () => {
  const plans = plansOf((tx) => {
    for (const filter of filters()) for (const cursor of [null, '50']) tx.jobs(filter, 50, cursor);
  });
  expect(plans).toHaveLength(2 * 2 * 2 * 2 * 2 * 2 * 3 * 2);
  for (const { query, steps } of plans) {
    const walks = steps.filter((step) => /^(SCAN|SEARCH) jobs USING/.test(step));
    expect(walks[0], query).toBe('SEARCH jobs USING INTEGER PRIMARY KEY (rowid=?)');
    expect(walks, query).toHaveLength(2);
    if (query.includes('jobs_sector')) continue;
    expect(walks[1], query).toMatch(/USING COVERING INDEX jobs_(listing|state|error|paused)\b/);
    expect(steps.join('\n'), query).not.toContain('TEMP B-TREE');
  }
});

test('what is asked at every turn has an index of just the rows it is about', () => {
  const first = (body: (tx: Tx) => void): string | undefined => plansOf(body)[0]?.steps[0];
  // Deletions that wait for weeks lie behind what is due, and are not touched.
  expect(first((tx) => tx.effectsDue(5, 9))).toBe('SEARCH effects USING INDEX effects_due (due_ms<?)');
  expect(first((tx) => tx.nextEffectMs(5))).toBe('SEARCH effects USING COVERING INDEX effects_due (due_ms>?)');
  expect(first((tx) => tx.jobsForThread('sealer', null, 1))).toBe('SEARCH jobs USING INDEX jobs_for_thread (plan=?)');
  expect(first((tx) => tx.jobsForThread('sealer', MINER, 1))).toBe('SEARCH jobs USING INDEX jobs_for_thread_of_miner (plan=? AND miner=?)');
  expect(first((tx) => tx.freeThreads())).toBe('SCAN threads USING INDEX threads_free');
  // Which stages are waited for at all, each stage's queue from its index, then the rows by their keys.
  expect(plansOf((tx) => tx.jobsForRunner(['PC1', 'C2'], 9, 3))[0]?.steps[1]).toBe(
    'SEARCH jobs EXISTS USING COVERING INDEX jobs_queue (waiting_stage=?)',
  );
  expect(first((tx) => tx.anyRented('PC2', 5))).toBe('SEARCH runners USING INDEX runners_rented (last_seen_ms>?)');
  expect(plansOf((tx) => tx.countForRunner('PC1', 9)).flatMap(({ steps }) => steps)).toContainEqual(
    expect.stringMatching(/jobs USING COVERING INDEX jobs_(queue|waiting)/),
  );
  expect(first((tx) => tx.runningOn([runnerId(1), runnerId(2)]))).toMatch(/attempts USING INDEX attempts_(running|runner)/);
  expect(first((tx) => tx.liveJobs(9, null))).toBe('SEARCH jobs USING INDEX jobs_live (seq<?)');
  expect(first((tx) => tx.runningByThread())).toMatch(/attempts USING INDEX attempts_(running|lease|due)/);
  expect(first((tx) => tx.overdueAttempts(5, 9))).toBe('SEARCH attempts USING INDEX attempts_due (due_ms<?)');
  expect(first((tx) => tx.attemptsOfRunner(runnerId(1), 9))).toBe('SEARCH attempts USING INDEX attempts_runner (runner=?)');
  expect(
    plansOf((tx) => tx.runnerByCredential('h'))[0]?.steps.filter((step) => step.startsWith('SEARCH runners USING INDEX')),
  ).toHaveLength(3);
  expect(first((tx) => tx.countSectors())).toBe('SCAN jobs USING COVERING INDEX jobs_state');
  expect(first((tx) => tx.countQueued())).toBe('SEARCH jobs USING COVERING INDEX jobs_waiting (waiting_for=?)');
  expect(first((tx) => tx.firstUnproven())).toBe('SEARCH jobs USING INDEX jobs_live');
  expect(first((tx) => tx.countOpenEffects())).toBe('SCAN effects USING INDEX effects_due');
  expect(first((tx) => tx.countOpenDeliveries())).toBe('SCAN deliveries USING INDEX deliveries_due');
  const snap = plansOf((tx) => tx.snapCandidates(MINER, 0, 1))[0]?.steps;
  expect(snap?.[0]).toBe('SEARCH sector_records USING INDEX sector_records_snap (miner=? AND number>?)');
  expect(snap?.join('\n')).toContain('SEARCH jobs USING INDEX jobs_one_live_per_sector (miner=? AND number=?)');
});

test('no other question reads or sorts a table', () => {
  const plans = plansOf((tx) => {
    tx.insertJob(job(1, { number: 1 }));
    tx.updateJob(job(1, { number: 1, state: 'PC1Done' }));
    tx.job(jobId(1));
    tx.jobOfSector(MINER, 1);
    tx.followedJob(MINER, 1);
    tx.jobsForThread('sealer', null, 1);
    tx.jobsForThread('sealer', MINER, 1);
    tx.threadWanted();
    tx.jobsForRunner(['PC1', 'C2'], 9);
    tx.jobsDue(5, 9);
    tx.reservedOn(runnerId(1), 5);
    tx.countJobs();
    tx.countSectors();
    tx.countQueued();
    tx.firstUnproven();
    tx.countOpenEffects();
    tx.countOpenDeliveries();
    tx.nextSectorNumber(MINER, 0, 9);
    tx.liveJobs(9, null);
    tx.putSectorRecord(sectorRecord(1));
    tx.sectorRecord(MINER, 1);
    tx.sectorRecords({}, 9, null);
    tx.sectorRecords({ miners: [MINER, OTHER_MINER] }, 9, `${MINER}/1`);
    tx.snapCandidates(MINER, 0, 1);
    tx.storagePaths();
    tx.storagePaths(runnerId(1));
    tx.deleteStoragePath(runnerId(1), 'main');
    tx.storageReserved();
    tx.placesOfJob(jobId(1));
    tx.sectorsIn('main', 9);
    tx.countSectorsIn('main');
    tx.storedSector(MINER, 1);
    tx.uncheckedIn('main', 5, 9);
    tx.setChecked(MINER, 1, 5, []);
    tx.uncheckedIn('main', 9, 9);
    tx.checkAllIn('main');
    tx.setDeclared(MINER, 1, 'no');
    tx.undeclaredIn('main', 9);
    tx.countUndeclaredIn('main');
    tx.storageMoves();
    tx.storageMove(MINER, 1);
    tx.putStorageMove(storageMove(1));
    tx.movableIn('main', 9);
    tx.deleteStorageMove(MINER, 1);
    tx.appendEvent(event(1));
    tx.eventsOfJob(jobId(1), 9);
    tx.eventsAfter(0, 9);
    tx.insertAttempt(attempt(1));
    tx.updateAttempt(attempt(1));
    tx.attempt(attemptId(1));
    tx.attemptsOfJob(jobId(1));
    tx.runningAttempts(runnerId(1));
    tx.runningOn([runnerId(1), runnerId(2)]);
    tx.readyRunners('PC1', 5, 50, 0);
    tx.anyRented('PC1', 5);
    tx.countForRunner('PC1', 9);
    tx.runningByThread();
    tx.lastEpoch(jobId(1), 'PC1');
    tx.expiredAttempts(5, 9);
    tx.extendLeases(5, 9);
    tx.uploadsOfAttempt(attemptId(1));
    tx.insertRunner(runner(1));
    tx.runnerByCredential('hash-1');
    tx.insertPiece(piece(1));
    tx.waitingPieces(MINER, 9);
    tx.reservedPieces(MINER, 9);
    tx.freeThreads();
    tx.threads();
    tx.threadsWithJobs();
    tx.thread('local/0');
    tx.insertEffect(effect(1));
    tx.updateEffect(effect(1));
    tx.effect(effectId(1));
    tx.effectsDue(5, 9);
    tx.nextEffectMs(5);
    tx.openEffectsOfJob(jobId(1));
    tx.effectsOfJob(jobId(1));
    tx.lastNonce('t3worker');
    tx.unpushed('t3worker');
    tx.nextWakeMs();
  });
  expect(plans.length).toBeGreaterThan(45);
  expect(plans.flatMap((planned) => costly(planned).map((step) => `${step}: ${planned.query}`))).toEqual([]);
});

test('a parameter that is bound again has nothing planned anew', () => {
  const plans = plansOf((tx) => {
    tx.jobsDue(5, 9);
    tx.jobsForRunner(['PC1'], 9);
    tx.expiredAttempts(5, 9);
    tx.attemptsOfJob(jobId(1));
    tx.effectsDue(5, 9);
    tx.readyRunners('PC1', 5, 50, 0);
    tx.anyRented('PC1', 5);
    tx.countForRunner('PC1', 9);
    tx.uncheckedIn('main', 5, 9);
    tx.movableIn('main', 1);
    tx.storagePaths(runnerId(1));
    tx.placesOfJob(jobId(1));
    tx.jobOfSector(MINER, 1);
    tx.followedJob(MINER, 1);
    tx.nextSectorNumber(MINER, 0, 9);
  });
  for (const { query } of plans) expect(query).not.toMatch(/(limit|offset|[=<>]) \?/);
});
