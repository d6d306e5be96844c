/** What a bucket of miner storage refused or failed, in a sentence for its operator: names and statuses only, as in s3-errors.ts. */
import { SealpoolError } from '../schema/problem.ts';
import { failureOf } from './s3-errors.ts';

const TROUBLES = {
  gone: 'make it, or name the one that is there in runner.storage',
  refused: 'check the keys that runner.storage names, what they may do in the bucket, and the clock',
  full: 'free space or raise the quota there',
  failed: 'check the endpoint and the network to it if it stays so',
} as const;

/** `where`: `bucket NAME at ENDPOINT`; `doing`: what was tried. */
export function bucketError(error: unknown, where: string, doing: string): SealpoolError {
  if (error instanceof SealpoolError) return error;
  const { name, status } = failureOf(error);
  const about = `${name}${status === undefined ? '' : `, status ${status}`}`;
  const trouble =
    name === 'NoSuchBucket'
      ? 'gone'
      : status === 507 || /QuotaExceeded|StorageFull|InsufficientStorage/.test(name)
        ? 'full'
        : status === 401 || status === 403
          ? 'refused'
          : 'failed';
  const kind = trouble === 'full' ? 'storage_full' : 'unavailable';
  return new SealpoolError(kind, `bucket_${trouble}`, `${where} ${SAID[trouble]} ${doing} (${about}); ${TROUBLES[trouble]}`);
}

const SAID = { gone: 'is not there for', refused: 'refused', full: 'has no room for', failed: 'failed' } as const;

/** Another object, or none, stands under the key than the one that was meant. */
export function changedMeanwhile(where: string, key: string): SealpoolError {
  return new SealpoolError(
    'conflict',
    'object_changed',
    `${key} in ${where} was changed by somebody else meanwhile; nothing was replaced, it is looked at anew with the next try`,
  );
}
