/** What the database says of all leases ever given, beside what the runners know. */
import Database from 'better-sqlite3';
import type { Fleet } from './fleet.ts';

export type Ledger = {
  readonly attempts: number;
  readonly running: readonly string[];
  /** When the last lease of a running attempt ends, in Unix milliseconds. */
  readonly lastLeaseEndMs: number;
  readonly lost: readonly { readonly id: string; readonly failure: string | null }[];
  /** What contradicts a promise, as sentences. */
  readonly broken: readonly string[];
};

/** Reads the attempts in the database file as often as it is asked; it may be in use, and its user may be killed. */
export function openLedger(path: string, fleet: Fleet): { read(): Ledger; close(): void } {
  const database = new Database(path, { readonly: true });
  return { read: () => readLedger(database, fleet), close: () => void database.close() };
}

function readLedger(database: Database.Database, fleet: Fleet): Ledger {
  const all = <T>(query: string): T[] => database.prepare(query).all() as T[];
  const doubled = all<{ job: string }>("select job from attempts where status = 'running' group by job having count(*) > 1");
  const gaps = all<{ job: string; stage: string }>(
    'select job, stage from attempts group by job, stage having count(*) <> max(epoch) or count(distinct epoch) <> count(*)',
  );
  const done = all<{ job: string; stage: string }>(
    "select job, stage from attempts where status = 'done' group by job, stage having count(*) > 1",
  );
  const lost = all<{ id: string; failure: string | null }>("select id, failure from attempts where status = 'lost'");
  return {
    attempts: all<{ id: string }>('select id from attempts').length,
    running: all<{ id: string }>("select id from attempts where status = 'running'").map(({ id }) => id),
    lastLeaseEndMs: all<{ ms: number | null }>("select max(lease_until_ms) as ms from attempts where status = 'running'")[0]?.ms ?? 0,
    lost,
    broken: [
      ...doubled.map(({ job }) => `${job} has two running attempts`),
      ...gaps.map(({ job, stage }) => `the lease epochs of ${stage} of ${job} are not 1, 2, 3, …`),
      ...done.map(({ job, stage }) => `${stage} of ${job} counts as done twice`),
      // An attempt may be given up when its runner was killed, or when it never reached one.
      ...lost
        .filter(({ id }) => fleet.received.has(id) && !fleet.killed.has(id))
        .map(({ id, failure }) => `${id} was requeued (${failure}) and its runner lives`),
    ],
  };
}

/** Whether the database's running attempts are those that runners work on, one for one. */
export function agrees({ running }: Ledger, fleet: Fleet): boolean {
  const working = fleet.working();
  return running.length === working.size && running.every((id) => working.has(id));
}
