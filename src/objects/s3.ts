/**
 * The object store on an S3 endpoint. The control plane opens, completes and aborts; runners get URLs for single parts
 * and objects, and no key. Every object carries the mark of the upload or put that made it: when the answer of a
 * completion was lost, or the process began anew in its middle, the mark says whose object stands there.
 */
import { randomBytes } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3';
import type { ListedObject, ListedUpload, ObjectStore, OpenedUpload, Upload } from '../scheduler/ports.ts';
import { partCount } from '../schema/manifest.ts';
import type { UploadedPart } from '../schema/runner.ts';
import { Completions } from './completions.ts';
import { noSuchUpload, objectExists } from './errors.ts';
import { checkedKey } from './keys.ts';
import { isNoSuchObject, isNoSuchUpload, isTaken, s3Error } from './s3-errors.ts';
import { listedObjects, listedUploads } from './s3-list.ts';
import { type ListedParts, checkParts, hasParts, listedParts, lookedFor } from './s3-parts.ts';
import { S3Puts } from './s3-put.ts';
import { CALL_MS, COMPLETE_MS, MARK, type S3Options, clientOf, limited } from './s3-options.ts';
import { S3Urls } from './s3-sign.ts';

const MAX_PARTS = 9_500;
const DEFAULT_PART_BYTES = 64 * 2 ** 20;
/** Between the mark and the endpoint's own id. */
const SEPARATOR = '.';

type Found = { readonly sizeBytes: number; readonly mark: string | undefined };

export class S3Objects implements ObjectStore {
  readonly #options: S3Options;
  readonly #client: S3Client;
  readonly #urls: S3Urls;
  readonly #puts: S3Puts;
  /** The newest completion of each upload: two at once would each see the other's as a stranger's. */
  readonly #completing = new Completions();

  constructor(options: S3Options) {
    this.#options = options;
    this.#client = clientOf(options);
    const base = new URL(options.endpoint);
    if (options.pathStyle) base.pathname = `${base.pathname.replace(/\/+$/, '')}/${options.bucket}`;
    else base.hostname = `${options.bucket}.${base.hostname}`;
    this.#urls = new S3Urls(this.#client.config, base);
    this.#puts = new S3Puts(this.#client, options.bucket, async (key) => (await this.#find(key))?.mark);
  }

  async createUpload(key: string, maxSizeBytes: number, ttlMs: number, exactly = false): Promise<Upload> {
    if (await this.head(key)) throw objectExists(key);
    const Key = this.#key(key);
    const mark = randomBytes(12).toString('hex');
    const doing = 'opening an upload';
    const command = new CreateMultipartUploadCommand({ Bucket: this.#options.bucket, Key, Metadata: { [MARK]: mark } });
    const { UploadId } = await this.#client.send(command, limited(CALL_MS)).catch(rethrow(doing));
    if (UploadId === undefined) throw s3Error(new Error('no upload id'), doing);
    const uploadId = `${mark}${SEPARATOR}${UploadId}`;
    const partSizeBytes = this.#partSize(maxSizeBytes);
    const count = partCount(maxSizeBytes, partSizeBytes);
    const numbers = Array.from({ length: count }, (_, at) => at + 1);
    const partUrls = (await this.partUrls({ key, uploadId, maxSizeBytes, exactly }, numbers, ttlMs)).map(({ url }) => url);
    // A checksum header of S3's own must be signed with its value, which nobody knows yet; this one need not be signed.
    return { uploadId, partSizeBytes, partUrls, checksum: 'md5' };
  }

  /** As the port says. Nobody is asked: of an upload that is gone they are good for nothing. */
  async partUrls(upload: OpenedUpload, numbers: readonly number[], ttlMs: number): Promise<{ number: number; url: string }[]> {
    const { maxSizeBytes, exactly } = upload;
    const key = this.#key(upload.key);
    const partSizeBytes = this.#partSize(maxSizeBytes);
    const count = partCount(maxSizeBytes, partSizeBytes);
    const urls: { number: number; url: string }[] = [];
    for (const number of numbers) {
      if (!Number.isInteger(number) || number < 1 || number > count) continue;
      const query = { partNumber: String(number), uploadId: idOf(upload.uploadId).id, 'x-id': 'UploadPart' };
      const length = exactly ? { sizeBytes: Math.min(partSizeBytes, maxSizeBytes - (number - 1) * partSizeBytes) } : {};
      urls.push({ number, url: await this.#urls.sign({ method: 'PUT', key, query, ttlMs: this.#ttl(ttlMs), ...length }) });
    }
    return urls;
  }

  /** As the port says; a call while another completes the same upload waits for that one, then finds it done. */
  async completeUpload(key: string, uploadId: string, parts: readonly UploadedPart[], sizeBytes: number): Promise<void> {
    await this.#completing.inTurn(uploadId, () => this.#complete(key, uploadId, parts, sizeBytes));
  }

  async #complete(key: string, uploadId: string, parts: readonly UploadedPart[], sizeBytes: number): Promise<void> {
    const Key = this.#key(key);
    const { mark, id } = idOf(uploadId);
    const about = { Bucket: this.#options.bucket, Key, UploadId: id };
    const list = (): Promise<ListedParts | undefined> =>
      listedParts(this.#client, about).catch((error: unknown) => {
        if (isNoSuchUpload(error)) return undefined;
        throw s3Error(error, 'listing the parts of an upload');
      });
    const listed = await lookedFor(list, (found) => found === undefined || hasParts(found, parts, sizeBytes));
    if (listed === undefined) return this.#isMade(key, mark, sizeBytes, noSuchUpload());
    checkParts(listed, parts, sizeBytes);
    const Parts = parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag }));
    const command = new CompleteMultipartUploadCommand({ ...about, IfNoneMatch: '*', MultipartUpload: { Parts } });
    try {
      await this.#client.send(command, limited(COMPLETE_MS));
    } catch (error) {
      // Of a call whose answer was lost the repeat is refused: what counts is what stands there now.
      const lost = isNoSuchUpload(error) ? noSuchUpload() : isTaken(error) ? objectExists(key) : s3Error(error, 'completing an upload');
      return this.#isMade(key, mark, sizeBytes, lost);
    }
    // That it is not seen yet is nothing a runner did.
    return this.#isMade(key, mark, sizeBytes, s3Error(new Error('not seen yet'), 'showing the completed object'));
  }

  /** Looks whether the object is there, made by this upload and of this size; throws `otherwise` where there is none. */
  async #isMade(key: string, mark: string, sizeBytes: number, otherwise: Error): Promise<void> {
    const found = await lookedFor(
      () => this.#find(this.#key(key)),
      (seen) => seen !== undefined,
    );
    if (found === undefined) throw otherwise;
    if (found.mark !== mark || found.sizeBytes !== sizeBytes) throw objectExists(key);
  }

  async abortUpload(key: string, uploadId: string): Promise<void> {
    const { id } = idOf(uploadId);
    const command = new AbortMultipartUploadCommand({ Bucket: this.#options.bucket, Key: this.#key(key), UploadId: id });
    await this.#client.send(command, limited(CALL_MS)).catch((error: unknown) => {
      if (!isNoSuchUpload(error)) throw s3Error(error, 'aborting an upload');
    });
  }

  async getUrl(key: string, ttlMs: number): Promise<string> {
    return this.#urls.sign({ method: 'GET', key: this.#key(key), query: { 'x-id': 'GetObject' }, ttlMs: this.#ttl(ttlMs) });
  }

  async put(key: string, body: AsyncIterable<Uint8Array>, maxSizeBytes: number): Promise<{ sizeBytes: number; hash: string }> {
    if (await this.head(key)) throw objectExists(key);
    return this.#puts.put(this.#key(key), body, { key, maxSizeBytes });
  }

  async head(key: string): Promise<{ sizeBytes: number } | undefined> {
    const found = await this.#find(this.#key(key));
    return found === undefined ? undefined : { sizeBytes: found.sizeBytes };
  }

  async delete(key: string): Promise<void> {
    const command = new DeleteObjectCommand({ Bucket: this.#options.bucket, Key: this.#key(key) });
    await this.#client.send(command, limited(CALL_MS)).catch((error: unknown) => {
      if (!isNoSuchObject(error)) throw s3Error(error, 'deleting an object');
    });
  }

  async *list(prefix: string, after = ''): AsyncIterable<ListedObject> {
    yield* listedObjects(this.#client, { bucket: this.#options.bucket, root: this.#options.prefix, prefix }, after);
  }

  async *listUploads(prefix: string, beforeMs: number): AsyncIterable<ListedUpload> {
    const where = { bucket: this.#options.bucket, root: this.#options.prefix, prefix };
    // The mark counts for completing only, and whoever lists completes nothing.
    for await (const { id, ...upload } of listedUploads(this.#client, where, beforeMs)) yield { ...upload, uploadId: `${SEPARATOR}${id}` };
  }

  /** Closes idle connections. */
  close(): void {
    this.#client.destroy();
  }

  #key(key: string): string {
    return `${this.#options.prefix}${checkedKey(key)}`;
  }

  #partSize(maxSizeBytes: number): number {
    return Math.max(this.#options.partSizeBytes ?? DEFAULT_PART_BYTES, Math.ceil(maxSizeBytes / MAX_PARTS));
  }

  #ttl(ttlMs: number): number {
    return Math.min(ttlMs, this.#options.urlTtlMs ?? ttlMs);
  }

  /** By its full key in the bucket. An answer to HEAD says nothing but 404: it is about the object only where the bucket is seen. */
  async #find(Key: string): Promise<Found | undefined> {
    try {
      const answer = await this.#client.send(new HeadObjectCommand({ Bucket: this.#options.bucket, Key }), limited(CALL_MS));
      return { sizeBytes: answer.ContentLength ?? 0, mark: answer.Metadata?.[MARK] };
    } catch (error) {
      if (!isNoSuchObject(error)) throw s3Error(error, 'looking for an object');
      const seen = new ListObjectsV2Command({ Bucket: this.#options.bucket, Prefix: Key, MaxKeys: 1 });
      await this.#client.send(seen, limited(CALL_MS)).catch(rethrow('looking for an object'));
      return undefined;
    }
  }
}

function idOf(uploadId: string): { mark: string; id: string } {
  const at = uploadId.indexOf(SEPARATOR);
  // One of the embedded store, from before the configuration was changed.
  if (at < 0) throw noSuchUpload();
  return { mark: uploadId.slice(0, at), id: uploadId.slice(at + 1) };
}

function rethrow(doing: string): (error: unknown) => never {
  return (error) => {
    throw s3Error(error, doing);
  };
}
