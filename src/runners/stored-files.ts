/** Stored files by their names, wherever a storage keeps them: in a folder or in a bucket. */
import { open } from 'node:fs/promises';
import type { Readable } from './file-hash.ts';
import type { StorageRoot } from './options.ts';
import { findStored, plainPath } from './storage-roots.ts';
import { ObjectReader, inBucket } from './stored-objects.ts';

export type StoredReader = Readable & { readonly sizeBytes: number; close(): Promise<void> };

/** To be closed; undefined: there is none. Throws as `findStored` does, `storage_full` when a bucket does not answer, and the system's error. */
export async function openStored(root: StorageRoot, path: string, signal: AbortSignal): Promise<StoredReader | undefined> {
  const { bucket } = root;
  if (bucket !== undefined) {
    const key = plainPath(path);
    const object = await inBucket(root, () => bucket.find(key));
    return object && new ObjectReader(root, bucket, key, object, signal);
  }
  const found = await findStored(root, path);
  if (found === undefined) return undefined;
  const handle = await open(found.path, 'r');
  return {
    sizeBytes: found.sizeBytes,
    read: (into, offset, length, position) => handle.read(into, offset, length, position),
    close: () => handle.close(),
  };
}
