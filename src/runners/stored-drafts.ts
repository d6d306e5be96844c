/**
 * Where files of miner storage grow before they have their names: `sealed/fetching/…`, `cache/fetching/…`. Lotus leaves that folder
 * alone, and refuses to attach a path that has anything in `sealed/` or `cache/` that is no sector.
 */
import { mkdir, open, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { errnoOf } from './failure.ts';

const DRAFTS = 'fetching';

/** A file of a storage on its way to its name. `top` is what grows: the file itself, or the folder that it will be in. */
export type Draft = { readonly target: string; readonly file: string; readonly top: string };

/** The draft of `path` (`sealed/s-t01000-7`, `cache/s-t01000-7/p_aux`) below `root`, which only this attempt uses. */
export function draftOf(root: string, path: string, attempt: string): Draft {
  const [folder = '', sector = '', ...inner] = path.split('/');
  const top = join(root, folder, DRAFTS, `${sector}.${attempt}.tmp`);
  return { target: join(root, path), file: join(top, ...inner), top };
}

/**
 * Gives drafts their names, in place of older files, durably. A sector's folder that is new takes its place as a whole, so that
 * there is never half of one; in one that is there files are replaced one by one.
 */
export async function placeDrafts(root: string, drafts: readonly Draft[]): Promise<void> {
  const moved = new Set<string>();
  const tried = new Set<string>();
  for (const { target, file, top } of drafts) {
    if (file !== top && !tried.has(top)) {
      tried.add(top);
      if (await placedWhole(top, dirname(target), drafts)) moved.add(top);
    }
    if (moved.has(top)) continue;
    await makeStoredFolder(root, dirname(target));
    await rename(file, target);
    await fsyncFolder(dirname(target));
  }
  for (const top of tried) if (!moved.has(top)) await rmdir(top).catch(() => undefined);
}

/** True when the draft's folder became the sector's: that was not there, or empty. */
async function placedWhole(top: string, folder: string, drafts: readonly Draft[]): Promise<boolean> {
  // All of its files have to be next to each other: folders inside a sector's folder are moved file by file.
  if (drafts.some((draft) => draft.top === top && dirname(draft.file) !== top)) return false;
  try {
    await rename(top, folder);
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
  await fsyncFolder(folder);
  await fsyncFolder(dirname(folder));
  return true;
}

/** Removes what is left of drafts; the folder for them stays, others may be about to use it. */
export async function dropDrafts(tops: Iterable<string>): Promise<void> {
  for (const top of new Set(tops)) await rm(top, { recursive: true, force: true });
}

/** Makes the folder durable as well: a renamed file in a folder that is gone after a power cut is gone too. */
export async function makeStoredFolder(root: string, folder: string): Promise<void> {
  if ((await mkdir(folder, { recursive: true })) === undefined) return;
  const levels = relative(root, folder).split('/').length;
  for (let at = folder, level = 0; level <= levels; level++, at = dirname(at)) await fsyncFolder(at);
}

export async function fsyncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
