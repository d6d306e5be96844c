/** The append-only history and the small facts. */
import { and, asc, desc, eq, gt, lt, sql, type SQL } from 'drizzle-orm';
import type { Event, JobEvent } from '../schema/event.ts';
import type { EventFilter, Tx } from '../scheduler/ports.ts';
import { bound as p, type Db } from './db.ts';
import { events, meta } from './tables.ts';

function eventOf(row: typeof events.$inferSelect): Event {
  const { fromState, toState, detail, ...rest } = row;
  return { ...(rest as unknown as Event), from: fromState, to: toState, detail: JSON.parse(detail) as Event['detail'] };
}

/**
 * The same filter as several, each of which walks one index from `seq` on and ends: one for each kind, else for each miner. In
 * one statement a list would have SQLite read every event there is.
 */
function walks(filter: EventFilter): EventFilter[] {
  const { kinds, job, runner, miners } = filter;
  if (job !== undefined || runner !== undefined) return [filter];
  if (kinds !== undefined) return [...new Set(kinds)].map((kind) => ({ ...filter, kinds: [kind] }));
  return miners === undefined ? [filter] : [...new Set(miners)].map((miner) => ({ ...filter, miners: [miner] }));
}

/** What the filter asks for, each column by one bound value. The plus keeps SQLite from an index that holds more. */
function conditions({ kinds, job, runner, miners }: EventFilter): SQL[] {
  const narrow = job !== undefined || runner !== undefined;
  const among = (column: SQL, list: readonly string[]): SQL =>
    list.length === 1 ? sql`${column} = ${list[0]}` : sql`${column} in (select value from json_each(${JSON.stringify(list)}))`;
  const own = (column: typeof events.kind | typeof events.miner, alone: boolean): SQL => (alone ? sql`${column}` : sql`+${column}`);
  return [
    ...(job === undefined ? [] : [eq(events.job, job)]),
    ...(runner === undefined ? [] : [sql`${job === undefined ? sql`${events.runner}` : sql`+${events.runner}`} = ${runner}`]),
    ...(kinds === undefined ? [] : [among(own(events.kind, !narrow && kinds.length === 1), kinds)]),
    ...(miners === undefined ? [] : [among(own(events.miner, !narrow && kinds?.length !== 1 && miners.length === 1), miners)]),
  ];
}

/** The part of `Tx` about events. */
export function eventsPart(db: Db) {
  const append = db
    .insert(events)
    .values({
      job: p('job'),
      miner: p('miner'),
      runner: p('runner'),
      generation: p('generation'),
      atMs: p('atMs'),
      actor: p('actor'),
      kind: p('kind'),
      fromState: p('from'),
      toState: p('to'),
      event: p('event'),
      detail: p('detail'),
      request: p('request'),
    })
    .returning({ seq: events.seq })
    .prepare();
  const ofJob = db
    .select()
    .from(events)
    .where(eq(events.job, p('job')))
    .orderBy(desc(events.seq))
    .limit(p('limit'))
    .prepare();
  const after = db
    .select()
    .from(events)
    .where(gt(events.seq, p('after')))
    .orderBy(asc(events.seq))
    .limit(p('limit'))
    .prepare();
  const bySeq = db
    .select()
    .from(events)
    .where(eq(events.seq, p('seq')))
    .prepare();
  const last = db
    .select({ seq: sql<number | null>`max(${events.seq})` })
    .from(events)
    .prepare();
  return {
    appendEvent(event) {
      // `all` drains the cursor: an undrained INSERT … RETURNING breaks later transactions of a Durable Object.
      const [row] = append.all({ ...event, detail: JSON.stringify(event.detail) });
      if (row === undefined) throw new Error('the database did not number the event; restart the control plane');
      return { seq: row.seq, ...event };
    },
    eventsOfJob: (job, limit) =>
      ofJob
        .all({ job, limit })
        .reverse()
        .map((row) => eventOf(row) as JobEvent),
    eventsAfter(seq, limit, filter) {
      const all = filter === undefined ? [] : conditions(filter);
      if (filter === undefined || all.length === 0) return after.all({ after: seq, limit }).map(eventOf);
      let found: (typeof events.$inferSelect)[] = [];
      for (const walk of walks(filter)) {
        // A page that is full already ends at its last event: what comes after that is not read.
        const end = found.length < limit ? [] : [lt(events.seq, found.at(-1)?.seq ?? 0)];
        const more = db
          .select()
          .from(events)
          .where(and(gt(events.seq, seq), ...end, ...conditions(walk)))
          .orderBy(asc(events.seq))
          .limit(limit)
          .all();
        found = [...found, ...more].sort((a, b) => a.seq - b.seq).slice(0, limit);
      }
      return found.map(eventOf);
    },
    event(seq) {
      const row = bySeq.get({ seq });
      return row === undefined ? undefined : eventOf(row);
    },
    lastEventSeq: () => last.get()?.seq ?? 0,
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
