/**
 * A bucket as miner storage: objects are read in ranges, and made by multipart uploads, of which nothing is seen before they are completed.
 * A completion stands in place of exactly what was there before, or of nothing; the mark of its upload says afterwards whose it was.
 */
import { createHash, randomBytes } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  type CompletedPart,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { SealpoolError } from '../schema/problem.ts';
import { bucketError, changedMeanwhile } from './bucket-errors.ts';
import { replacesObjects } from './s3-check.ts';
import { failureOf, isNoSuchObject, isNoSuchUpload, isTaken } from './s3-errors.ts';
import { CALL_MS, COMPLETE_MS, MARK, type S3Options, clientOf } from './s3-options.ts';
import { lookedFor } from './s3-parts.ts';

const PART_BYTES = 16 * 2 ** 20;
const MAX_PARTS = 9_500;
/** Parts under way at a time; each has a buffer of its own. */
const LANES = 4;
/** A part or range slower than that is given up. */
const PART_MS = 5 * 60_000;
/** Waits before a range whose connection broke is asked for again. */
const AGAIN_MS = [250, 1_000, 4_000];

type Found = { readonly sizeBytes: number; readonly etag: string; readonly mark: string | undefined };
type Standing = Pick<Found, 'sizeBytes' | 'etag'>;
type Source = { fill(into: Buffer): Promise<void>; end(): Promise<void> };
type Draft = { place(): Promise<Standing>; drop(): Promise<void> };
type Upload = { readonly Bucket: string; readonly Key: string; readonly UploadId: string };

export class S3Bucket {
  readonly #options: S3Options;
  readonly #client: S3Client;
  readonly #where: string;
  /** Whether the endpoint keeps to If-None-Match: asked once, before anything is written. */
  #keeps: Promise<void> | undefined;

  constructor(options: S3Options) {
    this.#options = options;
    this.#client = clientOf(options);
    this.#where = `bucket ${options.bucket} at ${options.endpoint}`;
  }

  async find(key: string): Promise<Standing | undefined> {
    return this.#find(key);
  }

  async readText(key: string, mostBytes: number): Promise<string | undefined> {
    const command = new GetObjectCommand({ ...this.#address(key), Range: `bytes=0-${mostBytes - 1}` });
    try {
      const { Body } = await this.#client.send(command, within(CALL_MS));
      return await Body?.transformToString();
    } catch (error) {
      if (isNoSuchObject(error)) return undefined;
      throw this.#error(error, `reading ${key}`);
    }
  }

  async read(key: string, { etag }: Standing, from: number, sizeBytes: number, signal: AbortSignal): Promise<Buffer> {
    const ask = { ...this.#address(key), Range: `bytes=${from}-${from + sizeBytes - 1}`, IfMatch: etag };
    for (let tries = 0; ; tries++) {
      try {
        const { Body } = await this.#client.send(new GetObjectCommand(ask), within(PART_MS, signal));
        const bytes = Buffer.from((await Body?.transformToByteArray()) ?? []);
        if (bytes.length === sizeBytes) return bytes;
        throw new Error('the answer is shorter than the range');
      } catch (error) {
        signal.throwIfAborted();
        if (isTaken(error) || isNoSuchObject(error)) throw changedMeanwhile(this.#where, key);
        const ms = AGAIN_MS[tries];
        // What has a status was tried again by the client already.
        if (ms === undefined || failureOf(error).status !== undefined) throw this.#error(error, `reading ${key}`);
        await new Promise((resolve) => setTimeout(resolve, ms));
      }
    }
  }

  async draft(key: string, instead: Standing | undefined, sizeBytes: number, source: Source, signal: AbortSignal): Promise<Draft> {
    await this.#checked();
    const address = this.#address(key);
    const mark = randomBytes(12).toString('hex');
    const doing = `opening an upload of ${key}`;
    const opened = await this.#client
      .send(new CreateMultipartUploadCommand({ ...address, Metadata: { [MARK]: mark } }), within(CALL_MS, signal))
      .catch((error: unknown) => {
        throw this.#error(error, doing);
      });
    if (opened.UploadId === undefined) throw this.#error(new Error('no upload id'), doing);
    const upload = { ...address, UploadId: opened.UploadId };
    // What cannot be aborted now the next try for this key aborts.
    const drop = (): Promise<void> => this.#abort(upload).catch(() => undefined);
    try {
      const parts = await this.#send(upload, sizeBytes, source, signal);
      await source.end();
      return { drop, place: () => this.#place(upload, parts, { key, mark, sizeBytes, instead }) };
    } catch (error) {
      await drop();
      throw error;
    }
  }

  async dropDrafts(key: string): Promise<void> {
    const { Bucket, Key } = this.#address(key);
    const found: Upload[] = [];
    let markers: { KeyMarker?: string; UploadIdMarker?: string } | undefined = {};
    const doing = 'listing uploads that were never completed';
    while (markers !== undefined) {
      const command: ListMultipartUploadsCommand = new ListMultipartUploadsCommand({ Bucket, Prefix: Key, ...markers });
      const page = await this.#client.send(command, within(CALL_MS)).catch((error: unknown) => {
        throw this.#error(error, doing);
      });
      for (const { Key: of, UploadId } of page.Uploads ?? [])
        if (of === Key && UploadId !== undefined) found.push({ Bucket, Key, UploadId });
      const { IsTruncated, NextKeyMarker, NextUploadIdMarker } = page;
      markers = undefined;
      if (IsTruncated === true && NextKeyMarker) markers = { KeyMarker: NextKeyMarker, UploadIdMarker: NextUploadIdMarker ?? '' };
    }
    for (const upload of found) await this.#abort(upload);
  }

  async remove(key: string, { etag }: Standing): Promise<void> {
    const command = new DeleteObjectCommand({ ...this.#address(key), IfMatch: etag });
    await this.#client.send(command, within(CALL_MS)).catch((error: unknown) => {
      if (!isNoSuchObject(error) && !isTaken(error)) throw this.#error(error, `removing ${key}`);
    });
  }

  async holds(prefix: string): Promise<boolean> {
    const { Bucket, Key } = this.#address(prefix);
    const page = await this.#client
      .send(new ListObjectsV2Command({ Bucket, Prefix: Key, MaxKeys: 1 }), within(CALL_MS))
      .catch(this.#listing);
    return (page.Contents ?? []).length > 0;
  }

  async usedBytes(): Promise<number> {
    const { bucket: Bucket, prefix: Prefix } = this.#options;
    let bytes = 0;
    let ContinuationToken: string | undefined;
    do {
      const command: ListObjectsV2Command = new ListObjectsV2Command({ Bucket, Prefix, ContinuationToken });
      const page = await this.#client.send(command, within(CALL_MS)).catch(this.#listing);
      for (const { Size } of page.Contents ?? []) bytes += Size ?? 0;
      ContinuationToken = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (ContinuationToken !== undefined);
    return bytes;
  }

  /** Closes idle connections. */
  close(): void {
    this.#client.destroy();
  }

  /** Sends all of the source in equal parts, the last one shorter, each with its MD5, which the endpoint compares. */
  async #send(upload: Upload, sizeBytes: number, source: Source, signal: AbortSignal): Promise<CompletedPart[]> {
    const partBytes = Math.max(this.#options.partSizeBytes ?? PART_BYTES, Math.ceil(sizeBytes / MAX_PARTS));
    const parts: CompletedPart[] = [];
    const buffers: Buffer[] = [];
    const under = new Set<Promise<void>>();
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    try {
      for (let at = 0; at * partBytes < Math.max(1, sizeBytes); at++) {
        while (under.size >= LANES) await Promise.race(under);
        either.throwIfAborted();
        const buffer = buffers.pop() ?? Buffer.allocUnsafe(Math.min(partBytes, sizeBytes));
        const bytes = buffer.subarray(0, Math.min(partBytes, sizeBytes - at * partBytes));
        await source.fill(bytes);
        const sent = this.#part(upload, at + 1, bytes, either).then(
          (part) => {
            parts[at] = part;
            buffers.push(buffer);
          },
          (error: unknown) => failed.abort(error),
        );
        const done: Promise<void> = sent.finally(() => under.delete(done));
        under.add(done);
      }
    } catch (error) {
      failed.abort(error);
      await Promise.all(under);
      throw error;
    }
    await Promise.all(under);
    signal.throwIfAborted();
    failed.signal.throwIfAborted();
    return parts;
  }

  async #part(upload: Upload, PartNumber: number, Body: Buffer, signal: AbortSignal): Promise<CompletedPart> {
    const ContentMD5 = createHash('md5').update(Body).digest('base64');
    const send = () => this.#client.send(new UploadPartCommand({ ...upload, PartNumber, Body, ContentMD5 }), within(PART_MS, signal));
    try {
      // What was altered on the way is sent once more.
      const { ETag } = await send().catch((error: unknown) => {
        if (failureOf(error).name !== 'BadDigest') throw error;
        return send();
      });
      return { PartNumber, ETag };
    } catch (error) {
      signal.throwIfAborted();
      throw this.#error(error, `sending part ${PartNumber} of ${upload.Key}`);
    }
  }

  /** Completes the upload. Of one whose answer was lost the repeat is refused: what counts is the mark of what stands there. */
  async #place(
    upload: Upload,
    Parts: CompletedPart[],
    { key, mark, sizeBytes, instead }: { key: string; mark: string; sizeBytes: number; instead: Standing | undefined },
  ): Promise<Standing> {
    const only = instead === undefined ? { IfNoneMatch: '*' } : { IfMatch: instead.etag };
    const command = new CompleteMultipartUploadCommand({ ...upload, ...only, MultipartUpload: { Parts } });
    let refused: unknown;
    await this.#client.send(command, within(COMPLETE_MS)).catch((error: unknown) => (refused = error));
    const found = await lookedFor(
      () => this.#find(key),
      (seen) => refused !== undefined || seen?.mark === mark,
    );
    if (found?.mark === mark && found.sizeBytes === sizeBytes) return found;
    if (refused === undefined || isTaken(refused) || isNoSuchObject(refused) || isNoSuchUpload(refused))
      throw changedMeanwhile(this.#where, key);
    throw this.#error(refused, `completing the upload of ${key}`);
  }

  async #abort(upload: Upload): Promise<void> {
    await this.#client.send(new AbortMultipartUploadCommand(upload), within(CALL_MS)).catch((error: unknown) => {
      if (!isNoSuchUpload(error)) throw this.#error(error, 'aborting an upload');
    });
  }

  async #find(key: string): Promise<Found | undefined> {
    try {
      const { ContentLength, ETag, Metadata } = await this.#client.send(new HeadObjectCommand(this.#address(key)), within(CALL_MS));
      return { sizeBytes: ContentLength ?? 0, etag: ETag ?? '', mark: Metadata?.[MARK] };
    } catch (error) {
      if (!isNoSuchObject(error)) throw this.#error(error, `looking for ${key}`);
    }
    // An answer without a body does not say whether it is the object that is not there, or the bucket.
    await this.#client.send(new HeadBucketCommand({ Bucket: this.#options.bucket }), within(CALL_MS)).catch((error: unknown) => {
      if (failureOf(error).status !== 404) throw this.#error(error, 'looking for the bucket');
      throw this.#error(
        Object.assign(new Error('no bucket'), { name: 'NoSuchBucket', $metadata: { httpStatusCode: 404 } }),
        `looking for ${key}`,
      );
    });
    return undefined;
  }

  #checked(): Promise<void> {
    this.#keeps ??= this.#check().catch((error: unknown) => {
      this.#keeps = undefined;
      throw error;
    });
    return this.#keeps;
  }

  async #check(): Promise<void> {
    const replaces = await replacesObjects(this.#client, this.#address(`probes/${randomBytes(8).toString('hex')}`)).catch(
      (error: unknown) => {
        throw this.#error(error, 'a trial of conditional writes');
      },
    );
    if (!replaces) return;
    throw new SealpoolError(
      'unavailable',
      'bucket_replaces',
      `${this.#where} replaces an object although If-None-Match forbids it; stored files must not be lost so, use an endpoint that knows conditional writes`,
    );
  }

  #address(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#options.bucket, Key: `${this.#options.prefix}${key}` };
  }

  readonly #listing = (error: unknown): never => {
    throw this.#error(error, 'listing objects');
  };

  #error(error: unknown, doing: string): SealpoolError {
    return bucketError(error, this.#where, doing);
  }
}

/** Bounds a call with all its retries. */
function within(ms: number, signal?: AbortSignal): { abortSignal: AbortSignal } {
  const late = AbortSignal.timeout(ms);
  return { abortSignal: signal === undefined ? late : AbortSignal.any([signal, late]) };
}
