/** Uploaded pieces of client data, and the sealing threads. */
import { and, asc, eq, getTableColumns, isNull, sql } from 'drizzle-orm';
import type { JobId, MinerId } from '../schema/ids.ts';
import type { PlanName } from '../schema/job.ts';
import type { PieceRow, ThreadRow, Tx } from '../scheduler/ports.ts';
import { bound as p, type Db, prepareInsert, prepareUpdate, type Written } from './db.ts';
import { jobOf } from './job-rows.ts';
import { attempts, jobs, pieces, threads } from './tables.ts';

function pieceOf(row: typeof pieces.$inferSelect): PieceRow {
  const { seq: _seq, reserved, ...rest } = row;
  return { ...rest, reserved: reserved === 1 } as PieceRow;
}

const pieceColumns = (piece: PieceRow): Written<typeof pieces> => ({ ...piece, reserved: piece.reserved ? 1 : 0 });

/** The part of `Tx` about pieces. */
export function piecesPart(db: Db) {
  const insert = prepareInsert(db, pieces);
  const update = prepareUpdate(db, pieces, pieces.id);
  const byId = db
    .select()
    .from(pieces)
    .where(eq(pieces.id, p('id')))
    .prepare();
  const waiting = db
    .select()
    .from(pieces)
    .where(and(eq(pieces.miner, p('miner')), eq(pieces.reserved, p('reserved')), isNull(pieces.job)))
    .orderBy(asc(pieces.seq))
    .limit(p('limit'))
    .prepare();
  return {
    insertPiece: (piece) => insert(pieceColumns(piece)),
    updatePiece: (piece) => update(pieceColumns(piece)),
    piece(id) {
      const row = byId.get({ id });
      return row === undefined ? undefined : pieceOf(row);
    },
    waitingPieces: (miner, limit) => waiting.all({ miner, limit, reserved: 0 }).map(pieceOf),
    reservedPieces: (miner, limit) => waiting.all({ miner, limit, reserved: 1 }).map(pieceOf),
  } satisfies Partial<Tx>;
}

function threadOf(row: typeof threads.$inferSelect): ThreadRow {
  return {
    id: row.id,
    worker: row.worker,
    index: row.position,
    plan: row.plan as PlanName,
    miner: row.miner as MinerId | null,
    auto: row.auto === 1,
    enabled: row.enabled === 1,
    job: row.job as JobId | null,
  };
}

/** The part of `Tx` about threads. */
export function threadsPart(db: Db) {
  const insert = prepareInsert(db, threads);
  const remove = db
    .delete(threads)
    .where(eq(threads.id, p('id')))
    .prepare();
  const byId = db
    .select()
    .from(threads)
    .where(eq(threads.id, p('id')))
    .prepare();
  const all = db.select().from(threads).orderBy(asc(threads.worker), asc(threads.position)).prepare();
  const free = db
    .select()
    .from(threads)
    // Spelt as the partial index spells it, so that it is used.
    .where(sql`${threads.enabled} = 1 and ${threads.job} is null`)
    .orderBy(asc(threads.worker), asc(threads.position))
    .prepare();
  const { data: _data, seq: _seq, ...columns } = getTableColumns(jobs);
  const withJobs = db
    .select({ thread: threads, job: columns, grantedMs: attempts.grantedMs })
    .from(threads)
    .leftJoin(jobs, eq(jobs.id, threads.job))
    .leftJoin(attempts, and(eq(attempts.id, jobs.waitingId), eq(jobs.waitingFor, sql.raw("'stage'"))))
    .orderBy(asc(threads.worker), asc(threads.position))
    .prepare();
  return {
    threads: () => all.all().map(threadOf),
    threadsWithJobs: () =>
      withJobs.all().map(({ thread, job, grantedMs }) => ({
        thread: threadOf(thread),
        job: job === null ? undefined : jobOf({ ...job, data: '{}' }),
        grantedMs: grantedMs ?? undefined,
      })),
    freeThreads: () => free.all().map(threadOf),
    thread(id) {
      const row = byId.get({ id });
      return row === undefined ? undefined : threadOf(row);
    },
    putThread(thread) {
      const { index, auto, enabled, ...rest } = thread;
      remove.run({ id: thread.id });
      insert({ ...rest, position: index, auto: auto ? 1 : 0, enabled: enabled ? 1 : 0 });
    },
    deleteThread(id) {
      remove.run({ id });
    },
  } satisfies Partial<Tx>;
}
