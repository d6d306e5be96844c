/** File operations that are on the disk when they return, and that never replace a file. */
import { link, mkdir, open, rm } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { errnoOf } from './errors.ts';

/** Makes the entries of a folder durable: without it a rename can be gone after a power cut. */
export async function fsyncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes `folder` and its parents below `root`, all durable. `root` must exist. */
export async function makeFolder(root: string, folder: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true });
  if (made === undefined) return;
  const depth = relative(root, folder).split('/').length;
  for (let level = 0, at = folder; level <= depth; level++, at = dirname(at)) await fsyncFolder(at);
}

/**
 * Gives the finished file `from` the name `to` as well; the caller removes `from`.
 * A link and not a rename, because a rename would silently replace. False when `to` exists already.
 */
export async function linkNew(root: string, from: string, to: string): Promise<boolean> {
  for (let tries = 0; ; tries++) {
    await makeFolder(root, dirname(to));
    try {
      await link(from, to);
      break;
    } catch (error) {
      if (errnoOf(error) === 'EEXIST') return false;
      // A delete may have pruned the empty folder between the two calls.
      if (errnoOf(error) !== 'ENOENT' || tries === 3) throw error;
    }
  }
  await fsyncFolder(dirname(to));
  return true;
}

/** Writes a new file through `write`, makes it durable; removes it again when anything fails. */
export async function writeNew<T>(path: string, write: (append: (bytes: Uint8Array) => Promise<void>) => Promise<T>): Promise<T> {
  const handle = await open(path, 'wx', 0o600);
  try {
    const answer = await write(async (bytes) => {
      for (let at = 0; at < bytes.length;) at += (await handle.write(bytes, at)).bytesWritten;
    });
    await handle.sync();
    await handle.close();
    return answer;
  } catch (error) {
    await handle.close().catch(() => undefined);
    await rm(path, { force: true });
    throw error;
  }
}
