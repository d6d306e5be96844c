/** Persist into a bucket, killed at some of its requests; `make soak` kills it at every one. */
import { test } from 'vitest';
import { HAS_SEAWEEDFS } from '../objects/s3-servers.ts';
import { IN_BUCKET, killEachRequest } from './bucket-killing.ts';

test.runIf(HAS_SEAWEEDFS).each(IN_BUCKET)('persist, killed at some of its requests, %s', { timeout: 600_000 }, async (_name, there) => {
  await killEachRequest(there, 8);
});
