/** Reads stored files against their hashes in the background, one sector after another and no faster than it was told. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { StoredFile } from '../schema/stage.ts';
import type { StoredCheck, StoredCheckAnswer } from '../schema/stored-check.ts';
import type { DiskLimit } from './disk-limit.ts';
import { Errands } from './errands.ts';
import { StageFailure, errnoOf } from './failure.ts';
import { readThrough } from './file-hash.ts';
import type { StorageRoot } from './options.ts';
import { namedRoot } from './storage-roots.ts';
import type { StorageWatch } from './storage-paths.ts';
import { type StoredReader, openStored } from './stored-files.ts';

/** Checks of one agent. */
export class StoredChecks extends Errands<StoredCheck, StoredCheckAnswer> {
  constructor(roots: readonly StorageRoot[], watch: StorageWatch, limit: DiskLimit, onAnswer: () => void) {
    super(async ({ storage, miner, number, files, bytesPerS }, signal) => {
      const bad = await checkFiles({ roots, watch, limit, storage, files, bytesPerS, signal }).catch(() => 'away' as const);
      const about = { storage, miner, number };
      return bad === 'away' ? { ...about, outcome: 'away', bad: [] } : { ...about, outcome: 'checked', bad };
    }, onAnswer);
  }
}

type Checked = {
  readonly roots: readonly StorageRoot[];
  readonly watch: StorageWatch;
  readonly limit: DiskLimit;
  readonly storage: string;
  readonly files: readonly StoredFile[];
  readonly bytesPerS: number;
  readonly signal: AbortSignal;
};

/** The files that are not as they were stored; `away` when the storage is not there, before or after. */
async function checkFiles({ roots, watch, limit, storage, files, bytesPerS, signal }: Checked): Promise<StoredCheckAnswer['bad'] | 'away'> {
  const root = await namedRoot(roots, storage);
  const away = async (): Promise<boolean> => (await watch.look(root)).problem !== null;
  if (await away()) return 'away';
  const bad: StoredCheckAnswer['bad'] = [];
  for (const file of files) {
    const how = await wrongWith(root, file, { limit, bytesPerS }, signal);
    if (how !== undefined) bad.push({ path: file.path.slice(0, 400), how: how.slice(0, 300) });
  }
  return bad.length > 0 && (await away()) ? 'away' : bad;
}

async function wrongWith(
  root: StorageRoot,
  { path, sizeBytes, hash }: StoredFile,
  { limit, bytesPerS }: Pick<Checked, 'limit' | 'bytesPerS'>,
  signal: AbortSignal,
): Promise<string | undefined> {
  let stored: StoredReader | undefined;
  try {
    stored = await openStored(root, path, signal);
    if (stored === undefined) return 'it is not there';
    if (String(stored.sizeBytes) !== sizeBytes) return `it has ${stored.sizeBytes} bytes and not ${sizeBytes}`;
    const startedMs = performance.now();
    let read = 0;
    const found = await readThrough(stored, signal, async ({ length }) => {
      read += length;
      const aheadMs = (read / bytesPerS) * 1_000 - (performance.now() - startedMs);
      if (aheadMs > 1) await sleep(aheadMs, undefined, { signal });
      await limit.take(root.id, length, signal);
    });
    return found.hash === hash ? undefined : `it has hash ${found.hash} and not ${hash}`;
  } catch (error) {
    signal.throwIfAborted();
    // A bucket that does not answer says nothing of its files.
    if (error instanceof StageFailure && error.code === 'storage_full') throw error;
    if (error instanceof StageFailure) return error.message;
    return `it cannot be read (${errnoOf(error) ?? String(error)})`;
  } finally {
    await stored?.close();
  }
}
