/**
 * Group commit: all requests of one event-loop turn share one transaction and one fsync, each in a
 * savepoint of its own. A reply goes out only after COMMIT. This trades a fraction of a millisecond of
 * latency for a throughput that makes `synchronous=FULL` cost no more than NORMAL.
 */
import { setImmediate } from 'node:timers';
import type { Database } from 'better-sqlite3';
import { SealpoolError } from '../schema/problem.ts';
import type { Store, Tx } from '../scheduler/ports.ts';
import { asProblem, fatalError, isFatal, sqliteCode } from './errors.ts';
import type { Guard } from './guard.ts';

type Request = {
  readonly fn: (tx: Tx) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
};

type Outcome = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: unknown };

export type GroupCommitParts = {
  readonly client: Database;
  readonly tx: Tx;
  readonly guard: Guard;
  /** Throws when another process has taken the database over. */
  readonly checkFence: () => void;
  /** Asked in each turn of the event loop: whether something goes before the group, which then waits for the next turn. */
  readonly holdOff?: (() => boolean) | undefined;
  /** Called once, when the state of the database became unknown or another process took over. */
  readonly onFatal: (error: Error) => void;
};

/** A group waits for so many turns of the event loop at most, a few milliseconds, and no longer once it is this large. */
const [MOST_TURNS, MOST_HELD] = [128, 256];

/** The door's queue. `commit` as in the port; `stop` flushes what is queued and refuses the rest. */
export function groupCommit(parts: GroupCommitParts): { commit: Store['commit']; stop: () => void } {
  const { client, tx, guard } = parts;
  const begin = client.prepare('BEGIN IMMEDIATE');
  const commitGroup = client.prepare('COMMIT');
  const rollbackGroup = client.prepare('ROLLBACK');
  const savepoint = client.prepare('SAVEPOINT request');
  const release = client.prepare('RELEASE request');
  const undo = client.prepare('ROLLBACK TO request');
  let queue: Request[] = [];
  let refuse: SealpoolError | undefined;

  /** One request in its savepoint. Throws only what ends the whole group. */
  function perform(request: Request): Outcome {
    savepoint.run();
    try {
      const value = request.fn(tx);
      if (typeof (value as { then?: unknown } | undefined | null)?.then === 'function') {
        throw new TypeError('a transaction must not be asynchronous; await outside of commit()');
      }
      release.run();
      return { ok: true, value };
    } catch (error) {
      const code = sqliteCode(error);
      // These may have rolled back the whole transaction already, and go for everyone in it.
      if (!client.inTransaction || code === 'SQLITE_FULL' || code === 'SQLITE_NOMEM' || isFatal(code)) throw error;
      undo.run();
      release.run();
      return { ok: false, error: asProblem(error) };
    }
  }

  function run(group: readonly Request[]): Outcome[] {
    begin.run();
    guard.open = true;
    try {
      parts.checkFence();
      const outcomes = group.map(perform);
      commitGroup.run();
      return outcomes;
    } catch (error) {
      if (client.inTransaction) rollbackGroup.run();
      throw error;
    } finally {
      guard.open = false;
    }
  }

  function fail(error: unknown): unknown {
    const code = sqliteCode(error);
    if (code === 'SQLITE_BUSY') {
      return new SealpoolError(
        'unavailable',
        'database_busy',
        'another program is writing to the database, nothing was changed; close it, then send the request again',
      );
    }
    if (!isFatal(code) && !(error instanceof SealpoolError && error.code === 'fenced')) return asProblem(error);
    refuse = new SealpoolError(
      'unavailable',
      'database_failed',
      'the database failed and the control plane stops; restart it, it goes on from what was committed',
    );
    parts.onFatal(fatalError(error));
    return refuse;
  }

  function flushSoon(turns = 0): void {
    setImmediate(() => {
      if (turns < MOST_TURNS && queue.length < MOST_HELD && parts.holdOff?.() === true) flushSoon(turns + 1);
      else flush();
    });
  }

  function flush(): void {
    const group = queue;
    if (group.length === 0) return;
    queue = [];
    let outcomes: Outcome[];
    try {
      if (refuse !== undefined) throw refuse;
      outcomes = run(group);
    } catch (error) {
      const problem = error === refuse ? error : fail(error);
      outcomes = group.map(() => ({ ok: false, error: problem }));
    }
    for (const [at, outcome] of outcomes.entries()) {
      if (outcome.ok) group[at]?.resolve(outcome.value);
      else group[at]?.reject(outcome.error);
    }
  }

  return {
    commit: <T>(fn: (tx: Tx) => unknown) =>
      new Promise<T>((resolve, reject) => {
        if (refuse !== undefined) {
          reject(refuse);
          return;
        }
        if (queue.length === 0) flushSoon();
        queue.push({ fn, resolve: resolve as (value: unknown) => void, reject });
      }),
    stop() {
      flush();
      refuse ??= new SealpoolError('unavailable', 'stopping', 'the control plane is stopping; send the request again when it is back');
    },
  };
}
