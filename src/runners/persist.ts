/**
 * Persist: inputs become files of miner storage. Each is copied to a temporary name, fsynced, read back, compared with
 * the artifact's hash, and renamed; only then does the next state begin.
 */
import { open, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createHash } from 'node:crypto';
import type { z } from 'zod';
import type { Grant } from '../schema/runner.ts';
import type { PersistWork, StoredFile } from '../schema/stage.ts';
import { StageFailure, asFailure, errnoOf } from './failure.ts';
import { hashFile, readThrough } from './file-hash.ts';
import type { StorageRoot } from './options.ts';
import { persistInBucket } from './persist-bucket.ts';
import type { Progress } from './progress.ts';
import { type Draft, draftOf, dropDrafts, makeStoredFolder, placeDrafts } from './stored-drafts.ts';
import type { StorageWatch } from './storage-paths.ts';
import { checkFolder, checkRoom, namedRoot, rootForSector, storedFilePath } from './storage-roots.ts';

/** In the work folder: the temporary files and folders in miner storage, so that a restart after a crash can remove them. */
export const DRAFTS_FILE = 'storage-drafts.json';

export type PersistRun = {
  readonly grant: Pick<Grant, 'attempt' | 'inputs'>;
  readonly work: z.infer<typeof PersistWork>;
  readonly workDir: string;
  readonly roots: readonly StorageRoot[];
  readonly watch: StorageWatch;
  readonly progress: Pick<Progress, 'note'> & Partial<Pick<Progress, 'moved'>>;
  readonly signal: AbortSignal;
};

type Stored = z.infer<typeof StoredFile>;
/** Writes the content of one file through `append`; answers what it read. */
type Source = (append: (bytes: Uint8Array) => Promise<void>) => Promise<{ sizeBytes: number; hash: string }>;

/**
 * Stores all files; the result's `files` are the artifacts in order, then `sector.json`. All are whole before the
 * first replaces an older one, and `sector.json`, which speaks of the others, comes last. Throws `StageFailure`.
 */
export async function persist(run: PersistRun): Promise<Record<string, unknown>> {
  const { work, grant, signal, watch } = run;
  const paths = [...work.files.map(({ path }) => path), work.sectorJson.path];
  const sizeBytes = grant.inputs.reduce((sum, input) => sum + Number(input.sizeBytes), 0);
  const root = work.storage === null ? await rootForSector(watch, run.roots, paths, sizeBytes) : await namedRoot(run.roots, work.storage);
  if (root.bucket !== undefined) {
    await checkRoom(watch, root, sizeBytes);
    return persistInBucket(run, root, root.bucket);
  }
  for (const path of paths) await checkFolder(root, path);
  await checkRoom(watch, root, sizeBytes);
  const drafts = paths.map((path) => {
    storedFilePath(root, path);
    return draftOf(root.path, path, grant.attempt);
  });
  for (const { top } of drafts) await checkFolder(root, top.slice(root.path.length + 1));
  const tops = drafts.map(({ top }) => top);
  await writeFile(join(run.workDir, DRAFTS_FILE), JSON.stringify(tops), { flush: true });
  const draft = async (at: number, name: string, hash: string, source: Source): Promise<Stored> => {
    run.progress.note(`storing ${name}`);
    return { path: paths[at] as string, ...(await writeDraft(root, drafts[at] as Draft, signal, hash, name, source)) };
  };
  try {
    const files: Stored[] = [];
    for (const [at, { artifact }] of work.files.entries()) {
      const input = grant.inputs.find(({ name }) => name === artifact);
      if (input === undefined)
        throw new StageFailure(
          'bad_request',
          `${artifact} is to be stored but is no input of the grant; update the older of runner and control plane`,
        );
      files.push(await draft(at, artifact, input.hash, copyOf(join(run.workDir, 'in', artifact), signal)));
    }
    const json = Buffer.from(`${JSON.stringify(work.sectorJson.content, null, 2)}\n`);
    const hash = `sha256:${createHash('sha256').update(json).digest('hex')}`;
    const written: Source = async (append) => {
      await append(json);
      return { sizeBytes: json.length, hash };
    };
    files.push(await draft(paths.length - 1, 'sector.json', hash, written));
    signal.throwIfAborted();
    await inStorage(root, () => placeDrafts(root.path, drafts));
    // What was written into a mount point while its disk was away is stored nowhere.
    await checkRoom(watch, root, 0);
    return { storage: root.id, root: root.path, files };
  } catch (error) {
    await dropDrafts(tops).catch(() => undefined);
    signal.throwIfAborted();
    throw asFailure(error, 'storage_full');
  }
}

/** Runs what only touches the storage: what the system says against it is the storage's, and the job waits for it or goes to another. */
export async function inStorage<T>(root: StorageRoot, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    const code = errnoOf(error);
    if (error instanceof StageFailure || code === undefined || code === 'ENOSPC' || code === 'EDQUOT') throw error;
    throw new StageFailure(
      'storage_full',
      `storage ${root.id} cannot be written at ${root.path} (${code}); look at its disk and how it is mounted`,
    );
  }
}

/** Writes, fsyncs and reads back the file's draft; answers what it holds. What is read back also goes to `each`. */
export async function writeDraft(
  root: StorageRoot,
  { file }: Draft,
  signal: AbortSignal,
  wanted: string,
  name: string,
  source: Source,
  each?: (bytes: Uint8Array) => Promise<void>,
): Promise<Omit<Stored, 'path'>> {
  const handle = await inStorage(root, async () => {
    await makeStoredFolder(root.path, dirname(file));
    await rm(file, { force: true });
    return open(file, 'wx', 0o644);
  });
  try {
    const read = await source((bytes) =>
      inStorage(root, async () => {
        for (let at = 0; at < bytes.length;) at += (await handle.write(bytes, at)).bytesWritten;
      }),
    );
    if (read.hash !== wanted) {
      throw new StageFailure('input_differs', `input ${name} has hash ${read.hash} and not ${wanted}; it has to be made again`, name);
    }
    await inStorage(root, () => handle.sync());
  } finally {
    await handle.close();
  }
  const back = await inStorage(root, () => hashFile(file, signal, each));
  if (back.hash !== wanted) {
    throw new StageFailure(
      'storage_full',
      `${name} reads back with hash ${back.hash} and not ${wanted} right after it was written; check the disk of storage ${root.id}`,
    );
  }
  return { sizeBytes: String(back.sizeBytes), hash: back.hash };
}

/** The bytes of a file. */
export function copyOf(path: string, signal: AbortSignal): Source {
  return async (append) => {
    const handle = await open(path, 'r');
    try {
      return await readThrough(handle, signal, append);
    } finally {
      await handle.close();
    }
  };
}
