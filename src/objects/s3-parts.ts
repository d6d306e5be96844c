/** The parts of an S3 upload as the endpoint has them, against those that a runner reported. */
import { ListPartsCommand, type S3Client } from '@aws-sdk/client-s3';
import { SealpoolError } from '../schema/problem.ts';
import type { UploadedPart } from '../schema/runner.ts';
import { CALL_MS, limited } from './s3-options.ts';

/** Sizes by `number/etag`: a part that was sent twice may be listed twice, and which one counts is the report's to say. */
export type ListedParts = ReadonlyMap<string, number>;

type UploadAddress = { readonly Bucket: string; readonly Key: string; readonly UploadId: string };

/** Waits before a list or look-up that seems to lag behind is asked for again; a second and a half in all. */
const AGAIN_MS = [100, 400, 1_000];

/** What `look` answers, asked again while it is not `settled`: some endpoints answer from before the last change for a moment. */
export async function lookedFor<T>(look: () => Promise<T>, settled: (found: T) => boolean): Promise<T> {
  let found = await look();
  for (const ms of AGAIN_MS) {
    if (settled(found)) break;
    await new Promise((resolve) => setTimeout(resolve, ms));
    found = await look();
  }
  return found;
}

/** Whether the report's parts are all there, in order, and make this size. */
export function hasParts(listed: ListedParts, parts: readonly UploadedPart[], sizeBytes: number): boolean {
  const sizes = parts.map(({ number, etag }) => listed.get(slot(number, etag)) ?? NaN);
  return sizes.length > 0 && sizes.reduce((sum, size) => sum + size, 0) === sizeBytes;
}

/** All parts, page by page. Throws the SDK's error. */
export async function listedParts(client: S3Client, upload: UploadAddress): Promise<ListedParts> {
  const sizes = new Map<string, number>();
  let PartNumberMarker: string | undefined;
  do {
    const command = new ListPartsCommand({ ...upload, ...(PartNumberMarker === undefined ? {} : { PartNumberMarker }) });
    const page = await client.send(command, limited(CALL_MS));
    for (const { PartNumber, ETag, Size } of page.Parts ?? []) sizes.set(slot(PartNumber ?? 0, ETag ?? ''), Size ?? 0);
    PartNumberMarker = page.IsTruncated === true ? page.NextPartNumberMarker : undefined;
  } while (PartNumberMarker !== undefined);
  return sizes;
}

/** Throws what is wrong with a report: parts that are not there, that are not all of them in order, or that make another size. */
export function checkParts(listed: ListedParts, parts: readonly UploadedPart[], sizeBytes: number): void {
  let total = 0;
  for (const [at, part] of parts.entries()) {
    const found = listed.get(slot(part.number, part.etag));
    if (part.number !== at + 1 || found === undefined) {
      throw new SealpoolError(
        'conflict',
        'part_missing',
        `part ${part.number} with ETag ${JSON.stringify(part.etag)} was not uploaded; name every part from 1 on with the ETag its PUT was answered with`,
      );
    }
    total += found;
  }
  if (parts.length === 0 || total !== sizeBytes) {
    throw new SealpoolError(
      'conflict',
      'size_differs',
      `the parts make ${total} bytes and not ${sizeBytes}; nothing was stored, upload the missing part`,
    );
  }
}

function slot(number: number, etag: string): string {
  return `${number}/${etag.replaceAll('"', '')}`;
}
