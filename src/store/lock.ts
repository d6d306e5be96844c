/**
 * One writer: an exclusive lock of the kernel on a file beside the database, held for the life of the
 * process and released by the kernel however it dies. SQLite takes the lock for us, since Node has no flock;
 * the database itself stays readable for backups.
 */
import Database from 'better-sqlite3';
import { SealpoolError } from '../schema/problem.ts';
import { sqliteCode } from './errors.ts';

/** Takes the lock of the database at `path`; throws `database_in_use` when another process holds it. Returns the release. */
export function lockDatabase(path: string): () => void {
  const lock = new Database(`${path}.lock`, { timeout: 0 });
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    if (sqliteCode(error)?.startsWith('SQLITE_BUSY') !== true) throw error;
    throw new SealpoolError(
      'conflict',
      'database_in_use',
      `another control plane is running on ${path}; stop it first, or give this one a data folder of its own`,
    );
  }
  return () => lock.close();
}
