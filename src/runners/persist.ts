/**
 * Persist: inputs become files of miner storage. Each is copied to a temporary name in its folder, fsynced,
 * read back, compared with the artifact's hash, and renamed; only then does the next state begin.
 */
import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { createHash } from 'node:crypto';
import type { z } from 'zod';
import type { Grant } from '../schema/runner.ts';
import type { PersistWork, StoredFile } from '../schema/stage.ts';
import { StageFailure, asFailure } from './failure.ts';
import { hashFile, readThrough } from './file-hash.ts';
import type { StorageRoot } from './options.ts';
import type { Progress } from './progress.ts';
import { checkFolder, checkRoom, namedRoot, rootForSector, storedFilePath } from './storage-roots.ts';

/** In the work folder: the temporary files in miner storage, so that a restart after a crash can remove them. */
export const DRAFTS_FILE = 'storage-drafts.json';

export type PersistRun = {
  readonly grant: Grant;
  readonly work: z.infer<typeof PersistWork>;
  readonly workDir: string;
  readonly roots: readonly StorageRoot[];
  readonly progress: Progress;
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
  const { work, grant, signal } = run;
  const paths = [...work.files.map(({ path }) => path), work.sectorJson.path];
  const root = work.storage === null ? await rootForSector(run.roots, paths) : await namedRoot(run.roots, work.storage);
  for (const path of paths) await checkFolder(root, path);
  await checkRoom(
    root,
    grant.inputs.reduce((sum, { sizeBytes }) => sum + Number(sizeBytes), 0),
  );
  const drafts = paths.map((path) => draftName(storedFilePath(root, path), grant.attempt));
  await writeFile(join(run.workDir, DRAFTS_FILE), JSON.stringify(drafts), { flush: true });
  const draft = async (path: string, name: string, hash: string, source: Source): Promise<Stored> => {
    run.progress.note(`storing ${name}`);
    return { path, ...(await writeDraft(root, path, grant.attempt, signal, hash, name, source)) };
  };
  try {
    const files: Stored[] = [];
    for (const { artifact, path } of work.files) {
      const input = grant.inputs.find(({ name }) => name === artifact);
      if (input === undefined)
        throw new StageFailure(
          'bad_request',
          `${artifact} is to be stored but is no input of the grant; update the older of runner and control plane`,
        );
      files.push(await draft(path, artifact, input.hash, copyOf(join(run.workDir, 'in', artifact), signal)));
    }
    const json = Buffer.from(`${JSON.stringify(work.sectorJson.content, null, 2)}\n`);
    const hash = `sha256:${createHash('sha256').update(json).digest('hex')}`;
    const written: Source = async (append) => {
      await append(json);
      return { sizeBytes: json.length, hash };
    };
    files.push(await draft(work.sectorJson.path, 'sector.json', hash, written));
    signal.throwIfAborted();
    for (const path of paths) await place(storedFilePath(root, path), grant.attempt);
    return { storage: root.id, root: root.path, files };
  } catch (error) {
    for (const left of drafts) await rm(left, { force: true }).catch(() => undefined);
    signal.throwIfAborted();
    throw asFailure(error, 'storage_full');
  }
}

/** Writes, fsyncs and reads back the file's draft; answers what it holds. */
async function writeDraft(
  root: StorageRoot,
  path: string,
  attempt: string,
  signal: AbortSignal,
  wanted: string,
  name: string,
  source: Source,
): Promise<Omit<Stored, 'path'>> {
  const target = storedFilePath(root, path);
  const draft = draftName(target, attempt);
  await makeStoredFolder(root.path, dirname(target));
  await rm(draft, { force: true });
  const handle = await open(draft, 'wx', 0o644);
  try {
    const read = await source(async (bytes) => {
      for (let at = 0; at < bytes.length;) at += (await handle.write(bytes, at)).bytesWritten;
    });
    if (read.hash !== wanted) {
      throw new StageFailure('input_differs', `input ${name} has hash ${read.hash} and not ${wanted}; it has to be made again`, name);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  const back = await hashFile(draft, signal);
  if (back.hash !== wanted) {
    throw new StageFailure(
      'internal',
      `${path} reads back with hash ${back.hash} and not ${wanted} right after it was written; check the disk of storage ${root.id}`,
    );
  }
  return { sizeBytes: String(back.sizeBytes), hash: back.hash };
}

/** The draft becomes the file, in place of an older one. */
async function place(target: string, attempt: string): Promise<void> {
  await rename(draftName(target, attempt), target);
  await fsyncFolder(dirname(target));
}

/** A name beside the target that only this attempt uses. */
function draftName(target: string, attempt: string): string {
  return join(dirname(target), `.${basename(target)}.${attempt}.tmp`);
}

function copyOf(path: string, signal: AbortSignal): Source {
  return async (append) => {
    const handle = await open(path, 'r');
    try {
      return await readThrough(handle, signal, append);
    } finally {
      await handle.close();
    }
  };
}

/** Makes the folder durable as well: a renamed file in a folder that is gone after a power cut is gone too. */
async function makeStoredFolder(root: string, folder: string): Promise<void> {
  if ((await mkdir(folder, { recursive: true })) === undefined) return;
  const levels = relative(root, folder).split('/').length;
  for (let at = folder, level = 0; level <= levels; level++, at = dirname(at)) await fsyncFolder(at);
}

async function fsyncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
