/** Miner storage: which root takes a sector, and where in it a file may be. */
import { readdir, realpath, stat } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { StageFailure, errnoOf } from './failure.ts';
import { type Standing, type StoragePath, choosePath, isAway, refusalOf } from '../schema/miner-storage.ts';
import type { StorageRoot } from './options.ts';
import type { StorageWatch } from './storage-paths.ts';
import { inBucket } from './stored-objects.ts';

const SEGMENT = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;
/** Where a root keeps files of sectors, each below the sector's name. */
const FOLDERS = ['sealed', 'cache', 'update', 'update-cache', 'unsealed'] as const;

/** The file below a root. Throws `bad_request` as `plainPath` does. */
export function storedFilePath(root: StorageRoot, path: string): string {
  return join(root.path, plainPath(path));
}

/** The path itself, which is the key below a bucket's prefix, too. Throws `bad_request` for anything but plain segments: no `..`, nothing absolute. */
export function plainPath(path: string): string {
  if (path.length > 400 || !path.split('/').every((segment) => SEGMENT.test(segment) && !segment.includes('..'))) {
    throw new StageFailure(
      'bad_request',
      `${JSON.stringify(path.slice(0, 80))} is not a path below miner storage; the control plane and this runner disagree, update the older one`,
    );
  }
  return path;
}

/** The root of this id. Throws `storage_full` when its disk is not there: then the job waits, and its files count as neither lost nor damaged. */
export async function namedRoot(roots: readonly StorageRoot[], id: string): Promise<StorageRoot> {
  const root = roots.find((known) => known.id === id);
  if (root === undefined) {
    throw new StageFailure(
      'internal',
      `this runner has no storage ${JSON.stringify(id)}; start it with --storage ${id}=PATH, or let the runner that has it do this`,
    );
  }
  // Of a bucket the first call tells.
  if (root.bucket === undefined && !(await stat(root.path).catch(() => undefined))?.isDirectory()) {
    throw new StageFailure('storage_full', `storage ${id} cannot be reached at ${root.path}; mount it, or make the folder again`);
  }
  return root;
}

/**
 * Runs what reads stored files. Throws `storage_full` where their path is away before, or after a file was missed: an empty mount
 * point is a folder too. Then the job waits, and its files count as neither lost nor damaged.
 */
export async function whileThere<T>(watch: StorageWatch, root: StorageRoot, read: () => Promise<T>): Promise<T> {
  await checkThere(watch, root);
  try {
    return await read();
  } catch (error) {
    if (error instanceof StageFailure && error.code === 'input_invalid') await checkThere(watch, root);
    throw error;
  }
}

async function checkThere(watch: StorageWatch, root: StorageRoot): Promise<void> {
  const path = await watch.look(root);
  if (isAway(path)) throw new StageFailure('storage_full', `storage ${root.id}: ${path.problem}`);
}

/**
 * Where a sector goes when the control plane leaves it open: the root that has most of its files already (they must stay together,
 * and a repeated Persist must not leave two copies in two places), else the one that `choosePath` takes.
 */
export async function rootForSector(
  watch: StorageWatch,
  roots: readonly StorageRoot[],
  paths: readonly string[],
  sizeBytes: number,
): Promise<StorageRoot> {
  const sectors = new Set(paths.map((path) => path.split('/')[1] ?? ''));
  const standing: [StoragePath, Standing][] = [];
  let preferred: { id: string; present: number } | undefined;
  for (const root of roots) {
    const path = await watch.look(root);
    standing.push([path, { reservedBytes: 0, cordoned: false }]);
    if (path.problem !== null) continue;
    let present = 0;
    for (const sector of sectors) for (const folder of FOLDERS) if (await holdsFiles(root, `${folder}/${sector}`)) present++;
    if (present > (preferred?.present ?? 0)) preferred = { id: root.id, present };
  }
  const miner = /^s-(t0[0-9]+)-/.exec([...sectors][0] ?? '')?.[1] ?? null;
  const chosen = choosePath(standing, miner, sizeBytes, { preferred: preferred?.id, failed: new Set() });
  if ('id' in chosen) return namedRoot(roots, chosen.id);
  throw new StageFailure('storage_full', `${chosen.why}; mount it, free space there, or start the runner with --storage id=path`);
}

/** Throws `storage_full` with the reason unless so many bytes can be written there now. */
export async function checkRoom(watch: StorageWatch, root: StorageRoot, sizeBytes: number): Promise<void> {
  const refusal = refusalOf(await watch.look(root), { reservedBytes: 0, cordoned: false }, null, sizeBytes);
  if (refusal !== undefined) throw new StageFailure('storage_full', `storage ${root.id}: ${refusal}`);
}

/**
 * A stored file by its real path, with its size; undefined: there is none. Throws `input_invalid` for what
 * is no plain file, or is reached by a link that leads out of the storage: that could be any file of this machine.
 */
export async function findStored(root: StorageRoot, path: string): Promise<{ path: string; sizeBytes: number } | undefined> {
  const file = storedFilePath(root, path);
  const refused = (how: string): StageFailure =>
    new StageFailure('input_invalid', `stored file ${path} in storage ${root.id} ${how}; put the file itself there`, path.slice(0, 100));
  const real = await realpath(file)
    .catch(ifAbsent)
    .catch((error: unknown) => {
      throw refused(`cannot be read (${errnoOf(error)})`);
    });
  if (real === undefined) return undefined;
  if (!(await isInside(root, real))) throw refused('is reached by a link that leads out of the storage');
  const found = await stat(real).catch(ifAbsent);
  if (found !== undefined && !found.isFile()) throw refused('is no plain file');
  return found && { path: real, sizeBytes: found.size };
}

/** Throws `bad_request` when the folder for a stored file lies outside of the storage, because a link on the way leads there. */
export async function checkFolder(root: StorageRoot, path: string): Promise<void> {
  const levels: string[] = [];
  const top = resolve(root.path);
  for (let at = dirname(resolve(storedFilePath(root, path))); at !== top; at = dirname(at)) levels.unshift(at);
  for (const level of levels) {
    const real = await realpath(level).catch(ifAbsent);
    if (real === undefined) return;
    if (await isInside(root, real)) continue;
    throw new StageFailure(
      'bad_request',
      `${relative(top, level)} in storage ${root.id} is a link that leads out of it; make it a folder, or give its target to the runner as a storage of its own`,
    );
  }
}

async function isInside(root: StorageRoot, real: string): Promise<boolean> {
  const below = relative(await realpath(root.path), real);
  return below !== '' && below !== '..' && !below.startsWith('../');
}

/** A file, or a folder with a file in it; drafts do not count. */
async function holdsFiles(root: StorageRoot, stored: string): Promise<boolean> {
  const path = storedFilePath(root, stored);
  const { bucket } = root;
  if (bucket !== undefined)
    return inBucket(root, async () => (await bucket.find(stored)) !== undefined || (await bucket.holds(`${stored}/`)));
  const found = await stat(path).catch(ifAbsent);
  if (found === undefined || found.isFile()) return found !== undefined;
  return (await readdir(path)).some((name) => !name.startsWith('.'));
}

function ifAbsent(error: unknown): undefined {
  if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
  throw error;
}
