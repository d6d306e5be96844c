/** Attempts, their leases, and the uploads opened for them. */
import { and, asc, desc, eq, lt, sql } from 'drizzle-orm';
import type { AttemptId, JobId, RunnerId } from '../schema/ids.ts';
import type { Attempt, AttemptStatus, Expected } from '../schema/job.ts';
import type { Stage } from '../schema/stage.ts';
import type { Tx, UploadRow } from '../scheduler/ports.ts';
import { bound as p, type Db, prepareInsert, prepareUpdate, type Written } from './db.ts';
import { attempts, jobs, uploads } from './tables.ts';

/** Spelt as the partial indexes spell it, so that they are used. */
const RUNNING = sql`${attempts.status} = 'running'`;

type Noted = Pick<Attempt, 'expected' | 'takingUntilMs'>;

/** What the column `expected` holds. */
function notedOf(json: string | null): Noted {
  if (json === null) return {};
  const { takingUntilMs, ...expected } = JSON.parse(json) as Expected & Noted;
  return { ...('stageMs' in expected ? { expected } : {}), ...(takingUntilMs === undefined ? {} : { takingUntilMs }) };
}

function attemptOf(row: typeof attempts.$inferSelect): Attempt {
  const { seq: _seq, expected, ...rest } = row;
  return {
    ...rest,
    ...notedOf(expected),
    id: row.id as AttemptId,
    job: row.job as JobId,
    stage: row.stage as Stage,
    runner: row.runner as RunnerId,
    status: row.status as AttemptStatus,
  };
}

const attemptRow = ({ expected, takingUntilMs, ...rest }: Attempt): Written<typeof attempts> => ({
  ...rest,
  expected: expected === undefined && takingUntilMs === undefined ? null : JSON.stringify({ ...expected, takingUntilMs }),
});

/** The part of `Tx` about attempts. */
export function attemptsPart(db: Db) {
  const insert = prepareInsert(db, attempts);
  const update = prepareUpdate(db, attempts, attempts.id);
  const byId = db
    .select()
    .from(attempts)
    .where(eq(attempts.id, p('id')))
    .prepare();
  const ofJob = db
    .select()
    .from(attempts)
    .where(eq(attempts.job, p('job')))
    .orderBy(asc(attempts.seq))
    .prepare();
  const running = db
    .select()
    .from(attempts)
    .where(and(RUNNING, eq(attempts.runner, p('runner'))))
    .orderBy(asc(attempts.seq))
    .prepare();
  const runningOn = db
    .select({
      runner: attempts.runner,
      stage: attempts.stage,
      grantedMs: attempts.grantedMs,
      secondsLeft: attempts.secondsLeft,
      fraction: attempts.fraction,
      expected: attempts.expected,
    })
    .from(attempts)
    .where(and(RUNNING, sql`${attempts.runner} in (select value from json_each(${p('runners')}))`))
    .prepare();
  const taking = db
    .select()
    .from(attempts)
    .where(and(RUNNING, sql`json_extract(${attempts.expected}, '$.takingUntilMs') is not null`))
    .prepare();
  const ofRunner = db
    .select()
    .from(attempts)
    .where(eq(attempts.runner, p('runner')))
    .orderBy(desc(attempts.seq))
    .limit(p('limit'))
    .prepare();
  const lastEpoch = db
    .select({ epoch: sql<number | null>`max(${attempts.epoch})` })
    .from(attempts)
    .where(and(eq(attempts.job, p('job')), eq(attempts.stage, p('stage'))))
    .prepare();
  const expired = db
    .select()
    .from(attempts)
    .where(and(RUNNING, lt(attempts.leaseUntilMs, p('nowMs'))))
    .orderBy(asc(attempts.leaseUntilMs), asc(attempts.seq))
    .limit(p('limit'))
    .prepare();
  const overdue = db
    .select()
    .from(attempts)
    .where(and(RUNNING, lt(attempts.dueMs, p('nowMs'))))
    .orderBy(asc(attempts.dueMs), asc(attempts.seq))
    .limit(p('limit'))
    .prepare();
  // One that was granted meanwhile, in the turn that noticed, was kept waiting for nothing longer than it is there.
  const silent = sql`min(${p('byMs')}, max(0, ${p('nowMs')} - ${attempts.grantedMs}))`;
  const extend = db
    .update(attempts)
    .set({ leaseUntilMs: sql`${attempts.leaseUntilMs} + ${silent}`, dueMs: sql`${attempts.dueMs} + ${silent}` })
    .where(RUNNING)
    .prepare();
  const byThread = db
    .select({ stage: attempts.stage, thread: jobs.thread, count: sql<number>`count(*)` })
    .from(attempts)
    .innerJoin(jobs, eq(jobs.id, attempts.job))
    .where(RUNNING)
    .groupBy(attempts.stage, jobs.thread)
    .prepare();

  return {
    attempt(id) {
      const row = byId.get({ id });
      return row === undefined ? undefined : attemptOf(row);
    },
    insertAttempt: (attempt) => insert(attemptRow(attempt)),
    updateAttempt: (attempt) => update(attemptRow(attempt)),
    attemptsOfJob: (job) => ofJob.all({ job }).map(attemptOf),
    runningAttempts: (runner) => running.all({ runner }).map(attemptOf),
    runningOn: (runners) =>
      runningOn.all({ runners: JSON.stringify(runners) }).map(({ runner, stage, expected: json, ...rest }) => {
        const { expected } = notedOf(json);
        return { ...rest, runner: runner as RunnerId, stage: stage as Stage, ...(expected === undefined ? {} : { expected }) };
      }),
    takingAttempts: () => taking.all().map(attemptOf),
    attemptsOfRunner: (runner, limit) => ofRunner.all({ runner, limit }).map(attemptOf),
    runningByThread: () => byThread.all().map((row) => ({ ...row, stage: row.stage as Stage })),
    lastEpoch: (job, stage) => lastEpoch.get({ job, stage })?.epoch ?? 0,
    expiredAttempts: (nowMs, limit) => expired.all({ nowMs, limit }).map(attemptOf),
    overdueAttempts: (nowMs, limit) => overdue.all({ nowMs, limit }).map(attemptOf),
    extendLeases(byMs, nowMs) {
      extend.run({ byMs, nowMs });
    },
  } satisfies Partial<Tx>;
}

/** The part of `Tx` about open uploads. */
export function uploadsPart(db: Db) {
  const insert = prepareInsert(db, uploads);
  const of = db
    .select()
    .from(uploads)
    .where(eq(uploads.attempt, p('attempt')))
    .orderBy(asc(uploads.name))
    .prepare();
  const remove = db
    .delete(uploads)
    .where(eq(uploads.attempt, p('attempt')))
    .prepare();
  const removeOne = db
    .delete(uploads)
    .where(and(eq(uploads.attempt, p('attempt')), eq(uploads.name, p('name'))))
    .prepare();
  return {
    insertUpload: (upload) => insert(upload),
    uploadsOfAttempt: (attempt) => of.all({ attempt }) as UploadRow[],
    deleteUpload(attempt, name) {
      removeOne.run({ attempt, name });
    },
    deleteUploads(attempt) {
      remove.run({ attempt });
    },
  } satisfies Partial<Tx>;
}
