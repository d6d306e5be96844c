/** What every object store must do: each implementation of the port runs this suite over its own URLs. */
import { createCipheriv, createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ListedUpload, ObjectStore, Upload } from '../../src/scheduler/ports.ts';

export type StoreUnderTest = {
  readonly store: ObjectStore;
  /** The part size that the store was asked to use, so that few bytes make several parts. */
  readonly partSizeBytes: number;
  close(): Promise<void>;
};

const HOUR_MS = 3_600_000;

/** Bytes that differ from seed to seed and do not repeat. */
export function bytesOf(seed: string, sizeBytes: number): Buffer {
  const key = createHash('sha256').update(seed).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(sizeBytes));
}

type Checksum = Upload['checksum'];

/** The header that an upload wants, for these bytes. */
function checksumHeader(checksum: Checksum, bytes: Buffer): Record<string, string> {
  if (checksum === 'md5') return { 'content-md5': createHash('md5').update(bytes).digest('base64') };
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(bytes));
  return { 'x-amz-checksum-crc32': sum.toString('base64') };
}

/** PUTs one part as a runner does. */
export async function putPart(url: string, bytes: Buffer, checksum?: Checksum): Promise<Response> {
  return fetch(url, { method: 'PUT', body: new Uint8Array(bytes), headers: checksumHeader(checksum, bytes) });
}

/** PUTs all parts of `bytes`; answers what the runner would report. */
export async function putAll(upload: Upload, bytes: Buffer): Promise<{ number: number; etag: string }[]> {
  const parts: { number: number; etag: string }[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += upload.partSizeBytes) {
    const answer = await putPart(upload.partUrls[parts.length] as string, bytes.subarray(at, at + upload.partSizeBytes), upload.checksum);
    expect(answer.status).toBe(200);
    parts.push({ number: parts.length + 1, etag: answer.headers.get('etag') as string });
  }
  return parts;
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

async function keysUnder(store: ObjectStore, prefix: string, after?: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix, after)) keys.push(key);
  return keys;
}

export function objectStoreConformance(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`object store conformance: ${name}`, () => {
    let under: StoreUnderTest;
    let store: ObjectStore;
    beforeAll(async () => {
      under = await make();
      store = under.store;
    });
    afterAll(async () => under.close());

    const uploaded = async (key: string, bytes: Buffer): Promise<void> => {
      const upload = await store.createUpload(key, Math.max(1, bytes.length), HOUR_MS);
      await store.completeUpload(key, upload.uploadId, await putAll(upload, bytes), bytes.length);
    };
    const read = async (key: string): Promise<Buffer> => Buffer.from(await (await fetch(await store.getUrl(key, HOUR_MS))).arrayBuffer());

    test.each([0, 1, 100])('a file of one part comes back the same: %i bytes', async (sizeBytes) => {
      const bytes = bytesOf('one', sizeBytes);
      await uploaded(`jobs/one/${sizeBytes}`, bytes);
      expect((await read(`jobs/one/${sizeBytes}`)).equals(bytes)).toBe(true);
      expect(await store.head(`jobs/one/${sizeBytes}`)).toEqual({ sizeBytes });
    });

    test('a file of several parts comes back the same, the last part shorter', async () => {
      const bytes = bytesOf('many', under.partSizeBytes * 3 + 17);
      await uploaded('jobs/many', bytes);
      expect((await read('jobs/many')).equals(bytes)).toBe(true);
    });

    test('complete is idempotent, and only for the same upload', async () => {
      const bytes = bytesOf('twice', 300);
      const upload = await store.createUpload('jobs/twice', 300, HOUR_MS);
      const second = await store.createUpload('jobs/twice', 300, HOUR_MS);
      const parts = await putAll(upload, bytes);
      const others = await putAll(second, bytesOf('other', 300));
      await store.completeUpload('jobs/twice', upload.uploadId, parts, 300);
      await store.completeUpload('jobs/twice', upload.uploadId, parts, 300);
      await expect(store.completeUpload('jobs/twice', second.uploadId, others, 300)).rejects.toThrow();
      expect((await read('jobs/twice')).equals(bytes)).toBe(true);
    });

    test('complete called again while it still copies: every call succeeds, and the object is whole', async () => {
      const bytes = bytesOf('at once', under.partSizeBytes * 8 + 17);
      const upload = await store.createUpload('jobs/at-once', bytes.length, HOUR_MS);
      const parts = await putAll(upload, bytes);
      const tries = await Promise.allSettled(
        Array.from({ length: 4 }, () => store.completeUpload('jobs/at-once', upload.uploadId, parts, bytes.length)),
      );
      expect(tries).toEqual(tries.map(() => ({ status: 'fulfilled', value: undefined })));
      expect((await read('jobs/at-once')).equals(bytes)).toBe(true);
    });

    test('a complete that is refused takes nothing from a right one beside it', async () => {
      const bytes = bytesOf('beside', under.partSizeBytes + 5);
      const upload = await store.createUpload('jobs/beside', bytes.length, HOUR_MS);
      const parts = await putAll(upload, bytes);
      const wrong = store.completeUpload('jobs/beside', upload.uploadId, parts, bytes.length + 1);
      const right = store.completeUpload('jobs/beside', upload.uploadId, parts, bytes.length);
      const late = store.completeUpload('jobs/beside', upload.uploadId, parts, bytes.length + 1);
      expect((await Promise.allSettled([wrong, right, late])).map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected']);
      expect((await read('jobs/beside')).equals(bytes)).toBe(true);
    });

    test('complete refuses another size, a missing part and a foreign ETag, and stores nothing', async () => {
      const bytes = bytesOf('strict', under.partSizeBytes + 5);
      const upload = await store.createUpload('jobs/strict', bytes.length, HOUR_MS);
      const parts = await putAll(upload, bytes);
      await expect(store.completeUpload('jobs/strict', upload.uploadId, parts, bytes.length + 1)).rejects.toThrow();
      await expect(store.completeUpload('jobs/strict', upload.uploadId, parts.slice(0, 1), bytes.length)).rejects.toThrow();
      await expect(
        store.completeUpload('jobs/strict', upload.uploadId, [{ number: 1, etag: '"00000000-9"' }, ...parts.slice(1)], bytes.length),
      ).rejects.toThrow();
      expect(await store.head('jobs/strict')).toBeUndefined();
      await store.completeUpload('jobs/strict', upload.uploadId, parts, bytes.length);
    });

    test('a part with a wrong checksum is refused', async () => {
      const upload = await store.createUpload('jobs/damaged', 64, HOUR_MS);
      const headers = checksumHeader(upload.checksum, bytesOf('other', 64));
      const put = (): Promise<Response> => fetch(upload.partUrls[0] as string, { method: 'PUT', body: new Uint8Array(64), headers });
      expect((await put()).status).toBeOneOf([400, 422]);
      // It was the checksum, and nothing else about the request.
      expect((await putPart(upload.partUrls[0] as string, Buffer.alloc(64), upload.checksum)).status).toBe(200);
    });

    test('a part can be sent again until complete; the last one counts', async () => {
      const upload = await store.createUpload('jobs/again', 64, HOUR_MS);
      await putAll(upload, bytesOf('first', 64));
      const parts = await putAll(upload, bytesOf('second', 64));
      await store.completeUpload('jobs/again', upload.uploadId, parts, 64);
      expect(await read('jobs/again')).toEqual(bytesOf('second', 64));
    });

    test('an aborted upload takes no part and cannot be completed; aborting twice is fine', async () => {
      const upload = await store.createUpload('jobs/aborted', 64, HOUR_MS);
      const parts = await putAll(upload, bytesOf('aborted', 64));
      await store.abortUpload('jobs/aborted', upload.uploadId);
      await store.abortUpload('jobs/aborted', upload.uploadId);
      expect((await putPart(upload.partUrls[0] as string, bytesOf('late', 64), upload.checksum)).status).toBe(404);
      await expect(store.completeUpload('jobs/aborted', upload.uploadId, parts, 64)).rejects.toThrow();
    });

    test('put answers size and hash, refuses an existing key and a body above its limit', async () => {
      const bytes = bytesOf('put', 1000);
      const hash = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      expect(await store.put('pieces/put', once(bytes), 1000)).toEqual({ sizeBytes: 1000, hash });
      await expect(store.put('pieces/put', once(bytesOf('other', 10)), 1000)).rejects.toThrow();
      await expect(store.put('pieces/large', once(bytes), 999)).rejects.toThrow();
      expect(await store.head('pieces/large')).toBeUndefined();
      expect(await read('pieces/put')).toEqual(bytes);
    });

    test('of puts of one key at once exactly one wins', async () => {
      const tries = await Promise.allSettled(
        Array.from({ length: 8 }, (_, at) => store.put('pieces/race', once(bytesOf(`race${at}`, 50)), 50)),
      );
      expect(tries.filter((one) => one.status === 'fulfilled')).toHaveLength(1);
    });

    test('a range gives just those bytes', async () => {
      const bytes = bytesOf('range', 500);
      await store.put('pieces/range', once(bytes), 500);
      const answer = await fetch(await store.getUrl('pieces/range', HOUR_MS), { headers: { range: 'bytes=100-199' } });
      expect(answer.status).toBe(206);
      expect(answer.headers.get('content-range')).toBe('bytes 100-199/500');
      expect(Buffer.from(await answer.arrayBuffer())).toEqual(bytes.subarray(100, 200));
    });

    test('list finds what a prefix names, in order, and delete takes it away', async () => {
      for (const key of ['list/a/1', 'list/a/2', 'list/ab', 'list/b']) await store.put(key, once(bytesOf(key, 10)), 10);
      expect(await keysUnder(store, 'list/a')).toEqual(['list/a/1', 'list/a/2', 'list/ab']);
      expect(await keysUnder(store, 'list/a/')).toEqual(['list/a/1', 'list/a/2']);
      await store.delete('list/a/1');
      await store.delete('list/a/1');
      expect(await keysUnder(store, 'list/')).toEqual(['list/a/2', 'list/ab', 'list/b']);
      expect((await fetch(await store.getUrl('list/a/1', HOUR_MS))).status).toBe(404);
    });

    test('a listing says sizes and times, and goes on after any key that it listed, also one that is gone', async () => {
      // Some stores sort by bytes, others folder by folder.
      const keys = ['after/a-b', 'after/a/1', 'after/a/2', 'after/a0', 'after/b/c/d'];
      for (const key of keys) await store.put(key, once(bytesOf(key, key.length)), key.length);
      for await (const { key, sizeBytes, madeMs } of store.list('after/')) {
        expect({ key, sizeBytes }).toEqual({ key, sizeBytes: key.length });
        expect(Math.abs(madeMs - Date.now())).toBeLessThan(300_000);
      }
      const listed = await keysUnder(store, 'after/');
      expect(listed.toSorted()).toEqual(keys);
      for (const [at, key] of listed.entries()) expect(await keysUnder(store, 'after/', key)).toEqual(listed.slice(at + 1));
      for (const [at, key] of listed.entries()) {
        await store.delete(key);
        expect(await keysUnder(store, 'after/', key)).toEqual(listed.slice(at + 1));
      }
    });

    test('uploads that nobody finished are listed with their sizes, and what is listed can be aborted', async () => {
      const listed = async (beforeMs = Number.POSITIVE_INFINITY): Promise<{ key: string; uploadId: string; sizeBytes: number }[]> => {
        const found: ListedUpload[] = [];
        for await (const upload of store.listUploads('left/', beforeMs)) found.push(upload);
        return found;
      };
      const [open, done, aborted] = [
        await store.createUpload('left/open/1', 64, HOUR_MS),
        await store.createUpload('left/done', 64, HOUR_MS),
        await store.createUpload('left/aborted', 64, HOUR_MS),
      ];
      await putAll(open, bytesOf('open', 64));
      await store.completeUpload('left/done', done.uploadId, await putAll(done, bytesOf('done', 64)), 64);
      await store.abortUpload('left/aborted', aborted.uploadId);
      const found = await listed();
      expect(found).toMatchObject([{ key: 'left/open/1', sizeBytes: 64 }]);
      expect(await listed(Date.now() - HOUR_MS)).toEqual([]);
      for (const { key, uploadId } of found) await store.abortUpload(key, uploadId);
      expect(await listed()).toEqual([]);
      expect((await putPart(open.partUrls[0] as string, bytesOf('late', 64), open.checksum)).status).toBe(404);
    });
  });
}
