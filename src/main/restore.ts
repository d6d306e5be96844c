/**
 * `sealpool restore FILE --data DIR`: the database of a backup in the place of the one that is there, while no
 * control plane runs on it. The next start compares its jobs with the chain before anything is sent.
 */
import { mkdir, readFile, rename } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { hashSecret, newSecret } from '../api/secrets.ts';
import { UsageError } from '../cli/command.ts';
import { SealpoolError } from '../schema/problem.ts';
import type { ApiTokenRow, Tx } from '../scheduler/ports.ts';
import { RESTORED } from '../scheduler/reconcile.ts';
import { lockDatabase } from '../store/lock.ts';
import { openNodeStore } from '../store/node.ts';
import { checkBackup, copyBackup, dropDatabase, placeDatabase, skipEventNumbers } from '../store/restore.ts';
import { writeSecretFile } from './admin-token.ts';
import { loadConfig } from './config.ts';
import { randomIds, systemClock } from './machine.ts';

/** What was done, for whoever reads it. */
export type Restored = {
  readonly database: string;
  /** The database that was there; null when there was none. */
  readonly kept: string | null;
  /** Jobs that the next start compares with the chain. */
  readonly liveJobs: number;
  /** A new admin token was written there, since no file had one that the backup knows. */
  readonly newAdminToken: string | null;
};

const PAGE = 1_000;

/** Restores. Throws `database_in_use`, or what is wrong with the file; then nothing was changed. */
export async function restoreDatabase(file: string, dataDir: string, nowMs: number): Promise<Restored> {
  const backup = resolve(file);
  const path = join(resolve(dataDir), 'sealpool.sqlite');
  if (backup === path)
    throw new SealpoolError('bad_request', 'same_file', `${file} is the database itself; name a file that sealpool backup wrote`);
  await mkdir(resolve(dataDir), { recursive: true, mode: 0o700 });
  const unlock = lockDatabase(path);
  const draft = `${path}.restoring`;
  const kept = `${path}.before-restore-${new Date(nowMs).toISOString().replaceAll(/[:.]/g, '-')}`;
  try {
    await copyBackup(backup, draft);
    checkBackup(file, draft);
    const tokenFile = join(resolve(dataDir), 'admin.token');
    const { liveJobs, secret } = await prepare(draft, nowMs, await savedSecret(tokenFile));
    skipEventNumbers(draft, nowMs);
    const before = await placeDatabase(draft, path, kept);
    if (secret !== undefined) {
      await rename(tokenFile, `${tokenFile}${kept.slice(path.length)}`).catch(() => undefined);
      await writeSecretFile(tokenFile, secret);
    }
    return { database: path, kept: before ? kept : null, liveJobs, newAdminToken: secret === undefined ? null : tokenFile };
  } finally {
    await dropDatabase(draft);
    unlock();
  }
}

/** Brings the copy to this version, marks it as restored, and sees to it that somebody can log in. */
async function prepare(draft: string, nowMs: number, saved: string | undefined): Promise<{ liveJobs: number; secret: string | undefined }> {
  let failed: Error | undefined;
  const store = openNodeStore({ path: draft, onFatal: (error) => (failed = error) });
  try {
    return await store.commit((tx) => {
      tx.setMeta(RESTORED, String(nowMs));
      const row = saved === undefined ? undefined : tx.apiTokenByHash(hashSecret(saved));
      const usable = row !== undefined && row.revokedMs === null;
      return { liveJobs: countLive(tx), secret: usable ? undefined : newAdmin(tx, nowMs) };
    });
  } catch (error) {
    throw failed ?? error;
  } finally {
    store.close();
  }
}

function countLive(tx: Tx): number {
  let [count, cursor]: [number, string | null] = [0, null];
  do {
    const page: ReturnType<Tx['liveJobs']> = tx.liveJobs(PAGE, cursor);
    count += page.items.length;
    cursor = page.cursor;
  } while (cursor !== null);
  return count;
}

function newAdmin(tx: Tx, nowMs: number): string {
  const { secret, hash } = newSecret(randomIds, 'api');
  const id = randomIds.next('t') as ApiTokenRow['id'];
  tx.insertApiToken({
    id,
    hash,
    name: 'restored-admin',
    role: 'admin',
    miners: null,
    createdMs: nowMs,
    revokedMs: null,
    expiresMs: null,
    previousHash: null,
    previousUntilMs: null,
  });
  return secret;
}

async function savedSecret(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  );
}

/** The command; prints what was done. */
export async function restore(args: string[], say: (line: string) => void): Promise<void> {
  const { file, data } = parsed(args);
  const done = await restoreDatabase(file, data, systemClock.now());
  say(`${done.database} is the backup ${file} now`);
  if (done.kept !== null) say(`the database that was there is kept as ${done.kept}`);
  if (done.newAdminToken !== null) say(`no file had an admin token that the backup knows: a new one is in ${done.newAdminToken}`);
  say(`start sealpool serve: ${done.liveJobs} unfinished jobs are compared with the chain before anything of them is sent`);
}

function parsed(args: string[]): { file: string; data: string } {
  try {
    const { values, positionals } = parseArgs({
      args,
      strict: true,
      allowPositionals: true,
      options: { data: { type: 'string' }, config: { type: 'string' } },
    });
    const [file, ...more] = positionals;
    if (file === undefined || more.length > 0) throw new Error('it takes one file');
    return { file, data: loadConfig({ flags: { data: values.data, config: values.config } }).data };
  } catch (error) {
    if (error instanceof SealpoolError) throw error;
    throw new UsageError(`${(error as Error).message.replace(/\.? ?$/, '')}; type: sealpool restore FILE --data DIR`);
  }
}
