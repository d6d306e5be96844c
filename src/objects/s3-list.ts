/** What is in the bucket, page by page: objects, and uploads that nobody finished. */
import { ListMultipartUploadsCommand, ListObjectsV2Command, type S3Client } from '@aws-sdk/client-s3';
import type { ListedObject, ListedUpload } from '../scheduler/ports.ts';
import { isNoSuchUpload, s3Error } from './s3-errors.ts';
import { CALL_MS, limited } from './s3-options.ts';
import { listedParts } from './s3-parts.ts';

/** `root`: what all keys in the bucket begin with; `prefix`: what is asked for below it. */
type Where = { readonly bucket: string; readonly root: string; readonly prefix: string };

/** Objects by their keys below `root`, after the key `after`. */
export async function* listedObjects(client: S3Client, { bucket, root, prefix }: Where, after: string): AsyncIterable<ListedObject> {
  let ContinuationToken: string | undefined;
  do {
    const command = new ListObjectsV2Command({
      Bucket: bucket,
      Prefix: `${root}${prefix}`,
      ...(after === '' ? {} : { StartAfter: `${root}${after}` }),
      ...(ContinuationToken === undefined ? {} : { ContinuationToken }),
    });
    const page = await client.send(command, limited(CALL_MS)).catch(rethrow('listing objects'));
    for (const { Key, Size, LastModified } of page.Contents ?? []) {
      // A name that ends in a slash is a folder that some tool made. Without a time nothing is known to be old.
      if (Key === undefined || Key.endsWith('/')) continue;
      yield { key: Key.slice(root.length), sizeBytes: Size ?? 0, madeMs: LastModified?.getTime() ?? Number.POSITIVE_INFINITY };
    }
    ContinuationToken = page.IsTruncated === true ? page.NextContinuationToken : undefined;
  } while (ContinuationToken !== undefined);
}

/** Uploads that were begun before `beforeMs`, with the endpoint's own ids. Their parts are counted, one call for each. */
export async function* listedUploads(
  client: S3Client,
  { bucket, root, prefix }: Where,
  beforeMs: number,
): AsyncIterable<Omit<ListedUpload, 'uploadId'> & { readonly id: string }> {
  let markers: { KeyMarker?: string; UploadIdMarker?: string } | undefined = {};
  while (markers !== undefined) {
    const command: ListMultipartUploadsCommand = new ListMultipartUploadsCommand({
      Bucket: bucket,
      Prefix: `${root}${prefix}`,
      ...markers,
    });
    const page = await client.send(command, limited(CALL_MS)).catch(rethrow('listing uploads'));
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      const begunMs = Initiated?.getTime() ?? Number.POSITIVE_INFINITY;
      if (Key === undefined || UploadId === undefined || begunMs >= beforeMs) continue;
      const sizeBytes = await bytesOf(client, { Bucket: bucket, Key, UploadId });
      if (sizeBytes !== undefined) yield { key: Key.slice(root.length), id: UploadId, sizeBytes, begunMs };
    }
    const { NextKeyMarker, NextUploadIdMarker } = page;
    // Some endpoints say that there is more and not where it goes on.
    markers =
      page.IsTruncated === true && NextKeyMarker !== undefined && NextKeyMarker !== ''
        ? { KeyMarker: NextKeyMarker, ...(NextUploadIdMarker === undefined ? {} : { UploadIdMarker: NextUploadIdMarker }) }
        : undefined;
  }
}

/** Undefined: it has ended meanwhile. */
async function bytesOf(client: S3Client, upload: { Bucket: string; Key: string; UploadId: string }): Promise<number | undefined> {
  try {
    return [...(await listedParts(client, upload)).values()].reduce((sum, sizeBytes) => sum + sizeBytes, 0);
  } catch (error) {
    if (isNoSuchUpload(error)) return undefined;
    throw s3Error(error, 'listing the parts of an upload');
  }
}

function rethrow(doing: string): (error: unknown) => never {
  return (error) => {
    throw s3Error(error, doing);
  };
}
