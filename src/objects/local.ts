/** The embedded object store: immutable files in a folder, given to runners by signed URLs. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, rmdir, stat, statfs } from 'node:fs/promises';
import { createReadStream, type ReadStream } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ListedObject, ListedUpload, ObjectStore, OpenedUpload, Upload } from '../scheduler/ports.ts';
import type { UploadedPart } from '../schema/runner.ts';
import { Completions } from './completions.ts';
import { fsyncFolder, linkNew, writeNew } from './durable.ts';
import { diskError, errnoOf, noSuchObject, noSuchUpload, objectExists, storageFull, tooLarge } from './errors.ts';
import { objectPath } from './keys.ts';
import { UrlSigner, type SignedVerb, signingKey } from './signed-url.ts';
import { Uploads, type PartBody } from './uploads.ts';

const MAX_PARTS = 9_500;
const DEFAULT_PART_BYTES = 64 * 2 ** 20;
/** What the name of a file that is assembled from parts begins with. */
const DRAFT = 'whole';
const DAY_MS = 24 * 60 * 60 * 1000;

export type LocalObjectsOptions = {
  /** DATA: holds `objects/`, `uploads/` and `objects.key`. */
  readonly dataDir: string;
  /** What URLs begin with, without a slash at the end; a function when the port is known only later. */
  readonly publicUrl: string | (() => string);
  /** Parts are at least this large; 64 MiB unless a test wants several small ones. */
  readonly partSizeBytes?: number;
  /** Writes that would leave less free than this are refused as `storage_full`: the database lives there too. */
  readonly minFreeBytes?: number;
  /** Unix milliseconds now. */
  readonly now: () => number;
};

/** An object for reading; `stream` gives bytes `from` to `to`, both included. */
export type OpenObject = { readonly sizeBytes: number; readonly etag: string; stream(from: number, to: number): ReadStream };

/** Opens the store, making its folders and key on the first start and sweeping dead uploads. */
export async function openLocalObjects(options: LocalObjectsOptions): Promise<LocalObjects> {
  const objects = join(options.dataDir, 'objects');
  const uploads = join(options.dataDir, 'uploads');
  await mkdir(objects, { recursive: true });
  await mkdir(uploads, { recursive: true });
  await fsyncFolder(options.dataDir);
  const signer = new UrlSigner(await signingKey(join(options.dataDir, 'objects.key')), options.now);
  const store = new LocalObjects(options, objects, uploads, signer);
  await store.sweep();
  return store;
}

export class LocalObjects implements ObjectStore {
  readonly uploads: Uploads;
  readonly #options: LocalObjectsOptions;
  readonly #root: string;
  readonly #uploadsRoot: string;
  readonly #signer: UrlSigner;
  /** The newest completion of each upload: a report that is sent again must not copy into the same folder beside it. */
  readonly #completing = new Completions();

  /** Use `openLocalObjects`, which makes the folders first. */
  constructor(options: LocalObjectsOptions, root: string, uploadsRoot: string, signer: UrlSigner) {
    this.#options = options;
    this.#root = root;
    this.#uploadsRoot = uploadsRoot;
    this.#signer = signer;
    this.uploads = new Uploads(uploadsRoot, options.minFreeBytes ?? 0);
  }

  async createUpload(key: string, maxSizeBytes: number, ttlMs: number): Promise<Upload> {
    if (await this.head(key)) throw objectExists(key);
    const partSizeBytes = Math.max(this.#options.partSizeBytes ?? DEFAULT_PART_BYTES, Math.ceil(maxSizeBytes / MAX_PARTS));
    const uploadId = await this.uploads.create({ key, maxSizeBytes, partSizeBytes, expiresMs: this.#options.now() + ttlMs });
    const parts = Math.max(1, Math.ceil(maxSizeBytes / partSizeBytes));
    const partUrls = Array.from({ length: parts }, (_, at) => this.#url('PUT', `/objects/-/uploads/${uploadId}/${at + 1}`, ttlMs));
    return { uploadId, partSizeBytes, partUrls };
  }

  async partUrls({ key, uploadId }: OpenedUpload, numbers: readonly number[], ttlMs: number): Promise<{ number: number; url: string }[]> {
    const found = await this.uploads.find(uploadId);
    if (found === undefined || found.done || found.record.key !== key) throw noSuchUpload();
    const { maxSizeBytes, partSizeBytes } = found.record;
    await this.uploads.prolong(uploadId, this.#options.now() + ttlMs);
    const count = Math.max(1, Math.ceil(maxSizeBytes / partSizeBytes));
    return numbers
      .filter((number) => Number.isInteger(number) && number >= 1 && number <= count)
      .map((number) => ({ number, url: this.#url('PUT', `/objects/-/uploads/${uploadId}/${number}`, ttlMs) }));
  }

  /** As the port says; a call while another completes the same upload waits for that one, then finds it done. */
  async completeUpload(key: string, uploadId: string, parts: readonly UploadedPart[], sizeBytes: number): Promise<void> {
    await this.#completing.inTurn(uploadId, () => this.#complete(key, uploadId, parts, sizeBytes));
  }

  async #complete(key: string, uploadId: string, parts: readonly UploadedPart[], sizeBytes: number): Promise<void> {
    const target = objectPath(this.#root, key);
    const found = await this.uploads.find(uploadId);
    if (found === undefined || found.record.key !== key) throw noSuchUpload();
    if (found.done) {
      const kept = await this.head(key);
      if (kept?.sizeBytes !== sizeBytes) throw kept === undefined ? noSuchObject() : objectExists(key);
      return;
    }
    const folder = this.uploads.folder(uploadId);
    try {
      // A crash may have come between linking the object and marking the upload: then it is ours already.
      if (!(await dropDrafts(folder, target))) {
        const files = await this.uploads.partFiles(uploadId, parts, sizeBytes);
        // A name of its own: a draft that anything else still writes to is never taken for this one.
        const whole = join(folder, `${DRAFT}-${randomBytes(6).toString('hex')}`);
        await this.#assemble(files, whole);
        if (!(await linkNew(this.#root, whole, target))) throw objectExists(key);
      }
      await this.uploads.finish(uploadId);
    } catch (error) {
      throw diskError(error, this.#root);
    }
  }

  async abortUpload(_key: string, uploadId: string): Promise<void> {
    await this.uploads.abort(uploadId);
  }

  async getUrl(key: string, ttlMs: number): Promise<string> {
    objectPath(this.#root, key);
    return this.#url('GET', `/objects/${key}`, ttlMs);
  }

  async put(key: string, body: AsyncIterable<Uint8Array>, maxSizeBytes: number): Promise<{ sizeBytes: number; hash: string }> {
    const target = objectPath(this.#root, key);
    if (await this.head(key)) throw objectExists(key);
    const draft = join(this.#uploadsRoot, `put-${randomBytes(12).toString('hex')}`);
    try {
      const answer = await writeNew(draft, async (append) => {
        const hash = createHash('sha256');
        let sizeBytes = 0;
        for await (const bytes of body) {
          sizeBytes += bytes.length;
          if (sizeBytes > maxSizeBytes) throw tooLarge(`object ${key}`, maxSizeBytes);
          await this.#checkFree(bytes.length);
          hash.update(bytes);
          await append(bytes);
        }
        return { sizeBytes, hash: `sha256:${hash.digest('hex')}` };
      });
      if (!(await linkNew(this.#root, draft, target))) throw objectExists(key);
      return answer;
    } catch (error) {
      throw diskError(error, this.#root);
    } finally {
      await rm(draft, { force: true });
    }
  }

  async head(key: string): Promise<{ sizeBytes: number } | undefined> {
    const found = await stat(objectPath(this.#root, key)).catch(ifAbsent);
    return found?.isFile() ? { sizeBytes: found.size } : undefined;
  }

  async delete(key: string): Promise<void> {
    const path = objectPath(this.#root, key);
    await rm(path, { force: true }).catch(ifAbsent);
    // Empty folders go as well; rmdir refuses one that is in use.
    for (let folder = dirname(path); folder !== this.#root; folder = dirname(folder)) {
      const gone = await rmdir(folder).then(
        () => true,
        () => false,
      );
      if (!gone) break;
    }
  }

  async *list(prefix: string, after = ''): AsyncIterable<ListedObject> {
    yield* walk(this.#root, '', prefix, after);
  }

  async *listUploads(prefix: string, beforeMs: number): AsyncIterable<ListedUpload> {
    for await (const upload of this.uploads.open()) if (upload.key.startsWith(prefix) && upload.begunMs < beforeMs) yield upload;
  }

  /** Opens an object for a GET. Throws `no_such_object` (404). */
  async open(key: string): Promise<OpenObject> {
    const path = objectPath(this.#root, key);
    const found = await stat(path, { bigint: true }).catch(ifAbsent);
    if (!found?.isFile()) throw noSuchObject();
    return {
      sizeBytes: Number(found.size),
      // Objects never change, so the file's identity is the content's.
      etag: `"${found.ino.toString(16)}-${found.size.toString(16)}-${found.mtimeNs.toString(16)}"`,
      stream: (from, to) => createReadStream(path, { start: from, end: to, highWaterMark: 2 ** 20 }),
    };
  }

  /** Drops uploads whose URLs ran out a day ago, and what a crash left half written. */
  async sweep(): Promise<void> {
    await this.uploads.sweep(this.#options.now() - DAY_MS);
  }

  /** Checks a signed URL's path and query. Throws 403. */
  checkUrl(verb: SignedVerb, path: string, expires: string | undefined, signature: string | undefined): void {
    this.#signer.check(verb, path, expires, signature);
  }

  async receivePart(uploadId: string, number: number, body: PartBody): Promise<string> {
    return this.uploads.receivePart(uploadId, number, body);
  }

  #url(verb: SignedVerb, path: string, ttlMs: number): string {
    const { publicUrl } = this.#options;
    return `${typeof publicUrl === 'string' ? publicUrl : publicUrl()}${this.#signer.sign(verb, path, ttlMs)}`;
  }

  async #assemble(files: readonly string[], whole: string): Promise<void> {
    const [only] = files;
    if (files.length === 1 && only !== undefined) {
      await linkNew(dirname(whole), only, whole);
      return;
    }
    await writeNew(whole, async (append) => {
      for (const file of files) for await (const bytes of createReadStream(file, { highWaterMark: 2 ** 22 })) await append(bytes as Buffer);
    });
  }

  async #checkFree(sizeBytes: number): Promise<void> {
    const minFreeBytes = this.#options.minFreeBytes ?? 0;
    if (minFreeBytes === 0) return;
    const { bavail, bsize } = await statfs(this.#root);
    if (bavail * bsize - sizeBytes < minFreeBytes) throw storageFull(this.#root);
  }
}

function ifAbsent(error: unknown): undefined {
  const code = errnoOf(error);
  if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
  throw error;
}

/** Drops what earlier completions left half assembled. True when one of them is the object already. */
async function dropDrafts(folder: string, target: string): Promise<boolean> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith(DRAFT)) continue;
    if (await sameFile(join(folder, name), target)) return true;
    await rm(join(folder, name), { force: true });
  }
  return false;
}

async function sameFile(one: string, other: string): Promise<boolean> {
  const [a, b] = [await stat(one).catch(ifAbsent), await stat(other).catch(ifAbsent)];
  return a !== undefined && b !== undefined && a.dev === b.dev && a.ino === b.ino;
}

/** A folder's name with its slash sorts where its files do among all keys. */
async function* walk(root: string, below: string, prefix: string, after: string): AsyncIterable<ListedObject> {
  const entries = await readdir(join(root, below), { withFileTypes: true }).catch(ifAbsent);
  const named = (entries ?? []).map((entry) => ({
    key: `${below}${entry.name}${entry.isDirectory() ? '/' : ''}`,
    folder: entry.isDirectory(),
  }));
  for (const { key, folder } of named.sort((a, b) => (a.key < b.key ? -1 : 1))) {
    if (folder) {
      // A folder is entered when the prefix may go on below it, and when not all of it comes before `after`.
      const under = key.startsWith(prefix) || prefix.startsWith(key);
      if (under && (key > after || after.startsWith(key))) yield* walk(root, key, prefix, after);
    } else if (key.startsWith(prefix) && key > after) {
      const found = await stat(join(root, key)).catch(ifAbsent);
      if (found !== undefined) yield { key, sizeBytes: found.size, madeMs: found.mtimeMs };
    }
  }
}
