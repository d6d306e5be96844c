/**
 * Copies of the database while it is written to: SQLite's online backup through the writer's own connection,
 * so that what is committed meanwhile goes into the copy too and nothing has to stop. The copy is checked and
 * hashed in a thread of its own, since both read the whole file and would hold up every request.
 */
import { randomBytes } from 'node:crypto';
import { type FileHandle, open, readdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { Worker } from 'node:worker_threads';
import { SealpoolError } from '../schema/problem.ts';
import type { CopyCheck } from './backup-check.ts';
import { asProblem, storageFull } from './errors.ts';

/** A checked copy of the whole database, to be read once. */
export type DatabaseCopy = {
  readonly sizeBytes: number;
  /** `sha256:` and 64 hex digits. */
  readonly hash: string;
  readonly body: ReadableStream<Uint8Array>;
};

/** What is needed of an open database. */
export type CopySource = {
  /** Bytes of the database now. */
  sizeBytes(): number;
  /** Writes a copy, a few pages per turn of the event loop. */
  copyTo(path: string): Promise<void>;
};

export type BackupOptions = {
  readonly source: CopySource;
  /** Where the copy stands while it is made: the data folder. */
  readonly folder: string;
  /** So much stays free there. */
  readonly minFreeBytes: number;
};

const DRAFT = 'backup-draft-';

/** Opens the maker of backups, dropping what a crash left of one. `make` refuses a second one at a time. */
export async function openBackups(options: BackupOptions): Promise<{ make(): Promise<DatabaseCopy> }> {
  const { source, folder, minFreeBytes } = options;
  for (const name of await readdir(folder)) if (name.startsWith(DRAFT)) await rm(join(folder, name), { force: true });
  let making = false;

  async function copied(path: string): Promise<DatabaseCopy> {
    const { bavail, bsize } = await statfs(folder);
    if (bavail * bsize - source.sizeBytes() < minFreeBytes) throw storageFull();
    await source.copyTo(path);
    const check = await checked(path);
    if (!check.whole) {
      throw new SealpoolError(
        'internal',
        'database_damaged',
        `the database is damaged (${check.reason}) and a copy of it would be no backup; look at the disk, then restore the last backup`,
      );
    }
    const file = await open(path, 'r');
    return { sizeBytes: check.sizeBytes, hash: check.hash, body: streamOf(file) };
  }

  return {
    async make() {
      if (making) throw new SealpoolError('conflict', 'backup_running', 'a backup is being made already; wait until that one has ended');
      making = true;
      const path = join(folder, DRAFT + randomBytes(8).toString('hex'));
      try {
        return await copied(path);
      } catch (error) {
        throw asProblem(error);
      } finally {
        // An open file stays readable without its name, and no crash can leave it behind.
        for (const end of ['', '-journal', '-wal', '-shm']) await rm(path + end, { force: true });
        making = false;
      }
    },
  };
}

function streamOf(file: FileHandle): ReadableStream<Uint8Array> {
  return Readable.toWeb(file.createReadStream({ highWaterMark: 2 ** 20 })) as ReadableStream<Uint8Array>;
}

/** Checks and hashes the copy in a thread. */
function checked(path: string): Promise<CopyCheck> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL('./backup-check.ts', import.meta.url), { workerData: path });
    thread.once('message', resolve);
    thread.once('error', reject);
    thread.once('exit', (code) => reject(new Error(`the check of the backup ended with ${code} and said nothing`)));
  });
}
