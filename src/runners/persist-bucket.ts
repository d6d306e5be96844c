/**
 * Persist into a bucket. A file's draft is an upload whose parts are all sent and which nobody has completed: completing it gives the file
 * its name whole, in one step. What stands there already and agrees stays; anything else is replaced only while it is still what was
 * found. Each file is read back before the next gets its name, and `sector.json`, which speaks of the others, comes last.
 */
import { createHash } from 'node:crypto';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { StorageId } from '../schema/miner-storage.ts';
import type { StoredFile } from '../schema/stage.ts';
import type { Bucket, BucketDraft, DraftSource } from './bucket.ts';
import { StageFailure, asFailure } from './failure.ts';
import { type Readable, readThrough } from './file-hash.ts';
import type { Log, StorageRoot } from './options.ts';
import type { PersistRun } from './persist.ts';
import { plainPath } from './storage-roots.ts';
import { openStored } from './stored-files.ts';
import { inBucket } from './stored-objects.ts';

/** In the work folder: which keys an attempt uploads to, so that a restart after a crash can abort what it left open. */
const DRAFTS_FILE = 'bucket-drafts.json';
const Drafts = z.strictObject({ storage: StorageId, keys: z.array(z.string()) });

type Wanted = StoredFile & { readonly name: string; readonly from: string | Buffer };
type Begun = { readonly wanted: Wanted; readonly draft: BucketDraft | undefined };

/** As `persist` answers. Throws `StageFailure`. */
export async function persistInBucket(run: PersistRun, root: StorageRoot, bucket: Bucket): Promise<Record<string, unknown>> {
  const { progress, signal } = run;
  const wanted = wantedFiles(run);
  const keys = wanted.map(({ path }) => plainPath(path));
  await writeFile(join(run.workDir, DRAFTS_FILE), JSON.stringify({ storage: root.id, keys }), { flush: true });
  const begun: Begun[] = [];
  try {
    for (const one of wanted) {
      progress.note(`storing ${one.name}`);
      begun.push({ wanted: one, draft: await draftOf(run, root, bucket, one) });
    }
    const files: StoredFile[] = [];
    for (const { wanted: one, draft } of begun) {
      signal.throwIfAborted();
      progress.note(`reading ${one.name} back`);
      if (draft !== undefined) await place(run, root, bucket, one, draft);
      files.push({ path: one.path, sizeBytes: one.sizeBytes, hash: one.hash });
    }
    return { storage: root.id, root: root.path, files };
  } catch (error) {
    // Of one that is completed there is nothing left to drop.
    for (const { draft } of begun) await draft?.drop();
    signal.throwIfAborted();
    throw asFailure(error, 'out_of_disk');
  }
}

/** The artifacts in order, then `sector.json`. */
function wantedFiles({ grant, work, workDir }: PersistRun): Wanted[] {
  const files = work.files.map(({ artifact, path }): Wanted => {
    const input = grant.inputs.find(({ name }) => name === artifact);
    if (input === undefined)
      throw new StageFailure(
        'bad_request',
        `${artifact} is to be stored but is no input of the grant; update the older of runner and control plane`,
      );
    return { path, name: artifact, sizeBytes: input.sizeBytes, hash: input.hash, from: join(workDir, 'in', artifact) };
  });
  const json = Buffer.from(`${JSON.stringify(work.sectorJson.content, null, 2)}\n`);
  const hash = `sha256:${createHash('sha256').update(json).digest('hex')}`;
  return [...files, { path: work.sectorJson.path, name: 'sector.json', sizeBytes: String(json.length), hash, from: json }];
}

/** Undefined: what is wanted stands there already, as an attempt left it that was ended after it had placed it. */
async function draftOf(run: PersistRun, root: StorageRoot, bucket: Bucket, wanted: Wanted): Promise<BucketDraft | undefined> {
  const { path: key, sizeBytes } = wanted;
  const there = await inBucket(root, async () => {
    await bucket.dropDrafts(key);
    return bucket.find(key);
  });
  if (there !== undefined && String(there.sizeBytes) === sizeBytes && (await hashOf(run, root, key)) === wanted.hash) return undefined;
  const source = await openSource(run, wanted);
  try {
    return await inBucket(root, () => bucket.draft(key, there, Number(sizeBytes), source, run.signal));
  } finally {
    await source.close();
  }
}

async function place(run: PersistRun, root: StorageRoot, bucket: Bucket, wanted: Wanted, draft: BucketDraft): Promise<void> {
  const { path: key, name, hash } = wanted;
  const placed = await inBucket(root, () => draft.place());
  const back = await hashOf(run, root, key);
  if (back === hash) return;
  await inBucket(root, () => bucket.remove(key, placed));
  throw new StageFailure(
    'storage_full',
    `${name} reads back with hash ${back} and not ${hash} right after it was written, and was removed again; check the bucket of storage ${root.id}`,
  );
}

/** Of what stands there now, read by ranges. */
async function hashOf({ signal, progress }: PersistRun, root: StorageRoot, key: string): Promise<string> {
  const stored = await openStored(root, key, signal);
  if (stored === undefined) return 'of nothing';
  const { hash } = await readThrough(stored, signal, async ({ length }) => progress.moved?.(length));
  return hash;
}

/** Of a file of the work folder, or of bytes; hashed as it is read, and refused at its end where it is not what was granted. */
async function openSource(
  { progress }: PersistRun,
  { name, from, hash: wanted }: Wanted,
): Promise<DraftSource & { close(): Promise<void> }> {
  const file = typeof from === 'string' ? await open(from, 'r') : undefined;
  const read: Readable['read'] = async (into, offset, length, at) =>
    file === undefined ? { bytesRead: (from as Buffer).copy(into, offset, at, at + length) } : file.read(into, offset, length, at);
  const hash = createHash('sha256');
  const differs = (how: string): StageFailure => new StageFailure('input_differs', `input ${name} ${how}; it has to be made again`, name);
  let position = 0;
  return {
    fill: async (into) => {
      for (let have = 0; have < into.length;) {
        const { bytesRead } = await read(into, have, into.length - have, position);
        if (bytesRead === 0) throw differs(`has ${position} bytes only`);
        have += bytesRead;
        position += bytesRead;
      }
      hash.update(into);
      progress.moved?.(into.length);
    },
    end: async () => {
      const { bytesRead } = await read(Buffer.alloc(1), 0, 1, position);
      if (bytesRead > 0) throw differs(`has more than ${position} bytes`);
      const found = `sha256:${hash.digest('hex')}`;
      if (found !== wanted) throw differs(`has hash ${found} and not ${wanted}`);
    },
    close: async () => file?.close(),
  };
}

/** Aborts what a killed attempt with this work folder left open. A bucket that does not answer is left to the next attempt, and to its own rule. */
export async function dropBucketDrafts(workDir: string, roots: readonly StorageRoot[], log: Log): Promise<void> {
  const text = await readFile(join(workDir, DRAFTS_FILE), 'utf8').catch(() => undefined);
  if (text === undefined) return;
  try {
    const { storage, keys } = Drafts.parse(JSON.parse(text));
    const bucket = roots.find(({ id }) => id === storage)?.bucket;
    for (const key of keys) await bucket?.dropDrafts(key);
  } catch (error) {
    log('warn', `uploads that were never completed may be left in a bucket: ${error instanceof Error ? error.message : String(error)}`);
  }
}
