/** Reads stored files again and compares size and hash with what Persist answered. */
import type { z } from 'zod';
import type { CheckStoredWork } from '../schema/stage.ts';
import { StageFailure, errnoOf } from './failure.ts';
import { hashFile } from './file-hash.ts';
import type { StorageRoot } from './options.ts';
import type { Progress } from './progress.ts';
import { storedFilePath } from './storage-roots.ts';

/** `{valid: true}` when all are as they were stored. Throws `input_invalid` naming the first that is not. */
export async function checkStored(
  work: z.infer<typeof CheckStoredWork>,
  roots: readonly StorageRoot[],
  progress: Progress,
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  const root = roots.find(({ id }) => id === work.storage);
  if (root === undefined) {
    throw new StageFailure(
      'internal',
      `this runner has no storage ${JSON.stringify(work.storage)}; start it with --storage ${work.storage}=PATH, or let the runner that has it check`,
    );
  }
  for (const { path, sizeBytes, hash } of work.files) {
    progress.note(`reading ${path}`);
    const file = storedFilePath(root, path);
    const found = await hashFile(file, signal).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined;
      throw error;
    });
    if (found === undefined) throw damaged(path, root, 'is not there');
    if (String(found.sizeBytes) !== sizeBytes) throw damaged(path, root, `has ${found.sizeBytes} bytes and not ${sizeBytes}`);
    if (found.hash !== hash) throw damaged(path, root, `has hash ${found.hash} and not ${hash}`);
  }
  return { valid: true };
}

function damaged(path: string, root: StorageRoot, how: string): StageFailure {
  return new StageFailure(
    'input_invalid',
    `stored file ${path} in storage ${root.id} ${how}; it is stored again by itself`,
    path.slice(0, 100),
  );
}
