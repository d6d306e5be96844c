/** Putting a copy of a database in the place of the one that is there, with nothing running on it. */
import { constants, copyFile, link, open, rename, rm, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { SealpoolError } from '../schema/problem.ts';
import { damageOf } from './backup-check.ts';
import { sqliteCode, storageFull } from './errors.ts';

/** Tables that every version of Sealpool has had. */
const TABLES = ['meta', 'jobs', 'events', 'effects', 'migrations'];

/** More events than a clock that was put back makes up for. */
const EVENTS_LOST_AT_MOST = 10_000_000;

const refuse = (code: string, message: string): SealpoolError => new SealpoolError('unprocessable', code, message);

/** Copies the backup to `draft`, on the disk when it returns. Throws `cannot_read_backup` or `storage_full`. */
export async function copyBackup(backup: string, draft: string): Promise<void> {
  const found = await stat(backup).catch((error: NodeJS.ErrnoException) => {
    throw refuse('cannot_read_backup', `${backup} cannot be read (${error.code}); name a file that sealpool backup wrote`);
  });
  if (!found.isFile()) throw refuse('cannot_read_backup', `${backup} is no file; name one that sealpool backup wrote`);
  const { bavail, bsize } = await statfs(dirname(draft));
  if (bavail * bsize < found.size) throw storageFull();
  await dropDatabase(draft);
  await copyFile(backup, draft, constants.COPYFILE_FICLONE);
  const file = await open(draft, 'r+');
  try {
    await file.chmod(0o600);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Throws `not_a_database`, `damaged_backup` or `foreign_database`; ends join tokens that were not used, since they may have been since. */
export function checkBackup(backup: string, draft: string): void {
  const client = new Database(draft, { fileMustExist: true });
  try {
    const names = new Set(client.prepare("select name from sqlite_schema where type = 'table'").pluck().all());
    const missing = TABLES.filter((name) => !names.has(name));
    if (missing.length > 0)
      throw refuse(
        'foreign_database',
        `${backup} is a database of another program (it has no table ${missing.join(', ')}); name a file that sealpool backup wrote`,
      );
    const damage = damageOf(client);
    if (damage !== undefined) throw refuse('damaged_backup', `${backup} is damaged (${damage}); restore an earlier backup`);
    client.exec('update join_tokens set expires_ms = 0 where used_by is null');
  } catch (error) {
    const code = sqliteCode(error);
    if (code === 'SQLITE_NOTADB') throw refuse('not_a_database', `${backup} is no SQLite database; name a file that sealpool backup wrote`);
    if (code?.startsWith('SQLITE_CORRUPT') === true)
      throw refuse('damaged_backup', `${backup} is damaged or not whole; restore an earlier backup`);
    throw error;
  } finally {
    client.close();
  }
}

/**
 * Whoever follows the history (streams, webhooks' receivers) knows numbers that the lost database gave out: none is given
 * to another event. They go on from the time in microseconds, which no history gets ahead of: what one backup is restored
 * to twice, or an older one after a newer, are different histories too. For a database of this version: a migration that
 * makes the table anew would forget it.
 */
export function skipEventNumbers(draft: string, nowMs: number): void {
  const client = new Database(draft, { fileMustExist: true });
  try {
    client.exec(
      "insert into sqlite_sequence (name, seq) select 'events', 0 where not exists (select 1 from sqlite_sequence where name = 'events')",
    );
    const next = `max(seq + iif(seq < @now, 0, ${EVENTS_LOST_AT_MOST}), @now)`;
    client.prepare(`update sqlite_sequence set seq = ${next} where name = 'events'`).run({ now: BigInt(Math.floor(nowMs)) * 1_000n });
  } finally {
    client.close();
  }
}

/** Removes a database with what SQLite keeps beside it. */
export async function dropDatabase(path: string): Promise<void> {
  for (const end of ['', '-wal', '-shm', '-journal', '.lock', '.lock-journal']) await rm(path + end, { force: true });
}

/**
 * Puts `draft` in the place of `path` and keeps what was there as `kept`; answers whether there was anything.
 * After a crash at any point `path` is the old or the new database, whole.
 */
export async function placeDatabase(draft: string, path: string, kept: string): Promise<boolean> {
  const before = await stat(path).then(
    () => true,
    () => false,
  );
  if (before) {
    // The log is part of the old database: into its file, or, where that is broken, beside it under the name that belongs to it.
    await copyFile(`${path}-wal`, `${kept}-wal`).catch(ifAbsent);
    if (foldLog(path)) await rm(`${kept}-wal`, { force: true });
    await link(path, kept).catch(() => copyFile(path, kept, constants.COPYFILE_EXCL));
  }
  for (const end of ['-wal', '-shm']) await rm(path + end, { force: true });
  await rename(draft, path);
  const folder = await open(dirname(path), 'r');
  await folder.sync().finally(() => folder.close());
  return before;
}

function foldLog(path: string): boolean {
  try {
    const client = new Database(path, { fileMustExist: true });
    try {
      client.pragma('wal_checkpoint(TRUNCATE)');
    } finally {
      client.close();
    }
    return true;
  } catch {
    return false;
  }
}

function ifAbsent(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
