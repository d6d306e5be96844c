/** The S3 adapter on a server of the tests. */
import type { S3Options } from '../../src/objects/s3-options.ts';
import { S3Objects } from '../../src/objects/s3.ts';
import { ACCESS_KEY, BUCKET, LEAST_PART_BYTES, REGION, SECRET_KEY } from './s3-servers.ts';

/** With the least parts, so that few bytes make several. */
export function openStore(endpoint: string, more: Partial<S3Options> = {}): S3Objects {
  return new S3Objects(optionsFor(endpoint, more));
}

export function optionsFor(endpoint: string, more: Partial<S3Options> = {}): S3Options {
  return {
    endpoint,
    bucket: BUCKET,
    region: REGION,
    prefix: 'some/where/',
    pathStyle: true,
    credentials: async () => ({ accessKeyId: ACCESS_KEY, secretAccessKey: SECRET_KEY }),
    partSizeBytes: LEAST_PART_BYTES,
    ...more,
  };
}
