/** DATA/work/<attempt>: one fresh folder per attempt, nothing left of a crashed one. */
import { mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import type { KeptDownloads } from './kept-downloads.ts';
import type { AgentOptions, Log, StorageRoot } from './options.ts';
import { DRAFTS_FILE } from './persist.ts';
import { dropBucketDrafts } from './persist-bucket.ts';
import { killMarked } from './processes.ts';

const SWEEP_MS = 10 * 60_000;

const work = (dataDir: string): string => resolve(dataDir, 'work');

/** The folder of an attempt. */
export function workFolder(dataDir: string, attempt: string): string {
  return join(work(dataDir), attempt);
}

/** Of an attempt or a self-test; processors that stay have folders of other names. */
const OF_AN_ATTEMPT = /^[a-z]-[0-9a-z]+$/;
/** Folders of what runs in this process. */
const inUse = new Set<string>();

/** Makes it, with `in/`. Throws when it exists. */
export async function makeWorkFolder(folder: string): Promise<void> {
  inUse.add(folder);
  await mkdir(folder);
  await mkdir(join(folder, 'in'));
}

export async function dropWorkFolder(folder: string): Promise<void> {
  // Also when it cannot be removed now: then the next sweep tries.
  inUse.delete(folder);
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** Ends processes and removes files of an agent that died; call it with the lock held. */
export async function clearLeftovers(dataDir: string, log: Log, storage: readonly StorageRoot[] = []): Promise<void> {
  await mkdir(work(dataDir), { recursive: true });
  const killed = await killMarked(work(dataDir));
  const folders = await readdir(work(dataDir));
  for (const name of folders) {
    await dropBucketDrafts(join(work(dataDir), name), storage, log);
    await clear(join(work(dataDir), name));
  }
  if (killed > 0 || folders.length > 0) log('warn', 'cleared what an agent before this one left', { processes: killed, attempts: folders });
}

/** Removes what nothing that runs here works in: an attempt's folder that could not be removed when it ended. */
export async function sweepWorkFolders(dataDir: string, log: Log): Promise<void> {
  const named = (await readdir(work(dataDir))).filter((name) => OF_AN_ATTEMPT.test(name));
  const folders = named.map((name) => join(work(dataDir), name)).filter((folder) => !inUse.has(folder));
  for (const folder of folders) {
    await clear(folder).then(
      () => log('warn', 'removed what an attempt that has ended had left', { folder }),
      (error: unknown) => log('error', `cannot remove ${folder}: ${String(error)}; it is tried again later`),
    );
  }
}

/** Sweeps work folders and half-fetched inputs, at once and then again and again; answers how to stop. */
export function keepSwept(
  { dataDir, log, sweepMs = SWEEP_MS }: Pick<AgentOptions, 'dataDir' | 'log' | 'sweepMs'>,
  downloads: KeptDownloads,
): () => void {
  const failed = (error: unknown): void => log('error', String(error));
  const sweep = (): void => {
    void sweepWorkFolders(dataDir, log).catch(failed);
    void downloads.sweep(Date.now()).catch(failed);
  };
  sweep();
  const timer = setInterval(sweep, sweepMs);
  return () => clearInterval(timer);
}

/** With the files that it had begun in miner storage. */
async function clear(folder: string): Promise<void> {
  for (const draft of await drafts(folder)) await rm(draft, { recursive: true, force: true });
  await dropWorkFolder(folder);
}

async function drafts(folder: string): Promise<string[]> {
  const text = await readFile(join(folder, DRAFTS_FILE), 'utf8').catch(() => '[]');
  try {
    return z.array(z.string().endsWith('.tmp')).parse(JSON.parse(text));
  } catch {
    // Written half: then no draft had been made yet.
    return [];
  }
}
