/** When anything becomes due by time alone, in one statement: the control plane asks after every change. */
import { sql } from 'drizzle-orm';
import type { Tx } from '../scheduler/ports.ts';
import type { Db } from './db.ts';
import { attempts, effects, jobs } from './tables.ts';

/** The part of `Tx` about what comes next. Each of the four is the first entry of an index. */
export function wakePart(db: Db) {
  const next = db
    .select({ ms: sql<number | null>`min(ms)` })
    .from(
      sql`(select min(${jobs.waitingMs}) as ms from ${jobs} where ${jobs.waitingFor} = 'retry' and ${jobs.paused} = 0
        union all select min(${attempts.leaseUntilMs}) from ${attempts} where ${attempts.status} = 'running'
        union all select min(${attempts.dueMs}) from ${attempts} where ${attempts.status} = 'running'
        union all select min(${effects.dueMs}) from ${effects} where ${effects.status} = 'open')`,
    )
    .prepare();
  return { nextWakeMs: () => next.get()?.ms ?? undefined } satisfies Partial<Tx>;
}
