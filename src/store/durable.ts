/** The store inside a Durable Object: the object's own SQLite, one thread, one writer by the platform's promise. */
import { drizzle } from 'drizzle-orm/durable-sqlite';
import type { Store, Tx } from '../scheduler/ports.ts';
import type { Db } from './db.ts';
import { asProblem } from './errors.ts';
import { Guard } from './guard.ts';
import { migrate, type Migration } from './migrate.ts';
import * as tables from './tables.ts';
import { makeTx } from './tx.ts';

/**
 * The store over a Durable Object's storage; missing migrations are applied at once. `commit` runs in one
 * synchronous block; the platform holds every reply and outgoing request back until its writes are durable
 * (the output gate), so that resolving at once tells nobody too early. Throws `newer_database`.
 */
export function openDurableStore(storage: DurableObjectStorage, migrations?: readonly Migration[]): Store {
  const guard = new Guard();
  const db: Db = drizzle(storage, { schema: tables, logger: guard });

  function inTransaction<T>(body: () => T): T {
    try {
      return storage.transactionSync(() => {
        guard.open = true;
        const value = body();
        if (typeof (value as { then?: unknown } | undefined | null)?.then === 'function') {
          throw new TypeError('a transaction must not be asynchronous; await outside of commit()');
        }
        return value;
      });
    } catch (error) {
      throw asProblem(error);
    } finally {
      guard.open = false;
    }
  }

  inTransaction(() => migrate(db, migrations));
  const tx = makeTx(db);
  return {
    commit: <T>(fn: (tx: Tx) => unknown) => new Promise<T>((resolve) => resolve(inTransaction(() => fn(tx)) as T)),
    // The platform closes the storage with the object.
    close() {},
  };
}
