/** Jobs: the statements of `Tx` over them. */
import { and, asc, between, desc, eq, gt, isNotNull, isNull, lt, lte, sql, type SQL } from 'drizzle-orm';
import type { JobId } from '../schema/ids.ts';
import type { Job } from '../schema/job.ts';
import type { JobFilter, Page, Tx } from '../scheduler/ports.ts';
import { ONE, bound as p, type Db, prepareInsert, prepareUpdate } from './db.ts';
import { jobOf, jobRow } from './job-rows.ts';
import { effects, jobs, sectorRecords } from './tables.ts';

/** States that no job leaves. */
const LIVE = sql`${jobs.state} not in ('Finished', 'Aborted')`;

/** Jobs (`seq`) of one sector that have ended while an effect is open that is no deletion: a message of theirs is still followed. */
export function followedJobs(miner: SQL, number: SQL): SQL {
  const open = sql`select 1 from ${effects} where ${effects.job} = ${jobs.id} and ${effects.status} = 'open' and json_extract(${effects.want}, '$.kind') <> 'delete'`;
  return sql`select ${jobs.seq} from ${jobs} where ${jobs.miner} = ${miner} and ${jobs.number} = ${number} and ${jobs.state} in ('Finished', 'Aborted') and exists (${open})`;
}

/** A list as one bound value: the number of parameters stays the same however long it is. */
function inList(column: SQL | typeof jobs.miner | typeof jobs.seq, list: SQL | ReturnType<typeof p>): SQL {
  return sql`${column} in (select value from json_each(${list}))`;
}

function conditions(filter: JobFilter, cursor: string | null): SQL | undefined {
  const all: SQL[] = [];
  if (filter.state !== undefined) all.push(eq(jobs.state, filter.state));
  if (filter.plan !== undefined) all.push(eq(jobs.plan, filter.plan));
  if (filter.miner !== undefined) all.push(eq(jobs.miner, filter.miner));
  if (filter.miners !== undefined) all.push(inList(jobs.miner, sql`${JSON.stringify(filter.miners)}`));
  if (filter.number !== undefined) all.push(eq(jobs.number, filter.number));
  // Not bound, so that the partial index of paused jobs is seen to hold.
  if (filter.paused !== undefined) all.push(eq(jobs.paused, sql.raw(filter.paused ? '1' : '0')));
  if (filter.error !== undefined) all.push(eq(jobs.errorCode, filter.error));
  if (cursor !== null) all.push(lt(jobs.seq, Number(cursor)));
  return and(...all);
}

/**
 * The index that a listing walks: the one that holds the fewest jobs. Each has the order of creation and every column of
 * the filter, so that whatever the filters leave, no row is read before it is known to belong to the page; of one sector
 * number there are few jobs.
 */
function listingIndex({ number, error, paused, state }: JobFilter): SQL {
  if (number !== undefined) return sql.raw('jobs_sector');
  if (error !== undefined) return sql.raw('jobs_error');
  if (paused === true) return sql.raw('jobs_paused');
  return sql.raw(state === undefined ? 'jobs_listing' : 'jobs_state');
}

/** A page of rows that were read one more than `limit`: that one tells whether there is a next page. */
function page(rows: readonly (typeof jobs.$inferSelect)[], limit: number): Page<Job> {
  const items = rows.slice(0, limit);
  const last = rows.length > limit ? items.at(-1) : undefined;
  return { items: items.map(jobOf), cursor: last === undefined ? null : String(last.seq) };
}

/** Queues read only jobs that are not paused: a paused one keeps what it waits for and is passed over. */
function prepareQueues(db: Db) {
  const queued = (kind: 'thread' | 'runner' | 'retry') => and(eq(jobs.waitingFor, sql.raw(`'${kind}'`)), eq(jobs.paused, sql.raw('0')));
  const forThread = (miner: SQL | undefined) =>
    db
      .select()
      .from(jobs)
      .where(and(queued('thread'), isNull(jobs.waitingMs), eq(jobs.plan, p('plan')), LIVE, miner))
      .orderBy(asc(jobs.seq))
      .limit(p('limit'))
      .prepare();
  return {
    // Its first row is read, and no other.
    anyForThread: db.select({ seq: jobs.seq }).from(jobs).where(queued('thread')).prepare(),
    forThread: forThread(undefined),
    forThreadOfMiner: forThread(eq(jobs.miner, p('miner'))),
    bySeqs: db
      .select()
      .from(jobs)
      .where(inList(jobs.seq, p('seqs')))
      .orderBy(asc(jobs.queueMs), asc(jobs.seq))
      .prepare(),
    /** Of these stages those that any job waits for. */
    wanted: db
      .select({ stage: sql<string>`json_each.value` })
      .from(sql`json_each(${p('stages')})`)
      .where(sql`exists (select 1 from ${jobs} where ${queued('runner')} and ${jobs.waitingStage} = json_each.value)`)
      .prepare(),
    ofStage: db
      .select({ seq: jobs.seq, queueMs: jobs.queueMs })
      .from(jobs)
      .where(and(queued('runner'), eq(jobs.waitingStage, p('stage'))))
      .orderBy(asc(jobs.queueMs), asc(jobs.seq))
      .limit(p('most'))
      .prepare(),
    due: db
      .select()
      .from(jobs)
      .where(and(queued('retry'), lte(jobs.waitingMs, p('nowMs'))))
      .orderBy(asc(jobs.waitingMs), asc(jobs.seq))
      .limit(p('limit'))
      .prepare(),
    reservedOn: db
      .select({ id: jobs.id })
      .from(jobs)
      .where(and(isNotNull(jobs.reservedRunner), eq(jobs.reservedRunner, p('runner')), gt(jobs.reservedUntilMs, p('nowMs'))))
      .orderBy(asc(jobs.seq))
      .prepare(),
    reserved: db
      .select({ id: jobs.id })
      .from(jobs)
      .where(and(isNotNull(jobs.reservedRunner), gt(jobs.reservedUntilMs, p('nowMs'))))
      .orderBy(asc(jobs.seq))
      .prepare(),
  };
}

/** The part of `Tx` about jobs. */
export function jobsPart(db: Db) {
  const insert = prepareInsert(db, jobs);
  const update = prepareUpdate(db, jobs, jobs.id);
  const byId = db
    .select()
    .from(jobs)
    .where(eq(jobs.id, p('id')))
    .prepare();
  const bySector = db
    .select()
    .from(jobs)
    .where(and(eq(jobs.miner, p('miner')), eq(jobs.number, p('number'))))
    .orderBy(sql`${LIVE} desc`, desc(jobs.seq))
    .limit(ONE)
    .prepare();
  const followed = db
    .select()
    .from(jobs)
    .where(sql`${jobs.seq} in (${followedJobs(sql`${p('miner')}`, sql`${p('number')}`)})`)
    .orderBy(desc(jobs.seq))
    .limit(ONE)
    .prepare();
  const counts = db
    .select({ state: jobs.state, paused: jobs.paused, count: sql<number>`count(*)` })
    .from(jobs)
    .groupBy(jobs.state, jobs.paused)
    .prepare();
  const lastNumber = (table: typeof jobs | typeof sectorRecords) =>
    db
      .select({ number: sql<number | null>`max(${table.number})` })
      .from(table)
      .where(and(eq(table.miner, p('miner')), between(table.number, p('first'), p('last'))))
      .prepare();
  const lastNumbers = [lastNumber(jobs), lastNumber(sectorRecords)];
  const unused = (number: SQL) => sql`not exists (select 1 from jobs as j where j.miner = ${p('miner')} and j.number = ${number})
    and not exists (select 1 from sector_records as r where r.miner = ${p('miner')} and r.number = ${number})`;
  // The lowest unused number is the first one, or comes after a used one: both walk an index up to the first gap.
  const afterUsed = (table: typeof jobs | typeof sectorRecords) =>
    db
      .select({ number: sql<number>`${table.number} + 1` })
      .from(table)
      .where(and(eq(table.miner, p('miner')), between(table.number, p('from'), p('last')), unused(sql`${table.number} + 1`)))
      .orderBy(asc(table.number))
      .limit(ONE)
      .prepare();
  const gaps = [afterUsed(jobs), afterUsed(sectorRecords)];
  const live = db
    .select()
    .from(jobs)
    .where(and(LIVE, lt(jobs.seq, p('before'))))
    .orderBy(desc(jobs.seq))
    .limit(p('limit'))
    .prepare();
  const queues = prepareQueues(db);

  return {
    job(id) {
      const row = byId.get({ id });
      return row === undefined ? undefined : jobOf(row);
    },
    jobOfSector(miner, number) {
      const row = bySector.get({ miner, number });
      return row === undefined ? undefined : jobOf(row);
    },
    followedJob(miner, number) {
      const row = followed.get({ miner, number });
      return row === undefined ? undefined : jobOf(row);
    },
    insertJob: (job) => insert(jobRow(job)),
    updateJob: (job) => update(jobRow(job)),
    jobs(filter, limit, cursor) {
      const where = conditions(filter, cursor) ?? sql.raw('true');
      const newest = sql`select seq from ${jobs} indexed by ${listingIndex(filter)} where ${where} order by seq desc limit ${limit + 1}`;
      const rows = db
        .select()
        .from(jobs)
        .where(sql`${jobs.seq} in (${newest})`)
        .all();
      return page(
        rows.sort((a, b) => b.seq - a.seq),
        limit,
      );
    },
    liveJobs: (limit, cursor) =>
      page(live.all({ before: cursor === null ? Number.MAX_SAFE_INTEGER : Number(cursor), limit: limit + 1 }), limit),
    jobsForThread(plan, miner, limit) {
      const rows = miner === null ? queues.forThread.all({ plan, limit }) : queues.forThreadOfMiner.all({ plan, miner, limit });
      return rows.map(jobOf);
    },
    threadWanted: () => queues.anyForThread.get() !== undefined,
    jobsForRunner(stages, limit, skip = 0) {
      // Each stage has a queue of its own: what waits for others, thousands perhaps, is not read.
      const wanted = queues.wanted.all({ stages: JSON.stringify([...new Set(stages)]) });
      const first = wanted.flatMap(({ stage }) => queues.ofStage.all({ stage, most: skip + limit }));
      const merged = first.toSorted((one, other) => (one.queueMs ?? 0) - (other.queueMs ?? 0) || one.seq - other.seq);
      const seqs = merged.slice(skip, skip + limit).map(({ seq }) => seq);
      return seqs.length === 0 ? [] : queues.bySeqs.all({ seqs: JSON.stringify(seqs) }).map(jobOf);
    },
    countForRunner: (stage, most) => queues.ofStage.all({ stage, most }).length,
    jobsDue: (nowMs, limit) => queues.due.all({ nowMs, limit }).map(jobOf),
    reservedOn: (runner, nowMs) => queues.reservedOn.all({ runner, nowMs }).map((row) => row.id as JobId),
    reserved: (nowMs) => queues.reserved.all({ nowMs }).map((row) => row.id as JobId),
    countJobs: () => counts.all().map((row) => ({ ...row, paused: row.paused === 1 })),
    nextSectorNumber(miner, first, last) {
      const above = Math.max(...lastNumbers.map((statement) => statement.get({ miner, first, last })?.number ?? first - 1)) + 1;
      if (above <= last) return above;
      // One job or record at the end of the range must not use it up.
      const firstIsUsed = lastNumbers.some((statement) => statement.get({ miner, first, last: first })?.number === first);
      if (!firstIsUsed && first <= last) return first;
      return Math.min(last + 1, ...gaps.map((statement) => statement.get({ miner, from: first, last: last - 1 })?.number ?? last + 1));
    },
  } satisfies Partial<Tx>;
}
