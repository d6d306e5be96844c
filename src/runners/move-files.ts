/**
 * The steps by which a sector's files move from one path of miner storage to another. Files are copied as Persist stores them: to a
 * draft, synced, read back, then renamed. Old ones are removed only after the new ones were read again and agree.
 */
import { mkdir, open, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { StoredFile } from '../schema/stage.ts';
import type { StoredMove, StoredMoveAnswer } from '../schema/stored-move.ts';
import type { DiskLimit } from './disk-limit.ts';
import { StageFailure, errnoOf } from './failure.ts';
import { hashFile } from './file-hash.ts';
import type { StorageRoot } from './options.ts';
import { copyOf, inStorage, writeDraft } from './persist.ts';
import { type Draft, draftOf, dropDrafts, fsyncFolder, placeDrafts } from './stored-drafts.ts';
import { checkFolder, checkRoom, findStored, namedRoot, storedFilePath } from './storage-roots.ts';
import type { StorageWatch } from './storage-paths.ts';

/** Drafts of moves have this name in place of an attempt's: a move that goes on finds them again. */
const MOVE = 'move';
type Bad = StoredMoveAnswer['bad'];

export type MoveRun = {
  readonly move: StoredMove;
  readonly roots: readonly StorageRoot[];
  readonly watch: StorageWatch;
  /** Of all that is read and written of paths. */
  readonly limit: DiskLimit;
  readonly signal: AbortSignal;
};

type Step = MoveRun & { readonly from: StorageRoot; readonly to: StorageRoot };

/** One step of a move; answers files that are not as they were stored. Throws what stands against it. */
export async function moveFiles(run: MoveRun): Promise<Bad> {
  const to = await there(run, run.move.to, run.move.step !== 'drop');
  const from = await there(run, run.move.from, run.move.step === 'drop');
  const step = { ...run, from, to };
  switch (run.move.step) {
    case 'copy':
      return copy(step);
    case 'drop': {
      const bad = await differing(step, to);
      if (bad.length === 0) await remove(from, to, run.move.files);
      return bad;
    }
    case 'undo': {
      const drafts = run.move.files.map(({ path }) => draftOf(to.path, path, MOVE));
      await checkDrafts(to, drafts);
      await dropDrafts(drafts.map(({ top }) => top));
      const made: StoredFile[] = [];
      // Where the old file is not whole, the new one may be the last that is.
      for (const file of run.move.files)
        if ((await findStored(to, file.path)) !== undefined && (await wrongWith(from, file, run)) === undefined) made.push(file);
      await remove(to, from, made);
      return [];
    }
  }
}

/** Waits until bytes of this path that are read or written may be. */
const counted =
  ({ limit, signal }: MoveRun, { id }: StorageRoot) =>
  ({ length }: Uint8Array): Promise<void> =>
    limit.take(id, length, signal);

/** The path, if it is there, and can be changed where that is needed. */
async function there({ roots, watch }: MoveRun, id: string, changes: boolean): Promise<StorageRoot> {
  const root = await namedRoot(roots, id);
  if (root.bucket !== undefined)
    throw new StageFailure('bad_request', `storage ${id} is a bucket, and files are moved between folders only`);
  const { problem, readOnly } = await watch.look(root);
  const against = problem ?? (changes && readOnly ? 'it is read-only' : null);
  if (against !== null) throw new StageFailure('storage_full', `storage ${id}: ${against}`);
  return root;
}

async function copy(step: Step): Promise<Bad> {
  const { move, from, to, watch } = step;
  for (const { path } of move.files) await checkFolder(to, path);
  await refuseOne(to, from, move.files);
  const missing: { file: StoredFile; draft: Draft }[] = [];
  for (const file of move.files) {
    if ((await wrongWith(to, file, step)) !== undefined) missing.push({ file, draft: draftOf(to.path, file.path, MOVE) });
  }
  await checkDrafts(
    to,
    missing.map(({ draft }) => draft),
  );
  const left: typeof missing = [];
  for (const one of missing) if (!(await isWhole(one.draft, one.file, step))) left.push(one);
  await checkRoom(
    watch,
    to,
    left.reduce((sum, { file }) => sum + Number(file.sizeBytes), 0),
  );
  const bad: Bad = [];
  for (const { file, draft } of left) {
    const how = await copyFile(step, file, draft);
    if (how !== undefined) bad.push({ path: file.path.slice(0, 400), how: how.slice(0, 300) });
  }
  if (bad.length > 0) return bad;
  await inStorage(to, () =>
    placeDrafts(
      to.path,
      missing.map(({ draft }) => draft),
    ),
  );
  // What was written into a mount point while its disk was away is stored nowhere.
  await checkRoom(watch, to, 0);
  return [];
}

/** No link on the way to a draft leads out of the storage. */
async function checkDrafts(root: StorageRoot, drafts: readonly Draft[]): Promise<void> {
  for (const { top } of drafts) await checkFolder(root, top.slice(root.path.length + 1));
}

/** Answers what is wrong with the old file; undefined: the draft is whole. */
async function copyFile(step: Step, { path, hash }: StoredFile, draft: Draft): Promise<string | undefined> {
  const { from, to, signal } = step;
  const source = await findStored(from, path);
  if (source === undefined) return 'it is not there';
  try {
    const read = copyOf(source.path, signal);
    const paced: typeof read = (append) =>
      read(async (bytes) => {
        await counted(step, from)(bytes);
        await counted(step, to)(bytes);
        await append(bytes);
      });
    await writeDraft(to, draft, signal, hash, path, paced, counted(step, to));
    return undefined;
  } catch (error) {
    if (error instanceof StageFailure && error.code === 'input_differs') return error.message;
    throw error;
  }
}

/** Whether an earlier process made the draft whole; it is synced again, since that process may have ended before it did. */
async function isWhole({ file }: Draft, { sizeBytes, hash }: StoredFile, step: Step): Promise<boolean> {
  try {
    const handle = await open(file, 'r+');
    try {
      if (String((await handle.stat()).size) !== sizeBytes) return false;
      await handle.sync();
    } finally {
      await handle.close();
    }
    return (await hashFile(file, step.signal, counted(step, step.to))).hash === hash;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

async function differing(step: Step, root: StorageRoot): Promise<Bad> {
  const bad: Bad = [];
  for (const file of step.move.files) {
    const how = await wrongWith(root, file, step);
    if (how !== undefined) bad.push({ path: file.path.slice(0, 400), how: how.slice(0, 300) });
  }
  return bad;
}

/** What is wrong with a stored file; undefined: it is as it was stored. */
async function wrongWith(root: StorageRoot, { path, sizeBytes, hash }: StoredFile, run: MoveRun): Promise<string | undefined> {
  const stored = await findStored(root, path);
  if (stored === undefined) return 'it is not there';
  if (String(stored.sizeBytes) !== sizeBytes) return `it has ${stored.sizeBytes} bytes and not ${sizeBytes}`;
  const found = await hashFile(stored.path, run.signal, counted(run, root));
  return found.hash === hash ? undefined : `it has hash ${found.hash} and not ${hash}`;
}

/** Removes a sector's files from one path of two, and the folders that are empty then. Throws when both are one. */
async function remove(root: StorageRoot, other: StorageRoot, files: readonly StoredFile[]): Promise<void> {
  for (const { path } of files) await checkFolder(root, path);
  await refuseOne(root, other, files);
  const folders = new Set<string>();
  for (const { path } of files) {
    const file = storedFilePath(root, path);
    await rm(file, { force: true });
    folders.add(dirname(file));
  }
  const top = resolve(root.path);
  for (const folder of folders) {
    if (dirname(resolve(folder)) !== top && (await rmdir(folder).then(() => true, ifKept))) folders.add(dirname(folder));
    else await fsyncFolder(folder).catch(ifKept);
  }
}

/** Two names, links or mounts may lead to one folder: what is written below the one shows below the other then. */
async function refuseOne(root: StorageRoot, other: StorageRoot, files: readonly StoredFile[]): Promise<void> {
  const probes = new Set(files.map(({ path }) => `${draftOf('', path, MOVE).top}.probe`));
  for (const probe of probes) {
    const [own, seen] = [join(root.path, probe), join(other.path, probe)];
    if ((await stat(dirname(dirname(own))).catch(ifAbsent)) === undefined) continue;
    await mkdir(dirname(own), { recursive: true });
    for (const left of [own, seen]) await rm(left, { force: true });
    await writeFile(own, '');
    const same = (await stat(seen).catch(ifAbsent)) !== undefined;
    await rm(own, { force: true });
    if (same)
      throw new StageFailure(
        'bad_request',
        `storage ${root.id} and ${other.id} are one folder (${root.path}, ${other.path}); nothing was removed, take one of them out of the configuration`,
      );
  }
}

function ifAbsent(error: unknown): undefined {
  if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return undefined;
  throw error;
}

/** A folder stays where something else is in it, and may be gone already. */
function ifKept(error: unknown): false {
  if (['ENOTEMPTY', 'EEXIST', 'ENOENT', 'EBUSY'].includes(errnoOf(error) ?? '')) return false;
  throw error;
}
