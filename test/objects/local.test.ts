/** The embedded store: the port's suite, its disk, and its routes through a real HTTP server. */
import { link, mkdir, readdir, rename, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { diskError } from '../../src/objects/errors.ts';
import { objectPath } from '../../src/objects/keys.ts';
import { openLocalObjects } from '../../src/objects/local.ts';
import { parseRange } from '../../src/objects/range.ts';
import { SealpoolError } from '../../src/schema/problem.ts';
import { bytesOf, objectStoreConformance, putAll, putPart } from './conformance.ts';
import { type LocalServer, canMount, startLocalServer } from './local-server.ts';

const PART_BYTES = 256 * 1024;
const HOUR_MS = 3_600_000;

objectStoreConformance('local folder', async () => {
  const server = await startLocalServer({ partSizeBytes: PART_BYTES });
  return { store: server.store, partSizeBytes: PART_BYTES, close: server.close };
});

let server: LocalServer;
afterEach(async () => server?.close());

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

/** A PUT whose headers are exactly these (fetch adds its own content-length). */
function rawPut(url: string, headers: Record<string, string>, body: Buffer): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'PUT', headers }, (answer) => {
      let text = '';
      answer.on('data', (chunk) => (text += chunk));
      answer.on('end', () => resolve({ status: answer.statusCode as number, text }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

describe('signed URLs', () => {
  test('a URL holds for one object, one verb and its time', async () => {
    server = await startLocalServer();
    await server.store.put('a/one', once(bytesOf('one', 10)), 10);
    await server.store.put('a/two', once(bytesOf('two', 10)), 10);
    const url = await server.store.getUrl('a/one', HOUR_MS);
    const code = async (of: string, init?: RequestInit): Promise<unknown> => {
      const answer = await fetch(of, init);
      return answer.ok ? answer.status : [answer.status, ((await answer.json()) as { code: string }).code];
    };
    expect(await code(url)).toBe(200);
    expect(await code(url.replace('a/one', 'a/two'))).toEqual([403, 'url_refused']);
    expect(await code(url.replace(/expires=[0-9]+/, `expires=${server.clock.nowMs + 9 * HOUR_MS}`))).toEqual([403, 'url_refused']);
    expect(await code(url.replace(/signature=.*/, ''))).toEqual([403, 'url_refused']);
    const upload = await server.store.createUpload('a/three', 10, HOUR_MS);
    const part = upload.partUrls[0] as string;
    expect(await code(part.replace('/1?', '/2?'), { method: 'PUT', body: 'x' })).toEqual([403, 'url_refused']);
    expect(await code(part)).toEqual([403, 'url_refused']);
    server.clock.nowMs += HOUR_MS + 1;
    expect(await code(url)).toEqual([403, 'url_expired']);
    expect((await putPart(part, bytesOf('late', 10))).status).toBe(403);
  });

  test('the key is kept for the next start with mode 0600', async () => {
    server = await startLocalServer();
    const file = join(server.dataDir, 'objects.key');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const again = await openLocalObjects({ dataDir: server.dataDir, publicUrl: server.url, now: () => server.clock.nowMs });
    await again.put('a/one', once(bytesOf('one', 10)), 10);
    expect((await fetch(await again.getUrl('a/one', HOUR_MS))).status).toBe(200);
  });
});

describe('GET', () => {
  test('If-Match, ranges past the end, and resuming with the ETag', async () => {
    server = await startLocalServer();
    const bytes = bytesOf('get', 1000);
    await server.store.put('a/get', once(bytes), 1000);
    const url = await server.store.getUrl('a/get', HOUR_MS);
    const whole = await fetch(url);
    const etag = whole.headers.get('etag') as string;
    expect(whole.headers.get('content-length')).toBe('1000');
    const rest = await fetch(url, { headers: { range: 'bytes=600-', 'if-match': etag } });
    expect([rest.status, Buffer.from(await rest.arrayBuffer()).equals(bytes.subarray(600))]).toEqual([206, true]);
    expect((await fetch(url, { headers: { 'if-match': '"other"' } })).status).toBe(412);
    const past = await fetch(url, { headers: { range: 'bytes=1000-' } });
    expect([past.status, past.headers.get('content-range')]).toEqual([416, 'bytes */1000']);
  });

  test.each([
    ['bytes=0-0', { from: 0, to: 0 }],
    ['bytes=5-99', { from: 5, to: 9 }],
    ['bytes=-3', { from: 7, to: 9 }],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=10-', 'unsatisfiable'],
    ['bytes=4-2', 'whole'],
    ['bytes=0-1,4-5', 'whole'],
    ['lines=1-2', 'whole'],
    [undefined, 'whole'],
  ])('range %s of ten bytes', (header, wanted) => {
    expect(parseRange(header, 10)).toEqual(wanted);
  });
});

describe('PUT of a part', () => {
  test('needs its length and checksum, and no byte more than its limit', async () => {
    server = await startLocalServer({ partSizeBytes: 100 });
    const upload = await server.store.createUpload('a/put', 150, HOUR_MS);
    const [first, last] = upload.partUrls as [string, string];
    const sum = { 'x-amz-checksum-crc32': 'AAAAAA==' };
    expect(await rawPut(first, { ...sum, 'transfer-encoding': 'chunked' }, Buffer.alloc(9))).toMatchObject({
      status: 400,
      text: expect.stringContaining('length_required'),
    });
    expect(await rawPut(first, { 'content-length': '9' }, Buffer.alloc(9))).toMatchObject({
      status: 400,
      text: expect.stringContaining('checksum_required'),
    });
    expect((await putPart(first, bytesOf('x', 101))).status).toBe(413);
    expect((await putPart(last, bytesOf('x', 51))).status).toBe(413);
    expect((await putPart(last, bytesOf('x', 50))).status).toBe(200);
    expect((await readdir(server.store.uploads.folder(upload.uploadId))).filter((name) => name.startsWith('receiving'))).toEqual([]);
  });

  test('a large body that is refused still gets its answer, not a broken connection', async () => {
    server = await startLocalServer({ partSizeBytes: 2 ** 25 });
    const upload = await server.store.createUpload('a/large', 2 ** 25, HOUR_MS);
    await server.store.abortUpload('a/large', upload.uploadId);
    const answer = await putPart(upload.partUrls[0] as string, Buffer.alloc(2 ** 25));
    expect([answer.status, await answer.json()]).toEqual([404, expect.objectContaining({ code: 'no_such_upload' })]);
  });

  test('a connection that breaks leaves nothing, and the part can be sent again', async () => {
    server = await startLocalServer();
    const upload = await server.store.createUpload('a/broken', 1000, HOUR_MS);
    const url = upload.partUrls[0] as string;
    const folder = server.store.uploads.folder(upload.uploadId);
    await new Promise<void>((resolve) => {
      const sent = request(url, { method: 'PUT', headers: { 'content-length': '1000', 'x-amz-checksum-crc32': 'AAAAAA==' } });
      sent.on('error', () => resolve());
      sent.write(Buffer.alloc(400));
      const cut = async (): Promise<void> => {
        while (!(await readdir(folder)).some((name) => name.startsWith('receiving'))) await new Promise(setImmediate);
        sent.destroy();
        resolve();
      };
      void cut();
    });
    await expect.poll(() => readdir(folder), { timeout: 15_000 }).toEqual(['upload.json']);
    const bytes = bytesOf('whole', 1000);
    await server.store.completeUpload('a/broken', upload.uploadId, await putAll(upload, bytes), 1000);
  });

  test('a disk without room is refused with the sentence, and the same part is taken later', async () => {
    server = await startLocalServer({ minFreeBytes: Number.MAX_SAFE_INTEGER });
    const upload = await server.store.createUpload('a/full', 10, HOUR_MS);
    const answer = await putPart(upload.partUrls[0] as string, bytesOf('full', 10));
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ code: 'storage_full', detail: expect.stringContaining('free space there') });
    await expect(server.store.put('a/put', once(bytesOf('full', 10)), 10)).rejects.toMatchObject({ code: 'storage_full' });
  });

  test.skipIf(!canMount)('a disk that fills up during the PUT: refused, nothing left, and a smaller one fits', async () => {
    server = await startLocalServer({ diskKiB: 512 });
    const upload = await server.store.createUpload('a/full', 2 ** 20, HOUR_MS);
    const folder = server.store.uploads.folder(upload.uploadId);
    const answer = await putPart(upload.partUrls[0] as string, bytesOf('full', 2 ** 20));
    expect([answer.status, await answer.json()]).toEqual([503, expect.objectContaining({ code: 'storage_full' })]);
    expect(await readdir(folder)).toEqual(['upload.json']);
    await expect(server.store.put('a/put', once(bytesOf('full', 2 ** 20)), 2 ** 20)).rejects.toMatchObject({ code: 'storage_full' });
    const bytes = bytesOf('small', 100_000);
    await server.store.completeUpload('a/full', upload.uploadId, await putAll(upload, bytes), bytes.length);
  });

  test('a second PUT of a part cuts off one that hangs, so that a part takes its room once', async () => {
    server = await startLocalServer();
    const upload = await server.store.createUpload('a/hung', 1000, HOUR_MS);
    const folder = server.store.uploads.folder(upload.uploadId);
    const hung = new Promise<string>((resolve) => {
      const sent = request(
        upload.partUrls[0] as string,
        { method: 'PUT', headers: { 'content-length': '1000', 'x-amz-checksum-crc32': 'AAAAAA==' } },
        (answer) => resolve(String(answer.statusCode)),
      );
      sent.on('error', (error) => resolve(error.message));
      sent.write(Buffer.alloc(400));
    });
    await expect.poll(() => readdir(folder)).toHaveLength(2);
    const parts = await putAll(upload, bytesOf('whole', 1000));
    expect(await hung).toMatch(/409|ECONNRESET|hang up/);
    await server.store.completeUpload('a/hung', upload.uploadId, parts, 1000);
  });

  test("the kernel's own ENOSPC becomes the same refusal", async () => {
    const full = await writeFile('/dev/full', 'x').then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(diskError(full, '/data')).toMatchObject({ code: 'storage_full', status: 503 });
  });
});

describe('what stays after a crash', () => {
  test('complete after a crash between linking the object and marking the upload', async () => {
    server = await startLocalServer();
    const upload = await server.store.createUpload('a/crash', 10, HOUR_MS);
    const parts = await putAll(upload, bytesOf('crash', 10));
    await server.store.completeUpload('a/crash', upload.uploadId, parts, 10);
    // Put the folder back as it is in that moment: object linked, upload not yet marked.
    const [open, done] = [server.store.uploads.folder(upload.uploadId), server.store.uploads.folder(upload.uploadId, true)];
    await rename(done, open);
    await link(objectPath(join(server.dataDir, 'objects'), 'a/crash'), join(open, 'whole'));
    await server.store.completeUpload('a/crash', upload.uploadId, parts, 10);
    expect(await readdir(done)).toEqual(['upload.json']);
  });

  test('uploads whose URLs ran out a day ago are swept at the start, newer ones are not', async () => {
    server = await startLocalServer();
    const old = await server.store.createUpload('a/old', 10, HOUR_MS);
    server.clock.nowMs += 24 * HOUR_MS;
    const young = await server.store.createUpload('a/young', 10, HOUR_MS);
    server.clock.nowMs += 2 * HOUR_MS;
    await mkdir(join(server.dataDir, 'uploads', 'put-half'), { recursive: true });
    await openLocalObjects({ dataDir: server.dataDir, publicUrl: server.url, now: () => server.clock.nowMs });
    expect(await readdir(join(server.dataDir, 'uploads'))).toEqual([young.uploadId]);
    expect(old.uploadId).not.toBe(young.uploadId);
  });
});

describe('keys', () => {
  test.each(['../x', 'a/../b', '/etc/passwd', 'a//b', 'a/', '', '.hidden', 'a\0b', 'a/.', 'x'.repeat(600), '-/uploads', 'a\\b', 'a%2fb'])(
    '%j is refused',
    async (key) => {
      expect(() => objectPath('/data/objects', key)).toThrow(SealpoolError);
    },
  );
});
