/**
 * The dev chain's whole state in one SQLite file. It survives kill -9 at any moment: an epoch with all
 * its receipts is one transaction, a pushed message is durable before the push is answered.
 */
import Database from 'better-sqlite3';
import { randomBytes } from 'node:crypto';
import { SCHEMA_STEPS } from './ledger-schema.ts';
import { GENESIS_EPOCH } from './options.ts';

const SCHEMA_VERSION = SCHEMA_STEPS.length;

/** The database and the few values that are not rows. */
export class Ledger {
  readonly db: Database.Database;

  constructor(path: string) {
    this.db = openExclusively(path);
    const version = Number(this.db.pragma('user_version', { simple: true }));
    if (version > SCHEMA_VERSION) {
      this.db.close();
      throw new Error(
        `${path} was made by a newer version (${version}, this one knows ${SCHEMA_VERSION}); start that version, or give another data folder`,
      );
    }
    if (version < SCHEMA_VERSION) {
      const steps = SCHEMA_STEPS.slice(version).join('\n');
      this.transaction(() => this.db.exec(`${steps} PRAGMA user_version = ${SCHEMA_VERSION}`));
    }
  }

  /** Runs `fn` in one transaction, or in a savepoint of the one that is open. */
  transaction<T>(fn: () => T): T {
    const run = this.db.transaction(fn);
    return this.db.inTransaction ? run() : run.immediate();
  }

  /** What `fn` would do: everything it wrote is taken back. */
  dryRun<T>(fn: () => T): T {
    let result: { value: T } | undefined;
    const undo = new Error('dry run');
    try {
      this.transaction(() => {
        result = { value: fn() };
        throw undo;
      });
    } catch (error) {
      if (error !== undo) throw error;
    }
    return (result as { value: T }).value;
  }

  meta(key: string): string | undefined {
    const row = this.db.prepare('SELECT value FROM meta WHERE key = ?').get(key) as { value: string } | undefined;
    return row?.value;
  }

  setMeta(key: string, value: string): void {
    this.db.prepare('INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value').run(key, value);
  }

  deleteMeta(key: string): void {
    this.db.prepare('DELETE FROM meta WHERE key = ?').run(key);
  }

  /** The head's epoch. */
  epoch(): number {
    return Number(this.meta('epoch') ?? GENESIS_EPOCH);
  }

  setEpoch(epoch: number): void {
    this.setMeta('epoch', String(epoch));
  }

  /** Hex seed of all keys and randomness of this chain; made once. */
  genesisSeed(wanted?: string): string {
    const kept = this.meta('genesis_seed');
    if (kept !== undefined) return kept;
    const seed = wanted ?? randomBytes(32).toString('hex');
    this.setMeta('genesis_seed', seed);
    return seed;
  }

  close(): void {
    this.db.close();
  }
}

function openExclusively(path: string): Database.Database {
  const db = new Database(path, { timeout: 0 });
  try {
    // The kernel lock is let go with the process, however that ends.
    db.pragma('locking_mode = EXCLUSIVE');
    db.pragma('journal_mode = WAL');
    // better-sqlite3 is compiled with NORMAL for WAL.
    db.pragma('synchronous = FULL');
    db.exec('BEGIN IMMEDIATE; COMMIT');
    return db;
  } catch (error) {
    db.close();
    if (error instanceof Error && 'code' in error && error.code === 'SQLITE_BUSY') {
      throw new Error(`another dev chain holds ${path}; stop it, or give another data folder`, { cause: error });
    }
    throw error;
  }
}
