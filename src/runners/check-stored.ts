/** Reads stored files again and compares size and hash with what Persist answered. */
import type { z } from 'zod';
import type { CheckStoredWork } from '../schema/stage.ts';
import { StageFailure } from './failure.ts';
import { readThrough } from './file-hash.ts';
import type { StorageRoot } from './options.ts';
import type { Progress } from './progress.ts';
import type { StorageWatch } from './storage-paths.ts';
import { namedRoot, whileThere } from './storage-roots.ts';
import { openStored } from './stored-files.ts';

type Files = z.infer<typeof CheckStoredWork>['files'];

/** `{valid: true}` when all are as they were stored. Throws `input_invalid` naming the first that is not, and as `whileThere` does. */
export async function checkStored(
  { storage, files }: z.infer<typeof CheckStoredWork>,
  { storage: roots, watch }: { readonly storage: readonly StorageRoot[]; readonly watch: StorageWatch },
  progress: Progress,
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  const root = await namedRoot(roots, storage);
  await whileThere(watch, root, () => readFiles(root, files, progress, signal));
  return { valid: true };
}

async function readFiles(root: StorageRoot, files: Files, progress: Progress, signal: AbortSignal): Promise<void> {
  for (const { path, sizeBytes, hash } of files) {
    progress.note(`reading ${path}`);
    const unreadable = (error: unknown): never => {
      signal.throwIfAborted();
      if (error instanceof StageFailure) throw error;
      throw damaged(path, root, `cannot be read (${String(error)})`);
    };
    const stored = await openStored(root, path, signal).catch(unreadable);
    if (stored === undefined) throw damaged(path, root, 'is not there');
    const found = await readThrough(stored, signal)
      .catch(unreadable)
      .finally(() => stored.close());
    if (String(found.sizeBytes) !== sizeBytes) throw damaged(path, root, `has ${found.sizeBytes} bytes and not ${sizeBytes}`);
    if (found.hash !== hash) throw damaged(path, root, `has hash ${found.hash} and not ${hash}`);
  }
}

function damaged(path: string, root: StorageRoot, how: string): StageFailure {
  return new StageFailure(
    'input_invalid',
    `stored file ${path} in storage ${root.id} ${how}; it is stored again by itself`,
    path.slice(0, 100),
  );
}
