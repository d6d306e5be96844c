/**
 * Multipart uploads of the embedded store: DATA/uploads/<id>/ holds upload.json and one file per part,
 * named by number and ETag. A part is received under a temporary name, so a part with a name is whole,
 * was checked, and is never written to again, not even by a slow second PUT of the same part.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, readdir, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { SealpoolError } from '../schema/problem.ts';
import { fsyncFolder, writeNew } from './durable.ts';
import { diskError, errnoOf, noSuchUpload, storageFull, tooLarge } from './errors.ts';
import { isUploadId } from './keys.ts';

const UploadFile = z.object({
  key: z.string(),
  maxSizeBytes: z.number().int().nonnegative(),
  partSizeBytes: z.number().int().positive(),
  expiresMs: z.number(),
});
/** What `upload.json` keeps: the object it will be, its limits, and when its URLs end. */
export type UploadRecord = z.infer<typeof UploadFile>;

/** A part as it arrives: its length and CRC-32 by its headers, and the stream, which can be broken off. */
export type PartBody = { readonly sizeBytes: number; readonly crc32: number; readonly bytes: Readable };

const RECORD = 'upload.json';
/** Appended to the folder of a completed upload, so that a second complete is known for one. */
const DONE = '.done';

export class Uploads {
  readonly #root: string;
  readonly #minFreeBytes: number;
  /** The newest PUT of each part; an older one still running is cut off, so a part costs its size on disk once. */
  readonly #receiving = new Map<string, Readable>();

  constructor(root: string, minFreeBytes: number) {
    this.#root = root;
    this.#minFreeBytes = minFreeBytes;
  }

  async create(record: UploadRecord): Promise<string> {
    const id = randomBytes(16).toString('hex');
    const folder = join(this.#root, id);
    try {
      await mkdir(folder);
      await writeFile(join(folder, RECORD), JSON.stringify(record), { flush: true });
      await fsyncFolder(folder);
      await fsyncFolder(this.#root);
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw diskError(error, this.#root);
    }
    return id;
  }

  /** The open upload, or a completed one, or `undefined`. */
  async find(id: string): Promise<{ record: UploadRecord; done: boolean } | undefined> {
    if (!isUploadId(id)) return undefined;
    for (const done of [false, true]) {
      const record = await readRecord(join(this.folder(id, done), RECORD));
      if (record !== undefined) return { record, done };
    }
    return undefined;
  }

  /** Its URLs end at `expiresMs` now, so that nobody sweeps it away before. */
  async prolong(id: string, expiresMs: number): Promise<void> {
    const file = join(this.folder(id), RECORD);
    const record = await readRecord(file);
    if (record === undefined || record.expiresMs >= expiresMs) return;
    const draft = `${file}.${randomBytes(6).toString('hex')}`;
    await writeFile(draft, JSON.stringify({ ...record, expiresMs }), { flush: true });
    await rename(draft, file);
  }

  folder(id: string, done = false): string {
    return join(this.#root, done ? `${id}${DONE}` : id);
  }

  /** Receives part `number`; answers its ETag. Refuses a size, checksum or number that is not its own. */
  async receivePart(id: string, number: number, body: PartBody): Promise<string> {
    const found = await this.find(id);
    if (found === undefined || found.done) throw noSuchUpload();
    const limitBytes = partLimitBytes(found.record, number);
    if (body.sizeBytes > limitBytes) throw tooLarge(`part ${number}`, limitBytes);
    await this.#checkFree(body.sizeBytes);
    const slot = `${id}/${number}`;
    const mine = body.bytes;
    this.#receiving.get(slot)?.destroy(superseded(number));
    this.#receiving.set(slot, mine);
    const draft = join(this.folder(id), `receiving-${number}-${randomBytes(6).toString('hex')}`);
    try {
      await writeNew(draft, async (append) => {
        let sizeBytes = 0;
        let sum = 0;
        // Not destroyed when a write fails: the rest is still to be read before the refusal.
        for await (const bytes of body.bytes.iterator({ destroyOnReturn: false })) {
          sizeBytes += bytes.length;
          if (sizeBytes > body.sizeBytes) throw tooLarge(`part ${number}`, body.sizeBytes);
          sum = crc32(bytes, sum);
          await append(bytes);
        }
        if (sizeBytes !== body.sizeBytes) throw damaged(`part ${number} ended after ${sizeBytes} of ${body.sizeBytes} bytes`);
        if (sum !== body.crc32) throw damaged(`part ${number} arrived with another checksum than its header says`);
      });
      if (this.#receiving.get(slot) !== mine) throw superseded(number);
      const etag = `${body.crc32.toString(16).padStart(8, '0')}-${body.sizeBytes}`;
      await rename(draft, join(this.folder(id), partName(number, etag)));
      await fsyncFolder(this.folder(id));
      await this.#dropOtherVersions(id, number, etag);
      return etag;
    } catch (error) {
      await rm(draft, { force: true });
      // The upload was aborted or completed meanwhile: its folder is gone.
      throw errnoOf(error) === 'ENOENT' ? noSuchUpload() : diskError(error, this.#root);
    } finally {
      if (this.#receiving.get(slot) === mine) this.#receiving.delete(slot);
    }
  }

  /** Paths of the given parts, which must be all of them, in order. */
  async partFiles(id: string, parts: readonly { number: number; etag: string }[], sizeBytes: number): Promise<string[]> {
    const files: string[] = [];
    let total = 0;
    for (const [at, part] of parts.entries()) {
      const etag = part.etag.replaceAll('"', '');
      const file = join(this.folder(id), partName(part.number, etag));
      const found = /^[0-9a-f]{8}-[0-9]+$/.test(etag) ? await stat(file).catch(() => undefined) : undefined;
      if (part.number !== at + 1 || found === undefined) {
        throw new SealpoolError(
          'conflict',
          'part_missing',
          `part ${part.number} with ETag ${JSON.stringify(part.etag)} was not uploaded; name every part from 1 on with the ETag its PUT was answered with`,
        );
      }
      total += found.size;
      files.push(file);
    }
    if (total !== sizeBytes) {
      throw new SealpoolError(
        'conflict',
        'size_differs',
        `the parts make ${total} bytes and not ${sizeBytes}; nothing was stored, upload the missing part`,
      );
    }
    return files;
  }

  /** Marks it completed in one step, then drops what it still holds. */
  async finish(id: string): Promise<void> {
    const done = this.folder(id, true);
    await rename(this.folder(id), done);
    await fsyncFolder(this.#root);
    for (const name of await readdir(done)) if (name !== RECORD) await rm(join(done, name), { force: true });
  }

  async abort(id: string): Promise<void> {
    if (!isUploadId(id)) return;
    for (const [slot, bytes] of this.#receiving) {
      if (!slot.startsWith(`${id}/`)) continue;
      this.#receiving.delete(slot);
      bytes.destroy(noSuchUpload());
    }
    await rm(this.folder(id), { recursive: true, force: true });
  }

  /** Uploads that were neither completed nor aborted, with what of them is on the disk. */
  async *open(): AsyncIterable<{ key: string; uploadId: string; sizeBytes: number; begunMs: number }> {
    for (const uploadId of await readdir(this.#root)) {
      const folder = join(this.#root, uploadId);
      if (!isUploadId(uploadId)) continue;
      // One that ends while it is looked at is none any more.
      const record = await readRecord(join(folder, RECORD));
      const begunMs = (await stat(join(folder, RECORD)).catch(() => undefined))?.mtimeMs;
      if (record === undefined || begunMs === undefined) continue;
      let sizeBytes = 0;
      for (const name of await readdir(folder).catch(() => []))
        if (name !== RECORD) sizeBytes += (await stat(join(folder, name)).catch(() => undefined))?.size ?? 0;
      yield { key: record.key, uploadId, sizeBytes, begunMs };
    }
  }

  /**
   * Drops what ended uploads and crashes left behind: everything whose URLs ran out before `beforeMs`,
   * and what has no record and was last changed before then.
   */
  async sweep(beforeMs: number): Promise<void> {
    for (const name of await readdir(this.#root)) {
      const folder = join(this.#root, name);
      const record = await readRecord(join(folder, RECORD));
      const endMs = record?.expiresMs ?? (await stat(folder).catch(() => undefined))?.mtimeMs ?? 0;
      if (endMs < beforeMs) await rm(folder, { recursive: true, force: true });
    }
  }

  async #checkFree(sizeBytes: number): Promise<void> {
    const { bavail, bsize } = await statfs(this.#root);
    if (bavail * bsize - sizeBytes < this.#minFreeBytes) throw storageFull(this.#root);
  }

  async #dropOtherVersions(id: string, number: number, etag: string): Promise<void> {
    for (const name of await readdir(this.folder(id))) {
      if (name.startsWith(`${number}.`) && name !== partName(number, etag)) await rm(join(this.folder(id), name), { force: true });
    }
  }
}

/** The most bytes part `number` may have, so that all parts together stay below the upload's limit. */
function partLimitBytes(record: UploadRecord, number: number): number {
  const leftBytes = record.maxSizeBytes - (number - 1) * record.partSizeBytes;
  if (!Number.isInteger(number) || number < 1 || (leftBytes <= 0 && number > 1)) {
    throw new SealpoolError(
      'bad_request',
      'bad_part_number',
      `part ${number} is none of this upload; parts are numbered from 1 and end with the size limit`,
    );
  }
  return Math.min(record.partSizeBytes, leftBytes);
}

function partName(number: number, etag: string): string {
  return `${number}.${etag}`;
}

function superseded(number: number): SealpoolError {
  return new SealpoolError(
    'conflict',
    'part_superseded',
    `another PUT of part ${number} began, or the upload was aborted, and this one was cut off; keep to one at a time`,
  );
}

function damaged(what: string): SealpoolError {
  return new SealpoolError('unprocessable', 'part_damaged', `${what}; send the part again`);
}

async function readRecord(file: string): Promise<UploadRecord | undefined> {
  try {
    return UploadFile.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch {
    // Not there, or half written by a crash before the upload was answered: no upload either way.
    return undefined;
  }
}
