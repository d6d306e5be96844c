/** Miner storage: paths, what attempts put where, and when stored files were last checked. */
import { and, asc, desc, eq, sql } from 'drizzle-orm';
import type { AttemptId, JobId, MinerId, RunnerId } from '../schema/ids.ts';
import type { Attempt } from '../schema/job.ts';
import type { StoragePath } from '../schema/miner-storage.ts';
import type { SectorRecord } from '../schema/sector-record.ts';
import type { BadFile, Declared, StoragePathRow, StorageTx, StoredSector } from '../scheduler/storage-rows.ts';
import { bound as p, type Db, prepareInsert } from './db.ts';
import { followedJobs } from './jobs.ts';
import { storageMovesPart } from './storage-moves.ts';
import { storageMoves, storagePaths, storagePlaces } from './storage-tables.ts';
import { attempts, jobs, sectorRecords } from './tables.ts';

/** As the column `declared` numbers them. */
const DECLARED: readonly Exclude<Declared, null>[] = ['no', 'yes', 'under_way'];

function pathOf(row: typeof storagePaths.$inferSelect): StoragePathRow {
  const [miner = '', number] = (row.checking ?? '').split('/');
  const checking = row.checking === null ? null : { miner: miner as MinerId, number: Number(number), sinceMs: row.checkingMs ?? 0 };
  return { runner: row.runner as RunnerId, path: JSON.parse(row.data) as StoragePath, seenMs: row.seenMs, checking };
}

function storedOf(row: typeof sectorRecords.$inferSelect): StoredSector {
  return {
    record: JSON.parse(row.data) as SectorRecord,
    checkedMs: row.checkedMs,
    damage: row.damage === null ? [] : (JSON.parse(row.damage) as BadFile[]),
    declared: row.declared === null ? null : (DECLARED[row.declared] ?? null),
  };
}

function pathsPart(db: Db) {
  const all = db.select().from(storagePaths).orderBy(asc(storagePaths.runner), asc(storagePaths.id)).prepare();
  const ofRunner = db
    .select()
    .from(storagePaths)
    .where(eq(storagePaths.runner, p('runner')))
    .orderBy(asc(storagePaths.id))
    .prepare();
  const put = db
    .insert(storagePaths)
    .values({
      runner: p('runner'),
      id: p('id'),
      seenMs: p('seenMs'),
      data: p('data'),
      checking: p('checking'),
      checkingMs: p('checkingMs'),
    })
    .onConflictDoUpdate({
      target: [storagePaths.runner, storagePaths.id],
      set: {
        seenMs: sql`excluded.seen_ms`,
        data: sql`excluded.data`,
        checking: sql`excluded.checking`,
        checkingMs: sql`excluded.checking_ms`,
      },
    })
    .prepare();
  const drop = db
    .delete(storagePaths)
    .where(and(eq(storagePaths.runner, p('runner')), eq(storagePaths.id, p('id'))))
    .prepare();
  return {
    storagePaths: (runner) => (runner === undefined ? all.all() : ofRunner.all({ runner })).map(pathOf),
    putStoragePath({ runner, path, seenMs, checking }) {
      put.run({
        runner,
        id: path.id,
        seenMs,
        data: JSON.stringify(path),
        checking: checking === null ? null : `${checking.miner}/${checking.number}`,
        checkingMs: checking?.sinceMs ?? null,
      });
    },
    deleteStoragePath(runner, id) {
      drop.run({ runner, id });
    },
  } satisfies Partial<StorageTx>;
}

function placesPart(db: Db) {
  const insert = prepareInsert(db, storagePlaces);
  // From the running attempts, of which there are few: a place whose attempt has ended takes no room any more.
  const reserved = db
    .select({ storage: storagePlaces.storage, sizeBytes: storagePlaces.sizeBytes })
    .from(attempts)
    .innerJoin(storagePlaces, eq(storagePlaces.attempt, attempts.id))
    .where(sql`${attempts.status} = 'running'`)
    .prepare();
  const copied = db
    .select({ storage: storageMoves.to, sizeBytes: storageMoves.sizeBytes })
    .from(storageMoves)
    .where(sql`${storageMoves.phase} = 'copy'`)
    .prepare();
  const ofJob = db
    .select({
      attempt: storagePlaces.attempt,
      job: storagePlaces.job,
      storage: storagePlaces.storage,
      sizeBytes: storagePlaces.sizeBytes,
      status: attempts.status,
      state: attempts.state,
      generation: attempts.generation,
    })
    .from(storagePlaces)
    .innerJoin(attempts, eq(attempts.id, storagePlaces.attempt))
    .where(eq(storagePlaces.job, p('job')))
    .orderBy(desc(attempts.seq))
    .prepare();
  return {
    insertStoragePlace: (place) => insert(place),
    storageReserved() {
      const sums = new Map<string, number>();
      for (const { storage, sizeBytes } of [...reserved.all(), ...copied.all()]) sums.set(storage, (sums.get(storage) ?? 0) + sizeBytes);
      return sums;
    },
    placesOfJob: (job) =>
      ofJob.all({ job }).map((row) => ({
        ...row,
        attempt: row.attempt as AttemptId,
        job: row.job as JobId,
        status: row.status as Attempt['status'],
      })),
  } satisfies Partial<StorageTx>;
}

function storedPart(db: Db) {
  const { miner, number, storage, checkedMs } = sectorRecords;
  // Spelt as the partial indexes spell it, so that they are used.
  const here = sql`${storage} = ${p('storage')} and ${storage} is not null`;
  const page = db
    .select()
    .from(sectorRecords)
    .where(sql`${here} and (${miner}, ${number}) > (${p('miner')}, ${p('number')})`)
    .orderBy(asc(miner), asc(number))
    .limit(p('limit'))
    .prepare();
  const count = db
    .select({ count: sql<number>`count(*)` })
    .from(sectorRecords)
    .where(here)
    .prepare();
  const one = db
    .select()
    .from(sectorRecords)
    .where(and(eq(miner, p('miner')), eq(number, p('number'))))
    .prepare();
  const idle = sql`not exists (select 1 from ${jobs} where ${jobs.miner} = ${miner} and ${jobs.number} = ${number} and ${jobs.state} not in ('Finished', 'Aborted'))`;
  const free = sql`${idle} and not exists (${followedJobs(sql`${miner}`, sql`${number}`)})`;
  const never = db
    .select()
    .from(sectorRecords)
    .where(sql`${here} and ${checkedMs} is null and ${free}`)
    .limit(p('limit'))
    .prepare();
  const old = db
    .select()
    .from(sectorRecords)
    .where(sql`${here} and ${checkedMs} < ${p('before')} and ${free}`)
    .orderBy(asc(checkedMs))
    .limit(p('limit'))
    .prepare();
  const set = db
    .update(sectorRecords)
    .set({ checkedMs: sql`${p('checkedMs')}`, damage: sql`${p('damage')}` })
    .where(and(eq(miner, p('miner')), eq(number, p('number'))))
    .prepare();
  const again = db.update(sectorRecords).set({ checkedMs: null }).where(here).prepare();
  return {
    sectorsIn: (id, limit, after) => page.all({ storage: id, miner: after?.miner ?? '', number: after?.number ?? -1, limit }).map(storedOf),
    countSectorsIn: (id) => count.get({ storage: id })?.count ?? 0,
    storedSector(of, at) {
      const row = one.get({ miner: of, number: at });
      return row === undefined ? undefined : storedOf(row);
    },
    uncheckedIn(id, beforeMs, limit) {
      const first = never.all({ storage: id, limit });
      const rows = first.length > 0 ? first : old.all({ storage: id, before: beforeMs, limit });
      return rows.map((row) => storedOf(row).record);
    },
    setChecked(of, at, ms, damage) {
      set.run({ miner: of, number: at, checkedMs: ms, damage: damage.length === 0 ? null : JSON.stringify(damage) });
    },
    checkAllIn(id) {
      again.run({ storage: id });
      return count.get({ storage: id })?.count ?? 0;
    },
  } satisfies Partial<StorageTx>;
}

function declaredPart(db: Db) {
  const { miner, number, storage } = sectorRecords;
  const set = db
    .update(sectorRecords)
    .set({ declared: sql`${p('declared')}` })
    .where(and(eq(miner, p('miner')), eq(number, p('number'))))
    .prepare();
  const forget = db
    .update(sectorRecords)
    .set({ declared: DECLARED.indexOf('no') })
    .where(sql`${storage} is not null and coalesce(${sectorRecords.declared}, 1) <> ${DECLARED.indexOf('under_way')}`)
    .prepare();
  // Spelt as the partial index spells it, so that it is used.
  const untold = sql`${storage} = ${p('storage')} and ${sectorRecords.declared} = 0`;
  const some = db.select().from(sectorRecords).where(untold).limit(p('limit')).prepare();
  const count = db
    .select({ count: sql<number>`count(*)` })
    .from(sectorRecords)
    .where(untold)
    .prepare();
  return {
    setDeclared(of, at, declared) {
      set.run({ miner: of, number: at, declared: declared === null ? null : DECLARED.indexOf(declared) });
    },
    forgetDeclared: () => void forget.run(),
    undeclaredIn: (id, limit) => some.all({ storage: id, limit }).map((row) => storedOf(row).record),
    countUndeclaredIn: (id) => count.get({ storage: id })?.count ?? 0,
  } satisfies Partial<StorageTx>;
}

/** The part of `Tx` about miner storage. */
export function minerStoragePart(db: Db): StorageTx {
  return { ...pathsPart(db), ...placesPart(db), ...storedPart(db), ...declaredPart(db), ...storageMovesPart(db) };
}
