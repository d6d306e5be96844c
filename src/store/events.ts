/** The append-only history and the small facts. */
import { and, asc, eq, gt, sql } from 'drizzle-orm';
import type { JobId } from '../schema/ids.ts';
import type { JobEvent } from '../schema/job.ts';
import type { Tx } from '../scheduler/ports.ts';
import type { Db } from './db.ts';
import { events, meta } from './tables.ts';

const p = sql.placeholder;

function eventOf(row: typeof events.$inferSelect): JobEvent {
  const { fromState, toState, detail, job, kind, ...rest } = row;
  return {
    ...rest,
    job: job as JobId,
    kind: kind as JobEvent['kind'],
    from: fromState,
    to: toState,
    detail: JSON.parse(detail) as JobEvent['detail'],
  };
}

/** The part of `Tx` about events. */
export function eventsPart(db: Db) {
  const append = db
    .insert(events)
    .values({
      job: p('job'),
      generation: p('generation'),
      atMs: p('atMs'),
      actor: p('actor'),
      kind: p('kind'),
      fromState: p('from'),
      toState: p('to'),
      event: p('event'),
      detail: p('detail'),
    })
    .returning({ seq: events.seq })
    .prepare();
  const ofJob = db
    .select()
    .from(events)
    .where(and(eq(events.job, p('job')), gt(events.seq, p('after'))))
    .orderBy(asc(events.seq))
    .limit(p('limit'))
    .prepare();
  const after = db
    .select()
    .from(events)
    .where(gt(events.seq, p('after')))
    .orderBy(asc(events.seq))
    .limit(p('limit'))
    .prepare();
  return {
    appendEvent(event) {
      // `all` drains the cursor: an undrained INSERT … RETURNING breaks later transactions of a Durable Object.
      const [row] = append.all({ ...event, detail: JSON.stringify(event.detail) });
      if (row === undefined) throw new Error('the database did not number the event; restart the control plane');
      return { seq: row.seq, ...event };
    },
    eventsOfJob: (job, afterSeq, limit) => ofJob.all({ job, after: afterSeq, limit }).map(eventOf),
    eventsAfter: (seq, limit) => after.all({ after: seq, limit }).map(eventOf),
  } satisfies Partial<Tx>;
}

/** The part of `Tx` about small facts. */
export function metaPart(db: Db) {
  const get = db
    .select()
    .from(meta)
    .where(eq(meta.key, p('key')))
    .prepare();
  const put = db
    .insert(meta)
    .values({ key: p('key'), value: p('value') })
    .onConflictDoUpdate({ target: meta.key, set: { value: sql`excluded.value` } })
    .prepare();
  return {
    meta: (key) => get.get({ key })?.value,
    setMeta(key, value) {
      put.run({ key, value });
    },
  } satisfies Partial<Tx>;
}
