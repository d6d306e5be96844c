/** Persist into a bucket, killed at each of its requests. */
import { test } from 'vitest';
import { HAS_SEAWEEDFS } from '../objects/s3-servers.ts';
import { IN_BUCKET, killEachRequest } from '../runners/bucket-killing.ts';

test.runIf(HAS_SEAWEEDFS).each(IN_BUCKET)('persist, killed at every request, %s', { timeout: 3_600_000 }, async (_name, there) => {
  await killEachRequest(there, 1);
});
