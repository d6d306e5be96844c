/** Sends a file to its slot's URLs, part by part, each with the checksum that the object store wants. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { OutputSlot, UploadedPart } from '../schema/runner.ts';
import { StageFailure } from './failure.ts';
import { inLanes } from './lanes.ts';
import { PartSum } from './part-sum.ts';
import { checkStatus, type TransferOptions, withRetries } from './transfer-errors.ts';

/** Parts under way at a time; each lane keeps one part in memory. */
const LANES = 4;
/** Read at a time: whoever hashes must not keep heartbeats waiting for a whole part. */
const READ_BYTES = 2 ** 22;
/** Slower than this and the PUT is broken off and tried again: 64 KiB/s, and at least a minute. */
const MIN_BYTES_PER_S = 64 * 1024;

/** What is sent. A link at `path` is not followed. */
export type UploadSource = {
  readonly path: string;
  readonly sizeBytes: number;
  /** Gets all bytes once and in order, as they are read. */
  readonly onBytes?: (bytes: Uint8Array) => void;
  /** When the file was last changed as its hash was computed (`ctimeMs` of its status): a later change ends the upload. */
  readonly changedMs?: number;
};

/** Uploads a file; answers the parts for the report, in order. Throws `StageFailure`, or a plain error when the file cannot be read. */
export async function upload(slot: OutputSlot, source: UploadSource, options: TransferOptions): Promise<UploadedPart[]> {
  const { sizeBytes } = source;
  const count = Math.max(1, Math.ceil(sizeBytes / slot.partSizeBytes));
  if (count > slot.partUrls.length) {
    throw new StageFailure(
      'internal',
      `output ${slot.name} has ${sizeBytes} bytes, more than its upload takes; it is not what the stage should make`,
    );
  }
  const parts: UploadedPart[] = [];
  const handle = await open(source.path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const unchanged = async (): Promise<void> => {
    if (source.changedMs === undefined || (await handle.stat()).ctimeMs === source.changedMs) return;
    throw new StageFailure('internal', `output ${slot.name} was changed after its hash was computed; nothing else may write to it`);
  };
  const read = async (bytes: Buffer, from: number, sum: PartSum): Promise<void> => {
    for (let have = 0; have < bytes.length;) {
      const { bytesRead } = await handle.read(bytes, have, Math.min(READ_BYTES, bytes.length - have), from + have);
      if (bytesRead === 0) throw new Error(`${slot.name} became shorter while it was sent; nothing else may write to it`);
      const chunk = bytes.subarray(have, have + bytesRead);
      source.onBytes?.(chunk);
      sum.update(chunk);
      have += bytesRead;
    }
  };
  // One part is read after the other, in the order in which lanes take them, so that `onBytes` sees the file as it is.
  let before = Promise.resolve();
  try {
    await unchanged();
    await inLanes(
      Array.from({ length: count }, (_, at) => at),
      LANES,
      options.signal,
      async (at, signal) => {
        const from = at * slot.partSizeBytes;
        const bytes = Buffer.allocUnsafe(Math.min(slot.partSizeBytes, sizeBytes - from));
        const sum = new PartSum(slot.checksum ?? 'crc32');
        before = before.then(() => read(bytes, from, sum));
        await before;
        parts[at] = { number: at + 1, etag: await putPart(slot, at, bytes, sum.header(), { ...options, signal }) };
      },
    );
    await unchanged();
  } finally {
    await handle.close();
  }
  return parts;
}

async function putPart(
  slot: OutputSlot,
  at: number,
  bytes: Buffer<ArrayBuffer>,
  headers: Record<string, string>,
  options: TransferOptions,
): Promise<string> {
  const what = `sending part ${at + 1} of ${slot.name}`;
  const limitMs = 60_000 + Math.ceil(bytes.length / MIN_BYTES_PER_S) * 1000;
  return withRetries(options, what, async () => {
    const signal = AbortSignal.any([options.signal, AbortSignal.timeout(limitMs)]);
    const answer = await fetch(slot.partUrls[at] as string, { method: 'PUT', body: bytes, headers, redirect: 'error', signal });
    await checkStatus(answer, [200, 201, 204], what);
    await answer.body?.cancel();
    const etag = answer.headers.get('etag');
    if (etag === null) throw new Error(`${what}: the object store answered without an ETag`);
    options.onMoved?.(bytes.length);
    return etag;
  });
}
