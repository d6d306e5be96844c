/**
 * The database that several lives share, and after them the next world of this process. Opening it costs as much as a
 * hundred transactions, so a life that a fault ended leaves it open to the next: between two transactions nothing is in
 * memory that a crash would lose. A restart by hand, a failed disk and a restore open it anew.
 */
import Database from 'better-sqlite3';
import { openNodeStore } from '../../src/store/node.ts';
import type { Store } from '../../src/scheduler/ports.ts';

type Open = { readonly store: Store; onFatal: () => void };

/** Emptied, and open still, by their paths. */
const spare = new Map<string, Open>();

export class KeptStore {
  readonly #path: string;
  #open: Open | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#open = spare.get(path);
    spare.delete(path);
  }

  /** For the next life. `onFatal`: its disk failed; the state of the database is unknown. */
  open(onFatal: () => void): Pick<Store, 'commit'> {
    this.#open ??= this.#anew();
    // The world that has it now, which may not be the one that opened it.
    this.#open.onFatal = () => {
      this.#open = undefined;
      onFatal();
    };
    return this.#open.store;
  }

  #anew(): Open {
    const open: Open = {
      store: openNodeStore({
        path: this.#path,
        onFatal: () => {
          // Later: its transaction is open right now.
          queueMicrotask(() => open.store.close());
          open.onFatal();
        },
      }),
      onFatal: () => undefined,
    };
    return open;
  }

  /** The next life opens it anew. */
  close(): void {
    this.#open?.store.close();
    this.#open = undefined;
  }

  /** After the last life: emptied for the next world. False: there was nothing to keep, and its files can go. */
  end(): boolean {
    if (this.#open === undefined) return false;
    empty(this.#path);
    spare.set(this.#path, this.#open);
    this.#open = undefined;
    return true;
  }
}

/** As it was after the first migration, but for the mark of who has it open. */
function empty(path: string): void {
  const db = new Database(path);
  try {
    db.pragma('foreign_keys = off');
    const names = db.prepare("select name from sqlite_master where type = 'table' and name <> 'migrations'").pluck().all() as string[];
    db.transaction(() => {
      for (const name of names) db.exec(name === 'meta' ? "delete from meta where key <> 'fencing_epoch'" : `delete from "${name}"`);
    })();
  } finally {
    db.close();
  }
}
