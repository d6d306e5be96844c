/** The checksums of a part, taken while it is read: the header that the object store compares it by, and the manifest's. */
import { type Hash, createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { OutputSlot } from '../schema/runner.ts';

type Kind = NonNullable<OutputSlot['checksum']>;

export class PartSum {
  readonly #md5: Hash | undefined;
  #crc32 = 0;

  constructor(kind: Kind) {
    // Against damage on the way only; S3's own checksum headers would have to be signed with values not known yet.
    if (kind === 'md5') this.#md5 = createHash('md5');
  }

  update(bytes: Uint8Array): void {
    this.#crc32 = crc32(bytes, this.#crc32);
    this.#md5?.update(bytes);
  }

  /** CRC-32 so far. */
  get crc32(): number {
    return this.#crc32;
  }

  /** Name and value; the sum takes no more bytes after that. */
  header(): Record<string, string> {
    if (this.#md5 !== undefined) return { 'content-md5': this.#md5.digest('base64') };
    const sum = Buffer.alloc(4);
    sum.writeUInt32BE(this.#crc32);
    return { 'x-amz-checksum-crc32': sum.toString('base64') };
  }
}
