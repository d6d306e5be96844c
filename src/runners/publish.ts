/**
 * Publish: files of miner storage go into object storage as outputs of the attempt, read where they are and
 * hashed on the way; of a bucket's one file at a time is copied. Nothing in the storage is changed.
 */
import { createHash } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import type { Grant, OutputSlot, ReportedOutput } from '../schema/runner.ts';
import type { PublishWork } from '../schema/stage.ts';
import type { Bucket } from './bucket.ts';
import { StageFailure } from './failure.ts';
import { readThrough } from './file-hash.ts';
import type { StorageRoot } from './options.ts';
import type { Progress } from './progress.ts';
import type { StorageWatch } from './storage-paths.ts';
import { findStored, namedRoot, plainPath, whileThere } from './storage-roots.ts';
import { openStored } from './stored-files.ts';
import { inBucket } from './stored-objects.ts';
import type { TransferOptions } from './transfer-errors.ts';
import { upload } from './upload.ts';

export type PublishRun = {
  readonly grant: Grant;
  readonly work: z.infer<typeof PublishWork>;
  /** Files of a bucket wait there until they are sent. */
  readonly workDir: string;
  readonly roots: readonly StorageRoot[];
  readonly watch: StorageWatch;
  readonly progress: Progress;
  readonly transfer: TransferOptions;
};

type Output = z.infer<typeof ReportedOutput>;
type Wanted = { readonly slot: OutputSlot; readonly path: string; readonly hash: string | null };

/** Sends every file to its slot. Throws `input_invalid` naming the first that is missing or has another hash than given, and as `whileThere` does. */
export async function publish(run: PublishRun): Promise<Output[]> {
  const root = await namedRoot(run.roots, run.work.storage);
  return whileThere(run.watch, root, () => publishFrom(run, root));
}

async function publishFrom(run: PublishRun, root: StorageRoot): Promise<Output[]> {
  const wanted = slotsOf(run.grant, run.work);
  const outputs: Output[] = [];
  // All are looked at first, so that a missing one is told of before hours of sending.
  const files: (Wanted & { file: Awaited<ReturnType<typeof findWanted>> })[] = [];
  for (const one of wanted) files.push({ ...one, file: await findWanted(root, one) });
  for (const { slot, path, hash, file } of files) {
    const from = root.bucket === undefined ? file.path : await fetched(run, root, path);
    run.progress.note(`sending ${path}`);
    const read = createHash('sha256');
    const sent = await upload(slot, { path: from, sizeBytes: file.sizeBytes, onBytes: (bytes) => read.update(bytes) }, run.transfer).catch(
      (error: unknown) => {
        run.transfer.signal.throwIfAborted();
        if (error instanceof StageFailure) throw error;
        throw unusable(root, path, `cannot be read (${error instanceof Error ? error.message : String(error)}); check its disk`);
      },
    );
    const found = `sha256:${read.digest('hex')}`;
    if (hash !== null && found !== hash) throw unusable(root, path, `has hash ${found} and was stored with ${hash}`);
    outputs.push({ name: slot.name, sizeBytes: String(file.sizeBytes), hash: found, ...sent });
    if (root.bucket !== undefined) await rm(from);
  }
  return outputs;
}

/** Each file with its slot: as many of the one as of the other, by name. */
function slotsOf(grant: Grant, work: z.infer<typeof PublishWork>): Wanted[] {
  const slots = new Map(grant.outputs.map((slot) => [slot.name, slot]));
  const wanted = work.files.flatMap(({ artifact, path, hash }) => {
    const slot = slots.get(artifact);
    slots.delete(artifact);
    return slot === undefined ? [] : [{ slot, path, hash }];
  });
  if (wanted.length === work.files.length && wanted.length === grant.outputs.length) return wanted;
  throw new StageFailure(
    'bad_request',
    'the files to publish are not those that the grant has uploads for; update the older of runner and control plane',
  );
}

async function findWanted(root: StorageRoot, { slot, path }: Wanted): Promise<{ path: string; sizeBytes: number }> {
  const { bucket } = root;
  const file = bucket === undefined ? await findStored(root, path) : await findObject(root, bucket, path);
  if (file === undefined) throw unusable(root, path, 'is not there');
  if (file.sizeBytes > Number(slot.maxSizeBytes))
    throw unusable(root, path, `has ${file.sizeBytes} bytes and can have ${slot.maxSizeBytes} at most`);
  return file;
}

async function findObject(root: StorageRoot, bucket: Bucket, path: string): Promise<{ path: string; sizeBytes: number } | undefined> {
  const key = plainPath(path);
  const object = await inBucket(root, () => bucket.find(key));
  return object && { path: key, sizeBytes: object.sizeBytes };
}

/** An object as a file of the work folder: sending reads each part twice, and what leaves a bucket is billed. */
async function fetched({ workDir, progress, transfer }: PublishRun, root: StorageRoot, path: string): Promise<string> {
  progress.note(`fetching ${path}`);
  const stored = await openStored(root, path, transfer.signal);
  if (stored === undefined) throw unusable(root, path, 'is not there');
  const file = join(workDir, 'in', 'stored');
  const handle = await open(file, 'w', 0o600);
  try {
    await readThrough(stored, transfer.signal, async (bytes) => {
      for (let at = 0; at < bytes.length;) at += (await handle.write(bytes, at)).bytesWritten;
      progress.moved(bytes.length);
    });
  } finally {
    await handle.close();
    await stored.close();
  }
  return file;
}

function unusable(root: StorageRoot, path: string, how: string): StageFailure {
  const what = `stored file ${path} in storage ${root.id} ${how}`;
  return new StageFailure('input_invalid', `${what}; put the right file back, or rebuild the sector`, path.slice(0, 100));
}
