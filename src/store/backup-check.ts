/** A thread: makes a copy of the database one plain file, checks that it is whole, and hashes it. */
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readSync } from 'node:fs';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import Database from 'better-sqlite3';

/** What the thread says, once. */
export type CopyCheck =
  | { readonly whole: true; readonly sizeBytes: number; readonly hash: string }
  | { readonly whole: false; readonly reason: string };

const CHUNK_BYTES = 2 ** 20;

/** `undefined`: the database is whole; else what SQLite finds wrong. */
export function damageOf(client: Database.Database): string | undefined {
  const [first] = client.pragma('integrity_check(1)') as { integrity_check: string }[];
  return first?.integrity_check === 'ok' ? undefined : (first?.integrity_check ?? 'the check said nothing');
}

function check(path: string): CopyCheck {
  const client = new Database(path, { fileMustExist: true });
  try {
    // Without a log beside it the file is whole by itself, and readable where nothing may be written.
    client.pragma('journal_mode = DELETE');
    const reason = damageOf(client);
    if (reason !== undefined) return { whole: false, reason };
  } finally {
    client.close();
  }
  return { whole: true, ...hashed(path) };
}

function hashed(path: string): { sizeBytes: number; hash: string } {
  const file = openSync(path, 'r+');
  try {
    fsyncSync(file);
    const hash = createHash('sha256');
    const chunk = Buffer.alloc(CHUNK_BYTES);
    let sizeBytes = 0;
    for (let read = readSync(file, chunk); read > 0; read = readSync(file, chunk)) {
      hash.update(chunk.subarray(0, read));
      sizeBytes += read;
    }
    return { sizeBytes, hash: `sha256:${hash.digest('hex')}` };
  } finally {
    closeSync(file);
  }
}

if (!isMainThread && typeof workerData === 'string') parentPort?.postMessage(check(workerData));
