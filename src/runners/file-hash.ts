/** SHA-256 of files, read in pieces so that heartbeats go on meanwhile. */
import { createHash, type Hash } from 'node:crypto';
import { open } from 'node:fs/promises';

const CHUNK_BYTES = 2 ** 20;

/** What can be read from any position: an open file, or an object. */
export type Readable = {
  read(into: Buffer, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
};

/** Reads all of `from`, hashing; each chunk also goes to `each`. The chunk is reused after `each` settles. */
export async function readThrough(
  from: Readable,
  signal: AbortSignal,
  each: (bytes: Uint8Array) => Promise<void> = async () => undefined,
): Promise<{ sizeBytes: number; hash: string }> {
  const hash: Hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  let sizeBytes = 0;
  for (;;) {
    signal.throwIfAborted();
    const { bytesRead } = await from.read(buffer, 0, CHUNK_BYTES, sizeBytes);
    if (bytesRead === 0) return { sizeBytes, hash: `sha256:${hash.digest('hex')}` };
    const bytes = buffer.subarray(0, bytesRead);
    hash.update(bytes);
    await each(bytes);
    sizeBytes += bytesRead;
  }
}

/** Size and `sha256:` hash of the file at `path`; each chunk also goes to `each`, as with `readThrough`. */
export async function hashFile(
  path: string,
  signal: AbortSignal,
  each?: (bytes: Uint8Array) => Promise<void>,
): Promise<{ sizeBytes: number; hash: string }> {
  const handle = await open(path, 'r');
  try {
    return await readThrough(handle, signal, each);
  } finally {
    await handle.close();
  }
}
