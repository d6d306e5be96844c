/** The store on Node: better-sqlite3 with every commit on the disk before its reply. */
import Database from 'better-sqlite3';
import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/better-sqlite3';
import { SealpoolError } from '../schema/problem.ts';
import type { Store } from '../scheduler/ports.ts';
import type { CopySource } from './backup.ts';
import type { Db } from './db.ts';
import { asProblem, sqliteCode } from './errors.ts';
import { groupCommit } from './group-commit.ts';
import { Guard } from './guard.ts';
import { lockDatabase } from './lock.ts';
import { migrate, type Migration } from './migrate.ts';
import * as tables from './tables.ts';
import { makeTx } from './tx.ts';

/** A lock wait blocks the event loop, so it is short: only a backup's checkpoint may stand in the way. */
const BUSY_MS = 250;
/** The log is cut back to this after a checkpoint. */
const JOURNAL_LIMIT_BYTES = 64 * 2 ** 20;
const FENCING = 'fencing_epoch';
/** Pages a backup copies per turn of the event loop: a few milliseconds, in which no request is served. */
const BACKUP_PAGES = 500;

export type NodeStoreOptions = {
  /** The database file; its folder must exist. */
  readonly path: string;
  /**
   * Called when the database failed (an I/O error: its state is unknown) or another process took it over.
   * End the process: a restart recovers what was committed.
   */
  readonly onFatal: (error: Error) => void;
  /** Asked in each turn of the event loop: whether something goes before a transaction. */
  readonly holdOff?: (() => boolean) | undefined;
  /** Other migrations than the compiled-in ones: for tests of upgrades. */
  readonly migrations?: readonly Migration[];
};

function configure(client: Database.Database): void {
  client.pragma('journal_mode = WAL');
  // After the switch to WAL the package's build default is NORMAL, which loses commits at a power cut.
  client.pragma('synchronous = FULL');
  client.pragma('foreign_keys = ON');
  client.pragma(`journal_size_limit = ${JOURNAL_LIMIT_BYTES}`);
}

function openProblem(error: unknown, path: string): unknown {
  const code = sqliteCode(error);
  if (code === 'SQLITE_NOTADB' || code === 'SQLITE_CORRUPT') {
    return new SealpoolError(
      'unprocessable',
      'not_a_database',
      `${path} is not a whole SQLite database; restore it from a backup, or move it away to begin anew`,
    );
  }
  if (code?.startsWith('SQLITE_CANTOPEN') === true || error instanceof TypeError) {
    return new SealpoolError(
      'unprocessable',
      'cannot_open_database',
      `${path} cannot be opened; make its folder and give this user the right to write there`,
    );
  }
  if (code?.startsWith('SQLITE_READONLY') === true) {
    return new SealpoolError(
      'unprocessable',
      'read_only_database',
      `${path} cannot be written, it or its disk is read-only; give this user the right to write it, then start again`,
    );
  }
  if (code?.startsWith('SQLITE_IOERR') === true) {
    return new SealpoolError(
      'unavailable',
      'database_failed',
      `${path} cannot be opened, its disk failed (${code}); look at the disk, then start again: everything that was answered is kept`,
    );
  }
  if (code === 'SQLITE_BUSY') {
    return new SealpoolError(
      'conflict',
      'database_in_use',
      `another program is writing to ${path}; stop it first, or give this control plane a data folder of its own`,
    );
  }
  return asProblem(error);
}

/**
 * Opens the database at `path`, applies missing migrations and takes it over from any earlier process.
 * Throws `database_in_use`, `newer_database`, `not_a_database`, `cannot_open_database`,
 * `read_only_database`, `database_failed` or `storage_full`.
 */
export function openNodeStore(options: NodeStoreOptions): Store & CopySource {
  const { path } = options;
  let unlock: (() => void) | undefined;
  let client: Database.Database | undefined;
  try {
    unlock = lockDatabase(path);
    client = new Database(path, { timeout: BUSY_MS });
    configure(client);
    return makeStore(client, unlock, options);
  } catch (error) {
    client?.close();
    unlock?.();
    throw openProblem(error, path);
  }
}

const fenceOf = (client: Database.Database) => client.prepare<[string], string>('select value from meta where key = ?').pluck();

function makeStore(client: Database.Database, unlock: () => void, options: NodeStoreOptions): Store & CopySource {
  const guard = new Guard();
  const db: Db = drizzle(client, { schema: tables, logger: guard });
  guard.open = true;
  const epoch = client
    .transaction(() => {
      migrate(db, options.migrations);
      // Raised by each process that opens the file: a process that lost the lock (a copied or shared folder) notices.
      db.run(sql`insert into meta (key, value) values (${FENCING}, '1') on conflict (key) do update set value = cast(value + 1 as text)`);
      return fenceOf(client).get(FENCING);
    })
    .immediate();
  guard.open = false;
  const tx = makeTx(db);
  const fence = fenceOf(client);

  const { commit, stop } = groupCommit({
    client,
    tx,
    guard,
    checkFence() {
      if (fence.get(FENCING) === epoch) return;
      throw new SealpoolError('unavailable', 'fenced', 'another control plane took over this database; stop this one');
    },
    onFatal: options.onFatal,
    holdOff: options.holdOff,
  });
  return {
    commit,
    sizeBytes: () => Number(client.pragma('page_count', { simple: true })) * Number(client.pragma('page_size', { simple: true })),
    async copyTo(copy) {
      await client.backup(copy, { progress: () => BACKUP_PAGES });
    },
    close() {
      stop();
      client.close();
      unlock();
    },
  };
}
