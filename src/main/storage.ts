/** Miner storage of a runner as the configuration names it; buckets are opened here, with keys that stay here. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { S3Bucket } from '../objects/s3-bucket.ts';
import type { StorageRoot } from '../runners/options.ts';
import { bucketOf } from '../schema/miner-storage.ts';
import { SealpoolError } from '../schema/problem.ts';
import type { Config } from './config.ts';

type Entry = Config['runner.storage'][number];

/** Throws `configuration` where a file with a key cannot be read. A bucket that does not answer may come back. */
export function storageOf(config: Config): StorageRoot[] {
  return config['runner.storage'].map((entry) => {
    const { id, path, weight, reserve_bytes, read_only, allow_miners, deny_miners, max_bytes } = entry;
    const bucket = openBucket(entry);
    return {
      id,
      path: bucket === undefined ? resolve(path) : path,
      bucket,
      maxBytes: max_bytes,
      weight,
      reserveBytes: reserve_bytes,
      readOnly: read_only,
      allowMiners: allow_miners,
      denyMiners: deny_miners,
    };
  });
}

function openBucket({ id, path, s3 }: Entry): S3Bucket | undefined {
  const named = bucketOf(path);
  if (named === undefined || s3 === undefined) return undefined;
  // Read anew now and then, so that a renewed key is seen.
  const key = (file: string): string => {
    let value = '';
    try {
      value = readFileSync(file, 'utf8').trim();
    } catch {
      // Said below.
    }
    if (value !== '') return value;
    throw new SealpoolError('bad_request', 'configuration', `the key file ${file} of storage ${id} cannot be read, or is empty; mend it`);
  };
  const credentials = async () => ({ accessKeyId: key(s3.access_key_file), secretAccessKey: key(s3.secret_key_file) });
  for (const file of [s3.access_key_file, s3.secret_key_file]) key(file);
  return new S3Bucket({ ...named, endpoint: s3.endpoint, region: s3.region, pathStyle: s3.path_style, credentials });
}
