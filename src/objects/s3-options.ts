/** How to reach a bucket, and the client for it. */
import { S3Client } from '@aws-sdk/client-s3';

export type S3Options = {
  /** `https://host`, without the bucket. */
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  /** What all keys in the bucket begin with: empty, or ending in a slash. */
  readonly prefix: string;
  /** The bucket in the path of URLs, not in the host's name. */
  readonly pathStyle: boolean;
  /** Asked anew now and then, so that keys can be renewed while it runs. */
  readonly credentials: () => Promise<{ accessKeyId: string; secretAccessKey: string }>;
  /** URLs end after this time at the latest. */
  readonly urlTtlMs?: number;
  /** Parts are at least this large; 64 MiB unless a test wants several small ones. S3 takes no part below 5 MiB but the last. */
  readonly partSizeBytes?: number;
};

/** Metadata of every object: what made it. */
export const MARK = 'sealpool-upload';

/** Limit of a usual call, its retries included. */
export const CALL_MS = 30_000;
/** Some endpoints copy all parts when they complete, at the speed of a disk. */
export const COMPLETE_MS = 15 * 60 * 1000;
const CONNECT_MS = 5_000;
const MAX_ATTEMPTS = 4;
const CREDENTIALS_KEPT_MS = 60_000;

export function clientOf({ endpoint, region, pathStyle, credentials }: S3Options): S3Client {
  return new S3Client({
    endpoint,
    region,
    forcePathStyle: pathStyle,
    credentials: async () => ({ ...(await credentials()), expiration: new Date(Date.now() + CREDENTIALS_KEPT_MS) }),
    // By default the SDK adds checksums that not every endpoint knows, also of an empty body to signed URLs.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    maxAttempts: MAX_ATTEMPTS,
    retryMode: 'standard',
    requestHandler: { connectionTimeout: CONNECT_MS },
  });
}

/** Bounds a call with all its retries. */
export function limited(ms: number): { abortSignal: AbortSignal } {
  return { abortSignal: AbortSignal.timeout(ms) };
}
