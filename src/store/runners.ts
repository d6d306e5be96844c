/** Runners and the tokens of runners and people. */
import { and, asc, eq, gte, isNull, or, sql } from 'drizzle-orm';
import type { MinerId, RunnerId, TokenId } from '../schema/ids.ts';
import type { Resources, Trust } from '../schema/runner.ts';
import type { RunnerTests } from '../schema/self-test.ts';
import type { Stage } from '../schema/stage.ts';
import type { ApiTokenRow, JoinTokenRow, RunnerRow, Tx } from '../scheduler/ports.ts';
import { ONE, bound as p, type Db, prepareInsert, prepareUpdate, type Written } from './db.ts';
import { joinTokens, runners } from './runner-tables.ts';
import { apiTokens } from './tables.ts';

function runnerColumns(runner: RunnerRow): Written<typeof runners> {
  return {
    ...runner,
    labels: JSON.stringify(runner.labels),
    stages: JSON.stringify(runner.stages),
    storage: JSON.stringify(runner.storage),
    resources: JSON.stringify(runner.resources),
    earlierBoots: runner.earlierBoots.length === 0 ? null : JSON.stringify(runner.earlierBoots.map(({ id, untilMs }) => [id, untilMs])),
    tests: runner.tests === undefined ? null : JSON.stringify(runner.tests),
    agentVersion: runner.agentVersion ?? null,
    cached: runner.cached === undefined ? null : JSON.stringify(runner.cached),
    slots: runner.slots ?? null,
    silentSinceMs: runner.silentSinceMs ?? null,
    stageMs: runner.stageMs === undefined ? null : JSON.stringify(runner.stageMs),
  };
}

function runnerOf(row: typeof runners.$inferSelect): RunnerRow {
  const { seq: _seq, tests, agentVersion, cached, slots, silentSinceMs, stageMs, ...rest } = row;
  return {
    ...rest,
    ...(agentVersion === null ? {} : { agentVersion }),
    ...(slots === null ? {} : { slots }),
    ...(silentSinceMs === null ? {} : { silentSinceMs }),
    ...(stageMs === null ? {} : { stageMs: JSON.parse(stageMs) as Record<string, number> }),
    id: row.id as RunnerId,
    trust: row.trust as Trust,
    labels: JSON.parse(row.labels) as string[],
    stages: JSON.parse(row.stages) as Stage[],
    storage: JSON.parse(row.storage) as string[],
    resources: JSON.parse(row.resources) as Resources,
    status: row.status as RunnerRow['status'],
    earlierBoots: (JSON.parse(row.earlierBoots ?? '[]') as [string, number][]).map(([id, untilMs]) => ({ id, untilMs })),
    ...(cached === null ? {} : { cached: JSON.parse(cached) as string[] }),
    ...(tests === null ? {} : { tests: JSON.parse(tests) as RunnerTests }),
  };
}

/** The part of `Tx` about runners and join tokens. */
export function runnersPart(db: Db) {
  const insert = prepareInsert(db, runners);
  const update = prepareUpdate(db, runners, runners.id);
  const touch = db
    .update(runners)
    .set({ lastSeenMs: sql`${p('ms')}`, silentSinceMs: null })
    .where(eq(runners.id, p('id')))
    .prepare();
  const byId = db
    .select()
    .from(runners)
    .where(eq(runners.id, p('id')))
    .prepare();
  const byCredential = db
    .select()
    .from(runners)
    .where(
      or(eq(runners.credentialHash, p('hash')), eq(runners.nextCredentialHash, p('hash')), eq(runners.previousCredentialHash, p('hash'))),
    )
    .prepare();
  const all = db.select().from(runners).orderBy(asc(runners.seq)).prepare();
  /** Ready for the stage, seen since then and not silent. */
  const there = sql`${runners.status} = 'ready' and ${runners.lastSeenMs} >= ${p('since')} and ${runners.silentSinceMs} is null and exists (select 1 from json_each(${runners.stages}) where value = ${p('stage')})`;
  const ready = db.select().from(runners).where(there).orderBy(asc(runners.seq)).limit(p('limit')).offset(p('skip')).prepare();
  const rented = db
    .select({ seq: runners.seq })
    .from(runners)
    .where(sql`${runners.trust} = 'rented' and ${there}`)
    .limit(ONE)
    .prepare();
  const insertJoin = prepareInsert(db, joinTokens);
  const joinByHash = db
    .select()
    .from(joinTokens)
    .where(eq(joinTokens.hash, p('hash')))
    .prepare();
  const burn = db
    .update(joinTokens)
    .set({ usedBy: sql`${p('by')}` })
    .where(and(eq(joinTokens.hash, p('hash')), isNull(joinTokens.usedBy)))
    .returning({ hash: joinTokens.hash })
    .prepare();
  const openJoins = db
    .select()
    .from(joinTokens)
    .where(and(isNull(joinTokens.usedBy), gte(joinTokens.expiresMs, p('now'))))
    .orderBy(asc(joinTokens.expiresMs), asc(joinTokens.hash))
    .prepare();
  const revokeJoin = db
    .update(joinTokens)
    .set({ expiresMs: 0 })
    .where(and(eq(joinTokens.hash, p('hash')), isNull(joinTokens.usedBy)))
    .returning({ hash: joinTokens.hash })
    .prepare();
  return {
    runner(id) {
      const row = byId.get({ id });
      return row === undefined ? undefined : runnerOf(row);
    },
    runnerByCredential(hash) {
      const row = byCredential.get({ hash });
      return row === undefined ? undefined : runnerOf(row);
    },
    insertRunner: (runner) => insert(runnerColumns(runner)),
    updateRunner: (runner) => update(runnerColumns(runner)),
    touchRunner(id, ms) {
      touch.run({ id, ms });
    },
    runners: () => all.all().map(runnerOf),
    readyRunners: (stage, since, limit, skip) => ready.all({ stage, since, limit, skip }).map(runnerOf),
    anyRented: (stage, since) => rented.get({ stage, since }) !== undefined,
    insertJoinToken: (token) => insertJoin({ ...token, labels: JSON.stringify(token.labels) }),
    joinToken(hash) {
      const row = joinByHash.get({ hash });
      return row === undefined ? undefined : joinTokenOf(row);
    },
    openJoinTokens: (now) => openJoins.all({ now }).map(joinTokenOf),
    revokeJoinToken: (hash) => revokeJoin.all({ hash }).length === 1,
    burnJoinToken: (hash, by) => burn.all({ hash, by }).length === 1,
  } satisfies Partial<Tx>;
}

function joinTokenOf(row: typeof joinTokens.$inferSelect): JoinTokenRow {
  return { ...row, labels: JSON.parse(row.labels) as string[] } as JoinTokenRow;
}

function apiTokenOf(row: typeof apiTokens.$inferSelect): ApiTokenRow {
  const { seq: _seq, ...rest } = row;
  return {
    ...rest,
    id: row.id as TokenId,
    role: row.role as ApiTokenRow['role'],
    miners: row.miners === null ? null : (JSON.parse(row.miners) as MinerId[]),
  };
}

function apiTokenColumns(token: ApiTokenRow): Written<typeof apiTokens> {
  return { ...token, miners: token.miners === null ? null : JSON.stringify(token.miners) };
}

/** The part of `Tx` about API tokens. */
export function apiTokensPart(db: Db) {
  const insert = prepareInsert(db, apiTokens);
  const update = prepareUpdate(db, apiTokens, apiTokens.id);
  const byHash = db
    .select()
    .from(apiTokens)
    .where(or(eq(apiTokens.hash, p('hash')), eq(apiTokens.previousHash, p('hash'))))
    .prepare();
  const all = db.select().from(apiTokens).orderBy(asc(apiTokens.seq)).prepare();
  const revoke = db
    .update(apiTokens)
    .set({ revokedMs: sql`${p('nowMs')}` })
    .where(and(eq(apiTokens.id, p('id')), isNull(apiTokens.revokedMs)))
    .returning({ id: apiTokens.id })
    .prepare();
  return {
    insertApiToken: (token) => insert(apiTokenColumns(token)),
    updateApiToken: (token) => update(apiTokenColumns(token)),
    apiTokenByHash(hash) {
      const row = byHash.get({ hash });
      return row === undefined ? undefined : apiTokenOf(row);
    },
    apiTokens: () => all.all().map(apiTokenOf),
    revokeApiToken: (id, nowMs) => revoke.all({ id, nowMs }).length === 1,
  } satisfies Partial<Tx>;
}
