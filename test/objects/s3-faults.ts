/** A suite: the S3 adapter against a real server behind a proxy that breaks what passes: lost answers, restarts, refusals, and what its URLs allow. */
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { checkBucket } from '../../src/objects/s3-check.ts';
import type { S3Objects } from '../../src/objects/s3.ts';
import { SealpoolError } from '../../src/schema/problem.ts';
import { bytesOf, putAll, putPart } from './conformance.ts';
import { FaultyProxy } from './faulty-proxy.ts';
import { BUCKET, LEAST_PART_BYTES, SECRET_KEY, SERVER_HOOK_MS, type S3Server, type startSeaweedfs } from './s3-servers.ts';
import { openStore, optionsFor } from './s3-store.ts';

const HOUR_MS = 3_600_000;

const isComplete = ({ method, query }: { method: string; query: URLSearchParams }): boolean => method === 'POST' && query.has('uploadId');

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

/** Tens of MiB each, on a machine that does other things too: with 90 s for a test. */
export function s3Faults(name: string, start: typeof startSeaweedfs): void {
  describe(`S3 behind a proxy that breaks what passes: ${name}`, () => {
    let server: S3Server;
    let proxy: FaultyProxy;
    let store: S3Objects;
    beforeAll(async () => {
      server = await start();
      proxy = await FaultyProxy.start(server.endpoint);
      store = openStore(proxy.url);
    }, SERVER_HOOK_MS);
    afterEach(() => proxy?.reset());
    afterAll(async () => {
      store?.close();
      await proxy?.close();
      await server?.close();
    });

    async function read(key: string): Promise<Buffer> {
      return Buffer.from(await (await fetch(await store.getUrl(key, HOUR_MS))).arrayBuffer());
    }

    async function openUploads(): Promise<number> {
      return ((await server.client.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }))).Uploads ?? []).length;
    }

    describe('completing', () => {
      test.each(['this process asks again', 'another process asks again'])(
        'the answer is lost and %s: the object is there once, whole',
        async (who) => {
          const key = `lost/${who === 'this process asks again' ? 1 : 2}`;
          const bytes = bytesOf(key, LEAST_PART_BYTES + 7);
          const upload = await store.createUpload(key, bytes.length, HOUR_MS);
          const parts = await putAll(upload, bytes);
          proxy.fault = (about) => (isComplete(about) ? { kind: 'lose-answer' } : undefined);
          // The client's own retries find the object; where they all are lost, the next report does.
          const first = store.completeUpload(key, upload.uploadId, parts, bytes.length);
          if (who === 'this process asks again') await first;
          else {
            await first.catch(() => undefined);
            proxy.fault = () => undefined;
            const again = openStore(proxy.url);
            await again.completeUpload(key, upload.uploadId, parts, bytes.length);
            again.close();
          }
          expect(proxy.passed.filter(isComplete)[0]).toMatchObject({ fault: 'lose-answer', status: 200 });
          expect((await read(key)).equals(bytes)).toBe(true);
          await expect(store.createUpload(key, 10, HOUR_MS)).rejects.toMatchObject({ code: 'object_exists' });
        },
      );

      test('a process that begins anew between the parts and their completion goes on', async () => {
        const bytes = bytesOf('anew', LEAST_PART_BYTES + 7);
        const before = openStore(proxy.url);
        const upload = await before.createUpload('anew', bytes.length, HOUR_MS);
        const first = await putPart(upload.partUrls[0] as string, bytes.subarray(0, LEAST_PART_BYTES), upload.checksum);
        before.close();
        // URLs outlive who signed them.
        const second = await putPart(upload.partUrls[1] as string, bytes.subarray(LEAST_PART_BYTES), upload.checksum);
        const parts = [first, second].map((answer, at) => ({ number: at + 1, etag: answer.headers.get('etag') as string }));
        await store.completeUpload('anew', upload.uploadId, parts, bytes.length);
        expect((await read('anew')).equals(bytes)).toBe(true);
      });

      test('a list of parts and a look-up that lag behind: asked again, and what is there counts', async () => {
        const bytes = bytesOf('stale', LEAST_PART_BYTES + 7);
        // The look-up before it is opened is what later ones are answered with.
        const upload = await store.createUpload('stale', bytes.length, HOUR_MS);
        const first = await putPart(upload.partUrls[0] as string, bytes.subarray(0, LEAST_PART_BYTES), upload.checksum);
        const one = { number: 1, etag: first.headers.get('etag') as string };
        // So is this list, in which the second part is not yet.
        await expect(store.completeUpload('stale', upload.uploadId, [one], bytes.length)).rejects.toMatchObject({ code: 'size_differs' });
        const second = await putPart(upload.partUrls[1] as string, bytes.subarray(LEAST_PART_BYTES), upload.checksum);
        const parts = [one, { number: 2, etag: second.headers.get('etag') as string }];
        let lists = 0;
        let looks = 0;
        proxy.fault = ({ method, query }) => {
          if (method === 'GET' && query.has('uploadId')) return ++lists <= 2 ? { kind: 'stale' } : undefined;
          if (method === 'HEAD') return ++looks <= 2 ? { kind: 'stale' } : undefined;
          return undefined;
        };
        await store.completeUpload('stale', upload.uploadId, parts, bytes.length);
        expect([lists, looks]).toEqual([3, 3]);
        expect((await read('stale')).equals(bytes)).toBe(true);
      });

      test('an object that is not seen long after its completion is no fault of the runner: asked again later, it is there', async () => {
        const upload = await store.createUpload('unseen', 100, HOUR_MS);
        const parts = await putAll(upload, bytesOf('unseen', 100));
        proxy.fault = ({ method }) => (method === 'HEAD' ? { kind: 'stale' } : undefined);
        await expect(store.completeUpload('unseen', upload.uploadId, parts, 100)).rejects.toMatchObject({ status: 503 });
        proxy.reset();
        await store.completeUpload('unseen', upload.uploadId, parts, 100);
        expect(await read('unseen')).toEqual(bytesOf('unseen', 100));
      });

      test('a stranger under the key is never taken for the upload, nor replaced', async () => {
        const bytes = bytesOf('mine', 100);
        const upload = await store.createUpload('stranger', 100, HOUR_MS);
        const parts = await putAll(upload, bytes);
        const theirs = bytesOf('theirs', 100);
        await store.put('stranger', once(theirs), 100);
        await expect(store.completeUpload('stranger', upload.uploadId, parts, 100)).rejects.toMatchObject({ code: 'object_exists' });
        expect((await read('stranger')).equals(theirs)).toBe(true);
        await store.abortUpload('stranger', upload.uploadId);
      });

      test('an endpoint that fails is no fault of the runner: 5xx, then the same call succeeds', async () => {
        const upload = await store.createUpload('away', 100, HOUR_MS);
        const parts = await putAll(upload, bytesOf('away', 100));
        for (const fault of [
          { kind: 'status', status: 503 },
          { kind: 'break-answer', afterBytes: 0 },
        ] as const) {
          proxy.fault = ({ method }) => (method === 'PUT' ? undefined : fault);
          const refused: unknown = await store.completeUpload('away', upload.uploadId, parts, 100).catch((error: unknown) => error);
          expect(refused).toMatchObject({ status: 503, code: 'object_store_unavailable' });
        }
        proxy.reset();
        await store.completeUpload('away', upload.uploadId, parts, 100);
      });
    });

    describe('put', () => {
      test('a large stream goes up in parts, with at most two of them in memory, and is refused above its limit', async () => {
        const PART = 16 * 2 ** 20;
        const bytes = bytesOf('stream', 3 * PART + 11);
        let pulled = 0;
        const mostAhead: number[] = [];
        const stream = async function* (): AsyncIterable<Uint8Array> {
          for (let at = 0; at < bytes.length; at += 2 ** 20) {
            yield bytes.subarray(at, at + 2 ** 20);
            pulled = at + 2 ** 20;
          }
        };
        proxy.fault = ({ method, query }) => {
          const part = Number(query.get('partNumber'));
          if (method === 'PUT' && part > 0) mostAhead.push(pulled - (part - 1) * PART);
          return undefined;
        };
        expect((await store.put('put/large', stream(), bytes.length)).sizeBytes).toBe(bytes.length);
        expect(mostAhead).toHaveLength(4);
        expect(Math.max(...mostAhead)).toBeLessThanOrEqual(2 * PART);
        expect((await read('put/large')).equals(bytes)).toBe(true);
        const before = await openUploads();
        await expect(store.put('put/larger', stream(), bytes.length - 1)).rejects.toMatchObject({ code: 'too_large' });
        expect([await store.head('put/larger'), await openUploads()]).toEqual([undefined, before]);
      });

      test.each([
        ['one request', 1000],
        ['parts', 16 * 2 ** 20 + 1],
      ])('a lost answer to %s is no other object', async (name, sizeBytes) => {
        const bytes = bytesOf(name, sizeBytes);
        proxy.fault = ({ method, query }, time) => {
          const last = method === 'PUT' ? !query.has('uploadId') : query.has('uploadId') && method === 'POST';
          return last && time === 1 ? { kind: 'lose-answer' } : undefined;
        };
        const key = `put/lost-${sizeBytes}`;
        expect((await store.put(key, once(bytes), sizeBytes)).sizeBytes).toBe(sizeBytes);
        expect(proxy.passed.filter(({ fault }) => fault === 'lose-answer')).toHaveLength(1);
        expect((await read(key)).equals(bytes)).toBe(true);
      });
    });

    describe('URLs', () => {
      test('a part whose size is known takes no byte more and none less; the checksum is not all that is looked at', async () => {
        const bytes = bytesOf('exact', LEAST_PART_BYTES + 100);
        const upload = await store.createUpload('exact', bytes.length, HOUR_MS, true);
        const [first, last] = upload.partUrls as [string, string];
        for (const sizeBytes of [99, 101]) expect((await putPart(last, bytesOf('other', sizeBytes), upload.checksum)).status).toBe(403);
        expect((await putPart(first, bytes.subarray(0, 100), upload.checksum)).status).toBe(403);
        await store.completeUpload('exact', upload.uploadId, await putAll(upload, bytes), bytes.length);
        expect((await read('exact')).equals(bytes)).toBe(true);
      });

      test('one object, one part, one verb, until the time is over, and no key in it', async () => {
        await store.put('url/one', once(bytesOf('one', 10)), 10);
        await store.put('url/two', once(bytesOf('two', 10)), 10);
        const url = await store.getUrl('url/one', HOUR_MS);
        expect(url).not.toContain(encodeURIComponent(SECRET_KEY));
        expect((await fetch(url)).status).toBe(200);
        expect((await fetch(url.replace('url/one', 'url/two'))).status).toBe(403);
        expect((await fetch(url, { method: 'PUT', body: 'x' })).status).toBe(403);
        expect((await fetch(url, { method: 'DELETE' })).status).toBe(403);
        expect((await fetch(url.replace(/X-Amz-Expires=[0-9]+/, 'X-Amz-Expires=604800'))).status).toBe(403);
        const { partUrls } = await store.createUpload('url/three', 2 * LEAST_PART_BYTES, HOUR_MS);
        expect((await putPart((partUrls[0] as string).replace('partNumber=1', 'partNumber=2'), Buffer.alloc(1), 'md5')).status).toBe(403);
        const short = openStore(proxy.url, { urlTtlMs: 3000 });
        const ended = await short.getUrl('url/one', HOUR_MS);
        expect((await fetch(ended)).status).toBe(200);
        await expect.poll(async () => (await fetch(ended)).status, { timeout: 30_000 }).toBe(403);
        short.close();
      });
    });

    describe('listing and refusals', () => {
      test('a listing of more than a page is whole, each once', async () => {
        const keys = Array.from({ length: 1_010 }, (_, at) => `pages/${String(at).padStart(5, '0')}`);
        for (let at = 0; at < keys.length; at += 50)
          await Promise.all(keys.slice(at, at + 50).map((key) => store.put(key, once(Buffer.of(1)), 1)));
        const listed: string[] = [];
        for await (const { key } of store.list('pages/')) listed.push(key);
        expect(listed).toEqual(keys);
        expect(proxy.passed.filter(({ query }) => query.get('list-type') === '2').length).toBeGreaterThan(1);
      });

      test('wrong keys or a wrong bucket are our trouble, told without them, and no object is missing for that', async () => {
        const secretAccessKey = 'another/secret/that/is/not/right/0123456789';
        const wrong = openStore(proxy.url, { credentials: async () => ({ accessKeyId: 'AKIANOBODY', secretAccessKey }) });
        await expect(wrong.head('wrong')).rejects.toMatchObject({ status: 503 });
        const lost = openStore(proxy.url, { bucket: 'not-there' });
        await expect(lost.head('wrong')).rejects.toMatchObject({ status: 503 });
        lost.close();
        const refused = (await wrong.put('wrong', once(Buffer.of(1)), 1).catch((error: unknown) => error)) as SealpoolError;
        expect(refused).toMatchObject({ status: 503, code: 'object_store_refused' });
        expect(JSON.stringify([refused.message, refused.stack, refused.cause ?? null, { ...refused }])).not.toMatch(
          /AKIANOBODY|another\/secret|Signature=/,
        );
        wrong.close();
      });

      test('a start tells what is wrong with a bucket; one that is away may come back', async () => {
        const away: string[] = [];
        const check = (endpoint: string, more = {}): Promise<void> =>
          checkBucket(optionsFor(endpoint, more), (sentence) => away.push(sentence));
        await check(proxy.url);
        expect(await server.client.send(new ListMultipartUploadsCommand({ Bucket: BUCKET }))).toBeDefined();
        await expect(check(proxy.url, { bucket: 'not-there' })).rejects.toThrow(/no bucket not-there/);
        await expect(check(proxy.url, { credentials: async () => ({ accessKeyId: 'AKIANOBODY', secretAccessKey: 'x' }) })).rejects.toThrow(
          /refuses to let these keys/,
        );
        expect(away).toEqual([]);
        proxy.fault = () => ({ kind: 'status', status: 503 });
        await check(proxy.url);
        expect(away).toEqual([expect.stringMatching(/does not answer as it should \(.*503\)/)]);
        const gone = await FaultyProxy.start(server.endpoint);
        const { url } = gone;
        await gone.close();
        await check(url);
        expect(away[1]).toMatch(/ECONNREFUSED/);
      });

      test('an endpoint that ignores If-None-Match is refused', async () => {
        // As one answers that replaces.
        proxy.fault = ({ method }, time) => (method === 'PUT' && time === 2 ? { kind: 'status', status: 200 } : undefined);
        await expect(checkBucket(optionsFor(proxy.url), () => undefined)).rejects.toThrow(/If-None-Match/);
        proxy.reset();
        const left: string[] = [];
        for await (const { key } of store.list('probes/')) left.push(key);
        expect(left).toEqual([]);
      });
    });
  });
}
