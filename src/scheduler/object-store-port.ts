/** What the core needs from object storage: the bucket of an S3 endpoint, or the control plane's own folder. */
import type { UploadedPart } from '../schema/runner.ts';

/** An upload in progress, as the control plane sees it. */
export type Upload = {
  readonly uploadId: string;
  readonly partSizeBytes: number;
  readonly partUrls: readonly string[];
  /** Which checksum header each part carries; CRC-32 where it is left out. */
  readonly checksum?: 'crc32' | 'md5';
};

/** An object as a listing shows it. */
export type ListedObject = {
  readonly key: string;
  readonly sizeBytes: number;
  /** When it was made, by the store's clock. */
  readonly madeMs: number;
};

/** An upload that nobody finished. */
export type ListedUpload = {
  readonly key: string;
  readonly uploadId: string;
  /** Of its parts so far. */
  readonly sizeBytes: number;
  /** When it was begun, by the store's clock. */
  readonly begunMs: number;
};

/** An upload that was opened, as it was opened. */
export type OpenedUpload = {
  readonly key: string;
  readonly uploadId: string;
  readonly maxSizeBytes: number;
  readonly exactly: boolean;
};

/** Object storage: keys are the control plane's, URLs are what runners get. */
export type ObjectStore = {
  /** Begins a multipart upload of at most `maxSizeBytes`; URLs expire after `ttlMs`. `exactly`: of no less either, which URLs may then bind. */
  createUpload(key: string, maxSizeBytes: number, ttlMs: number, exactly?: boolean): Promise<Upload>;
  /** New URLs for parts (from 1 on) of an upload that is open; numbers that are none of it are left out. */
  partUrls(upload: OpenedUpload, numbers: readonly number[], ttlMs: number): Promise<{ number: number; url: string }[]>;
  /** Makes the object from its parts. Idempotent: a second call with the same upload succeeds. Throws when sizes differ. */
  completeUpload(key: string, uploadId: string, parts: readonly UploadedPart[], sizeBytes: number): Promise<void>;
  abortUpload(key: string, uploadId: string): Promise<void>;
  /** A URL that GETs this one object (ranges allowed) until it expires. */
  getUrl(key: string, ttlMs: number): Promise<string>;
  /** Stores a stream under a key that must not exist yet; answers size and `sha256:` hash. */
  put(key: string, body: AsyncIterable<Uint8Array>, maxSizeBytes: number): Promise<{ sizeBytes: number; hash: string }>;
  head(key: string): Promise<{ sizeBytes: number } | undefined>;
  /** No error when it is not there. */
  delete(key: string): Promise<void>;
  /**
   * Objects whose keys begin with `prefix`, in an order of the store's own; after a key that it listed before, the rest, also
   * when that one is gone. What came or went in the last moments may be listed as before: a listing is a hint, never a proof.
   */
  list(prefix: string, after?: string): AsyncIterable<ListedObject>;
  /** Uploads below `prefix` that were begun before `beforeMs` and neither completed nor aborted; their ids are good for `abortUpload`. */
  listUploads(prefix: string, beforeMs: number): AsyncIterable<ListedUpload>;
};
