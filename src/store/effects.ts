/** The outbox. */
import { and, asc, desc, eq, gt, lt, lte, sql } from 'drizzle-orm';
import type { EffectId, JobId } from '../schema/ids.ts';
import type { EffectRow, EffectWant } from '../scheduler/effects.ts';
import type { Tx } from '../scheduler/ports.ts';
import { bound as p, type Db, prepareInsert, prepareUpdate, type Written } from './db.ts';
import { effects } from './tables.ts';

/** Spelt as the partial index spells it, so that it is used. */
const OPEN = sql`${effects.status} = 'open'`;

function effectColumns(effect: EffectRow): Written<typeof effects> {
  const { signed, want, ...rest } = effect;
  return {
    ...rest,
    want: JSON.stringify(want),
    sender: signed?.sender ?? null,
    nonce: signed?.nonce ?? null,
    messageCid: signed?.cid ?? null,
    signed: signed?.signed ?? null,
    pushed: signed?.pushed === true ? 1 : 0,
  };
}

function effectOf(row: typeof effects.$inferSelect): EffectRow {
  return {
    id: row.id as EffectId,
    job: row.job as JobId | null,
    step: row.step,
    generation: row.generation,
    try: row.try,
    want: JSON.parse(row.want) as EffectWant,
    status: row.status as EffectRow['status'],
    signed:
      row.signed === null
        ? null
        : {
            sender: row.sender as string,
            nonce: row.nonce as number,
            cid: row.messageCid as string,
            signed: row.signed,
            pushed: row.pushed === 1,
          },
    dueMs: row.dueMs,
    failures: row.failures,
    lastError: row.lastError,
    createdMs: row.createdMs,
    request: row.request,
  };
}

/** The part of `Tx` about effects. */
export function effectsPart(db: Db) {
  const insert = prepareInsert(db, effects);
  const update = prepareUpdate(db, effects, effects.id);
  const byId = db
    .select()
    .from(effects)
    .where(eq(effects.id, p('id')))
    .prepare();
  const due = db
    .select()
    .from(effects)
    .where(and(OPEN, lte(effects.dueMs, p('nowMs'))))
    // The sign keeps SQLite from walking the whole table by its counter: few rows are due, many are done.
    .orderBy(sql`+${effects.seq}`)
    .limit(p('limit'))
    .prepare();
  const ofJob = db
    .select()
    .from(effects)
    .where(eq(effects.job, p('job')))
    .orderBy(asc(effects.seq))
    .prepare();
  const openOfJob = db
    .select()
    .from(effects)
    .where(and(eq(effects.job, p('job')), OPEN))
    .orderBy(asc(effects.seq))
    .prepare();
  const lastNonce = db
    .select({ nonce: sql<number | null>`max(${effects.nonce})` })
    .from(effects)
    .where(
      and(
        eq(effects.sender, p('sender')),
        // A message that was given up before it was ever pushed leaves its nonce to the next one: a gap
        // would hold up everything this sender sends later.
        sql`(${effects.pushed} = 1 or ${effects.status} in ('open', 'done'))`,
      ),
    )
    .prepare();
  const own = db
    .select({ cid: effects.messageCid })
    .from(effects)
    .where(and(eq(effects.sender, p('sender')), sql`${effects.messageCid} in (select value from json_each(${p('cids')}))`))
    .prepare();
  const unpushed = db
    .select()
    .from(effects)
    .where(and(OPEN, eq(effects.sender, p('sender')), sql`${effects.pushed} = 0`))
    .orderBy(asc(effects.nonce))
    .prepare();
  const pushedBelow = db
    .select()
    .from(effects)
    .where(and(eq(effects.sender, p('sender')), lt(effects.nonce, p('nonce')), sql`${effects.pushed} = 1`))
    .orderBy(desc(effects.nonce))
    .limit(p('limit'))
    .prepare();
  const nextAfter = db
    .select({ ms: sql<number | null>`min(${effects.dueMs})` })
    .from(effects)
    .where(and(OPEN, gt(effects.dueMs, p('nowMs'))))
    .prepare();

  return {
    insertEffect: (effect) => insert(effectColumns(effect)),
    updateEffect: (effect) => update(effectColumns(effect)),
    effect(id) {
      const row = byId.get({ id });
      return row === undefined ? undefined : effectOf(row);
    },
    nextEffectMs: (nowMs) => nextAfter.get({ nowMs })?.ms ?? undefined,
    effectsDue: (nowMs, limit) => due.all({ nowMs, limit }).map(effectOf),
    openEffectsOfJob: (job) => openOfJob.all({ job }).map(effectOf),
    effectsOfJob: (job) => ofJob.all({ job }).map(effectOf),
    lastNonce: (sender) => lastNonce.get({ sender })?.nonce ?? -1,
    ownMessages: (sender, cids) => own.all({ sender, cids: JSON.stringify(cids) }).map(({ cid }) => cid as string),
    pushedBelow: (sender, nonce, limit) => pushedBelow.all({ sender, nonce, limit }).map(effectOf),
    unpushed: (sender) => unpushed.all({ sender }).map(effectOf),
  } satisfies Partial<Tx>;
}
