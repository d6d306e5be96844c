/** Opens the object store that is configured: a bucket of an S3 endpoint, or the embedded one in the data folder. */
import type { Logger } from 'pino';
import { type LocalObjects, openLocalObjects } from '../objects/local.ts';
import { checkBucket } from '../objects/s3-check.ts';
import type { S3Options } from '../objects/s3-options.ts';
import { S3Objects } from '../objects/s3.ts';
import { SealpoolError } from '../schema/problem.ts';
import type { ObjectStore } from '../scheduler/ports.ts';
import { type Config, secretOf } from './config.ts';

export type OpenObjects = {
  readonly objects: ObjectStore;
  /** The embedded store, whose URLs the control plane serves itself. */
  readonly local: LocalObjects | undefined;
  close(): void;
};

export type ObjectsPlace = {
  readonly dataDir: string;
  /** How runners reach the control plane; asked when a URL is made. */
  readonly publicUrl: () => string;
  readonly now: () => number;
  readonly log: Logger;
};

/** Throws `configuration` with what stands against the bucket, or the disk's error. */
export async function openObjects(config: Config, { dataDir, publicUrl, now, log }: ObjectsPlace): Promise<OpenObjects> {
  const s3 = s3Options(config);
  if (s3 === undefined) {
    const local = await openLocalObjects({ dataDir, publicUrl, minFreeBytes: config['objects.min_free_bytes'], now });
    return { objects: local, local, close: () => undefined };
  }
  await checkBucket(s3, (sentence) => log.warn({}, sentence));
  const objects = new S3Objects(s3);
  log.info({ endpoint: s3.endpoint, bucket: s3.bucket, prefix: s3.prefix }, 'objects are kept in a bucket');
  return { objects, local: undefined, close: () => objects.close() };
}

/** Undefined where no endpoint is set. Throws `configuration` where something is missing beside it. */
export function s3Options(config: Config): S3Options | undefined {
  const endpoint = config['objects.s3.endpoint'];
  const bucket = config['objects.s3.bucket'];
  if (endpoint === undefined) {
    if (bucket === undefined) return undefined;
    throw missing('objects.s3.endpoint', 'objects.s3.bucket is set');
  }
  if (bucket === undefined) throw missing('objects.s3.bucket', 'objects.s3.endpoint is set');
  const credentials = async (): Promise<{ accessKeyId: string; secretAccessKey: string }> => ({
    accessKeyId: given(config, 'access_key'),
    secretAccessKey: given(config, 'secret_key'),
  });
  for (const key of ['access_key', 'secret_key'] as const) given(config, key);
  const prefix = config['objects.s3.prefix'].replace(/\/$/, '');
  return {
    endpoint,
    bucket,
    region: config['objects.s3.region'],
    prefix: prefix === '' ? '' : `${prefix}/`,
    pathStyle: config['objects.s3.path_style'],
    urlTtlMs: config['objects.s3.url_ttl_ms'],
    credentials,
  };
}

/** A file is read anew each time, so that a renewed key is seen. */
function given(config: Config, key: 'access_key' | 'secret_key'): string {
  const value = secretOf(config[`objects.s3.${key}`], config[`objects.s3.${key}_file`]);
  if (value === undefined || value === '') throw missing(`objects.s3.${key} or objects.s3.${key}_file`, 'objects.s3.endpoint is set');
  return value;
}

function missing(key: string, beside: string): SealpoolError {
  return new SealpoolError('bad_request', 'configuration', `${beside}, but ${key} is not; set it too, or neither`);
}
