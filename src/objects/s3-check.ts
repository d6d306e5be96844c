/** Whether a bucket can be what the control plane needs: looked at once at the start, so that a wrong setting is told then and not by a stage hours later. */
import { randomBytes } from 'node:crypto';
import { DeleteObjectCommand, ListObjectsV2Command, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { SealpoolError } from '../schema/problem.ts';
import { failureOf, isRefusal, isTaken } from './s3-errors.ts';
import { type S3Options, clientOf, limited } from './s3-options.ts';

const CHECK_MS = 10_000;

/**
 * Throws what stands against the bucket. Endpoints that cannot be reached now, or that fail, are told by `onAway`
 * instead: they may come back, and until then stages wait.
 */
export async function checkBucket(options: S3Options, onAway: (sentence: string) => void): Promise<void> {
  const client = clientOf(options);
  const { bucket, endpoint } = options;
  const address = { Bucket: bucket, Key: `${options.prefix}probes/${randomBytes(8).toString('hex')}` };
  try {
    // A HEAD would be answered without the reason.
    await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: address.Key, MaxKeys: 1 }), limited(CHECK_MS));
    if (await replacesObjects(client, address)) {
      throw refuse(
        `the S3 endpoint ${endpoint} replaces an object although If-None-Match forbids it; sealed files must never change, use an endpoint that knows conditional writes`,
      );
    }
  } catch (error) {
    if (error instanceof SealpoolError) throw error;
    const { name, status } = failureOf(error);
    const told = `${name}${status === undefined ? '' : `, status ${status}`}`;
    if (status === undefined || status >= 500) {
      onAway(`the S3 endpoint ${endpoint} does not answer as it should (${told}); stages wait until it does`);
      return;
    }
    if (isRefusal(error)) {
      throw refuse(
        `the S3 endpoint ${endpoint} refuses to let these keys read and write bucket ${bucket} (${told}); check objects.s3.access_key and secret_key, what they may do there, objects.s3.region and the clock`,
      );
    }
    if (status === 404) throw refuse(`there is no bucket ${bucket} at ${endpoint}; make it, or set objects.s3.bucket to one that is there`);
    throw refuse(`the S3 endpoint ${endpoint} refuses bucket ${bucket} (${told}); check the keys objects.s3.…`);
  } finally {
    client.destroy();
  }
}

/** Whether the endpoint replaces an object that If-None-Match forbids to replace. Leaves nothing behind; throws the SDK's error. */
export async function replacesObjects(client: S3Client, address: { readonly Bucket: string; readonly Key: string }): Promise<boolean> {
  const put = (): Promise<unknown> =>
    client.send(new PutObjectCommand({ ...address, Body: Buffer.of(1), IfNoneMatch: '*' }), limited(CHECK_MS));
  await put();
  return put()
    .then(
      () => true,
      (error: unknown) => {
        if (isTaken(error)) return false;
        throw error;
      },
    )
    .finally(() => client.send(new DeleteObjectCommand(address), limited(CHECK_MS)));
}

function refuse(message: string): SealpoolError {
  return new SealpoolError('bad_request', 'configuration', message);
}
