/** A runner that sends more than it may, elsewhere, or later. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Readable } from 'node:stream';
import { Report } from '../../src/schema/runner.ts';
import type { Upload } from '../../src/scheduler/ports.ts';
import { bytesOf, putAll, putPart } from './conformance.ts';
import { type LocalServer, startLocalServer } from './local-server.ts';

const HOUR_MS = 3_600_000;
let server: LocalServer;
let upload: Upload;
beforeEach(async () => {
  server = await startLocalServer({ partSizeBytes: 100 });
  upload = await server.store.createUpload('jobs/j/a/sealed', 150, HOUR_MS);
});
afterEach(() => server.close());

test('one byte more than a part may have is refused', async () => {
  const [first, last] = upload.partUrls as [string, string];
  for (const [url, sizeBytes, status] of [
    [first, 101, 413],
    [last, 51, 413],
    [first, 100, 200],
    [last, 50, 200],
  ] as const)
    expect((await putPart(url, bytesOf('x', sizeBytes))).status).toBe(status);
});

test('a part that nobody signed, such as the 10,001st, is refused by URL, by store and by report', async () => {
  const url = new URL(upload.partUrls[0] as string);
  url.pathname = url.pathname.replace(/1$/, '10001');
  expect((await putPart(url.href, bytesOf('x', 9))).status).toBe(403);
  const part = { sizeBytes: 9, crc32: 0, bytes: Readable.from([Buffer.alloc(9)]) };
  await expect(server.store.receivePart(upload.uploadId, 10_001, part)).rejects.toMatchObject({ code: 'bad_part_number' });
  const parts = [{ number: 10_001, etag: '"x"' }];
  const output = { name: 'sealed', sizeBytes: '9', hash: `sha256:${'ab'.repeat(32)}`, parts };
  const report = { outcome: 'done', attempt: 'a-000000000000', epoch: 1, outputs: [output], result: {} };
  expect(Report.safeParse({ ...report, outputs: [{ ...output, parts: [{ number: 10_000, etag: '"x"' }] }] }).success).toBe(true);
  expect(Report.safeParse(report).success).toBe(false);
});

test('a URL that was used is of no use once the object is there: what counts stays as it is', async () => {
  const honest = bytesOf('honest', 150);
  await server.store.completeUpload('jobs/j/a/sealed', upload.uploadId, await putAll(upload, honest), 150);
  expect((await putPart(upload.partUrls[0] as string, bytesOf('other', 100))).status).toBe(404);
  const read = await fetch(await server.store.getUrl('jobs/j/a/sealed', HOUR_MS));
  expect(Buffer.from(await read.arrayBuffer()).equals(honest)).toBe(true);
});

test('another upload of the same key does not replace what is there', async () => {
  const second = await server.store.createUpload('jobs/j/a/sealed', 150, HOUR_MS);
  await server.store.completeUpload('jobs/j/a/sealed', upload.uploadId, await putAll(upload, bytesOf('honest', 150)), 150);
  const parts = await putAll(second, bytesOf('swapped', 150));
  await expect(server.store.completeUpload('jobs/j/a/sealed', second.uploadId, parts, 150)).rejects.toMatchObject({
    code: 'object_exists',
  });
  const read = await fetch(await server.store.getUrl('jobs/j/a/sealed', HOUR_MS));
  expect(Buffer.from(await read.arrayBuffer()).equals(bytesOf('honest', 150))).toBe(true);
});

test('a URL of one verb or object is none of another, nor after its time', async () => {
  await server.store.completeUpload('jobs/j/a/sealed', upload.uploadId, await putAll(upload, bytesOf('honest', 150)), 150);
  const url = new URL(await server.store.getUrl('jobs/j/a/sealed', HOUR_MS));
  const other = new URL(url);
  other.pathname = other.pathname.replace('/a/', '/b/');
  expect((await fetch(other)).status).toBe(403);
  expect((await fetch(url.href.replace(/signature=.*/, ''))).status).toBe(403);
  server.clock.nowMs += HOUR_MS + 1;
  expect((await fetch(url)).status).toBe(403);
});
