/** Objects of miner storage, read as if they were files: in order, a window ahead, so that neither is a whole one in memory nor is each piece waited for. */
import { SealpoolError } from '../schema/problem.ts';
import type { Bucket, StoredObject } from './bucket.ts';
import { StageFailure } from './failure.ts';
import type { Readable } from './file-hash.ts';
import type { StorageRoot } from './options.ts';

/** Two of them are held at a time. */
const WINDOW_BYTES = 8 * 2 ** 20;

/** Runs what only asks the bucket: what it says against it is the storage's, and the job waits for it or goes to another. */
export async function inBucket<T>(root: StorageRoot, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (!(error instanceof SealpoolError)) throw error;
    throw new StageFailure('storage_full', `storage ${root.id}: ${error.message}`);
  }
}

/** One object, as it was when it was found; a change meanwhile ends the reading. */
export class ObjectReader implements Readable {
  readonly sizeBytes: number;
  readonly #root: StorageRoot;
  readonly #bucket: Bucket;
  readonly #key: string;
  readonly #object: StoredObject;
  readonly #signal: AbortSignal;
  readonly #windows = new Map<number, Promise<Buffer>>();

  constructor(root: StorageRoot, bucket: Bucket, key: string, object: StoredObject, signal: AbortSignal) {
    this.sizeBytes = object.sizeBytes;
    this.#root = root;
    this.#bucket = bucket;
    this.#key = key;
    this.#object = object;
    this.#signal = signal;
  }

  async read(into: Buffer, offset: number, length: number, position: number): Promise<{ bytesRead: number }> {
    if (position >= this.sizeBytes) return { bytesRead: 0 };
    const from = position - (position % WINDOW_BYTES);
    for (const at of this.#windows.keys()) if (at < from) this.#windows.delete(at);
    const now = this.#window(from);
    const next = from + WINDOW_BYTES;
    // Its failure is met when it is read.
    if (next < this.sizeBytes) this.#window(next).catch(() => undefined);
    const bytes = await now;
    const at = position - from;
    return { bytesRead: bytes.copy(into, offset, at, Math.min(bytes.length, at + length)) };
  }

  /** What is on its way ends with the signal. */
  async close(): Promise<void> {
    this.#windows.clear();
  }

  #window(from: number): Promise<Buffer> {
    const sizeBytes = Math.min(WINDOW_BYTES, this.sizeBytes - from);
    const known = this.#windows.get(from);
    const asked = known ?? inBucket(this.#root, () => this.#bucket.read(this.#key, this.#object, from, sizeBytes, this.#signal));
    this.#windows.set(from, asked);
    return asked;
  }
}
