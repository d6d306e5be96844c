/** How many there are, for metrics: asked every few seconds and not at every turn. */
import { sql } from 'drizzle-orm';
import type { EffectWant } from '../scheduler/effects.ts';
import type { PlanName } from '../schema/job.ts';
import type { Stage } from '../schema/stage.ts';
import type { Tx } from '../scheduler/ports.ts';
import type { Db } from './db.ts';
import { effects, jobs } from './tables.ts';

const count = sql<number>`count(*)`;

/** The part of `Tx` that counts. */
export function countsPart(db: Db) {
  const sectors = db
    .select({ plan: jobs.plan, state: jobs.state, paused: jobs.paused, count })
    .from(jobs)
    .groupBy(jobs.state, jobs.plan, jobs.paused)
    .prepare();
  const queued = db
    .select({ stage: jobs.waitingStage, count })
    .from(jobs)
    .where(sql`${jobs.waitingFor} = 'runner' and ${jobs.paused} = 0`)
    .groupBy(jobs.waitingStage)
    .prepare();
  const landed = (field: string) => sql.raw(`json_extract("data", '$.${field}.landedEpoch')`);
  const unproven = db
    .select({ epoch: sql<number | null>`min(${landed('preCommit')})` })
    .from(jobs)
    .where(sql`${jobs.state} not in ('Finished', 'Aborted') and ${landed('proveCommit')} is null`)
    .prepare();
  const kind = sql<string>`json_extract(${effects.want}, '$.kind')`;
  const openEffects = db
    .select({ kind, count })
    .from(effects)
    .where(sql`${effects.status} = 'open'`)
    .groupBy(kind)
    .prepare();
  return {
    countSectors: () => sectors.all().map((row) => ({ ...row, plan: row.plan as PlanName, paused: row.paused === 1 })),
    firstUnproven: () => unproven.get()?.epoch ?? undefined,
    countQueued: () => queued.all().map((row) => ({ ...row, stage: row.stage as Stage })),
    countOpenEffects: () => openEffects.all().map((row) => ({ ...row, kind: row.kind as EffectWant['kind'] })),
  } satisfies Partial<Tx>;
}
