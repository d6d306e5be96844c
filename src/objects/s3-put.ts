/** Streams into an S3 object that must not exist yet: one request where it fits into a part, else a multipart upload; one part in memory at a time. */
import { createHash, randomBytes } from 'node:crypto';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { objectExists, tooLarge } from './errors.ts';
import { failureOf, isTaken, s3Error } from './s3-errors.ts';
import { CALL_MS, COMPLETE_MS, MARK, limited } from './s3-options.ts';

const PART_BYTES = 16 * 2 ** 20;
const MAX_PARTS = 9_500;
/** A part slower than that is given up. */
const PART_MS = 5 * 60 * 1000;
/** Of a write that met another one of the same key at the same moment. */
const TRIES = 3;

export type PutLimits = { readonly key: string; readonly maxSizeBytes: number };
type Address = { readonly Bucket: string; readonly Key: string };

export class S3Puts {
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #markOf: (fullKey: string) => Promise<string | undefined>;

  /** `markOf`: what made the object under a full key. */
  constructor(client: S3Client, bucket: string, markOf: (fullKey: string) => Promise<string | undefined>) {
    this.#client = client;
    this.#bucket = bucket;
    this.#markOf = markOf;
  }

  /** Stores all of `body`; answers its size and hash. Throws `object_exists`, `too_large`, or whatever `body` throws; then nothing stays. */
  async put(
    fullKey: string,
    body: AsyncIterable<Uint8Array>,
    { key, maxSizeBytes }: PutLimits,
  ): Promise<{ sizeBytes: number; hash: string }> {
    const address = { Bucket: this.#bucket, Key: fullKey };
    const mark = randomBytes(12).toString('hex');
    const hash = createHash('sha256');
    let sizeBytes = 0;
    const counted = async function* (): AsyncGenerator<Uint8Array> {
      for await (const bytes of body) {
        sizeBytes += bytes.length;
        if (sizeBytes > maxSizeBytes) throw tooLarge(`object ${key}`, maxSizeBytes);
        hash.update(bytes);
        yield bytes;
      }
    };
    const parts = inParts(counted(), Math.max(PART_BYTES, Math.ceil(maxSizeBytes / MAX_PARTS)));
    const first = await parts.next();
    if (first.done === true || first.value.last)
      await this.#whole(address, mark, first.done === true ? Buffer.alloc(0) : first.value.bytes, key);
    else await this.#multipart(address, mark, first.value.bytes, parts, key);
    return { sizeBytes, hash: `sha256:${hash.digest('hex')}` };
  }

  async #whole(address: Address, mark: string, bytes: Buffer, key: string): Promise<void> {
    const command = new PutObjectCommand({ ...address, Body: bytes, IfNoneMatch: '*', Metadata: { [MARK]: mark } });
    await this.#once(address, mark, key, 'storing an object', () => this.#client.send(command, limited(PART_MS)));
  }

  async #multipart(address: Address, mark: string, first: Buffer, rest: AsyncGenerator<Part>, key: string): Promise<void> {
    const opened = await this.#client
      .send(new CreateMultipartUploadCommand({ ...address, Metadata: { [MARK]: mark } }), limited(CALL_MS))
      .catch((error: unknown) => {
        throw s3Error(error, 'opening an upload');
      });
    const upload = { ...address, UploadId: opened.UploadId };
    try {
      const Parts = [await this.#part(upload, 1, first)];
      for await (const { bytes } of rest) Parts.push(await this.#part(upload, Parts.length + 1, bytes));
      const command = new CompleteMultipartUploadCommand({ ...upload, IfNoneMatch: '*', MultipartUpload: { Parts } });
      await this.#once(address, mark, key, 'completing an upload', () => this.#client.send(command, limited(COMPLETE_MS)));
    } catch (error) {
      // What cannot be aborted now is swept away later.
      await this.#client.send(new AbortMultipartUploadCommand(upload), limited(CALL_MS)).catch(() => undefined);
      throw error;
    }
  }

  async #part(
    upload: Address & { UploadId: string | undefined },
    PartNumber: number,
    Body: Buffer,
  ): Promise<{ PartNumber: number; ETag: string | undefined }> {
    try {
      const { ETag } = await this.#client.send(new UploadPartCommand({ ...upload, PartNumber, Body }), limited(PART_MS));
      return { PartNumber, ETag };
    } catch (error) {
      throw s3Error(error, `sending part ${PartNumber}`);
    }
  }

  /** Makes the object in one step. Where that is refused, since an answer was lost or somebody was faster, the mark says who made it. */
  async #once(address: Address, mark: string, key: string, doing: string, make: () => Promise<unknown>): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        await make();
        return;
      } catch (error) {
        const made = await this.#markOf(address.Key);
        if (made === mark) return;
        if (made !== undefined) throw objectExists(key);
        if (!isTaken(error) || failureOf(error).status === 412 || tries === TRIES) throw s3Error(error, doing);
      }
    }
  }
}

type Part = { readonly bytes: Buffer; readonly last: boolean };

/** The stream cut into parts of exactly this size, the last one shorter. */
async function* inParts(body: AsyncIterable<Uint8Array>, partSizeBytes: number): AsyncGenerator<Part> {
  let chunks: Uint8Array[] = [];
  let have = 0;
  let full: Buffer | undefined;
  for await (let bytes of body) {
    while (bytes.length > 0) {
      // Known not to be the last only when more comes.
      if (full !== undefined) yield { bytes: full, last: false };
      full = undefined;
      const taken = bytes.subarray(0, partSizeBytes - have);
      bytes = bytes.subarray(taken.length);
      chunks.push(taken);
      have += taken.length;
      if (have < partSizeBytes) continue;
      full = Buffer.concat(chunks);
      chunks = [];
      have = 0;
    }
  }
  if (full !== undefined || have > 0) yield { bytes: full ?? Buffer.concat(chunks), last: true };
}
