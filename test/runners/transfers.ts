/**
 * A suite: the agent's transfers with URLs of a real store, behind a proxy that breaks what passes: only what broke is sent again,
 * and the bytes are counted.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { download } from '../../src/runners/download.ts';
import { FreshUrls } from '../../src/runners/fresh-urls.ts';
import type { TransferOptions } from '../../src/runners/transfer-errors.ts';
import { type Uploaded, upload } from '../../src/runners/upload.ts';
import type { ObjectStore, OpenedUpload } from '../../src/scheduler/ports.ts';
import { type Manifest, manifestOf } from '../../src/schema/manifest.ts';
import type { OutputSlot } from '../../src/schema/runner.ts';
import { bytesOf } from '../objects/conformance.ts';
import { type Fault, FaultyProxy, type Passed, partOf } from '../objects/faulty-proxy.ts';
import { startLocalServer } from '../objects/local-server.ts';
import { LEAST_PART_BYTES as PART, SERVER_HOOK_MS, type startSeaweedfs } from '../objects/s3-servers.ts';
import { openStore } from '../objects/s3-store.ts';

const HOUR_MS = 3_600_000;
const PARTS = 6;
const bytes = bytesOf('transfer', 5 * PART + 1234);
const hash = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const sums = Array.from({ length: PARTS }, (_, at) => crc32(bytes.subarray(at * PART, (at + 1) * PART)));
const manifest = manifestOf(PART, sums);
/** Bytes that may be under way in both directions when a connection breaks. */
const UNDER_WAY = 4 * 2 ** 20;

/**
 * `toProxy` makes a URL of the store one through the proxy, where it is none already; `pass` lets time pass there, where that does
 * not by itself. `refusalTries`: after so many tries a refusal of a part is heard.
 */
export type Backend = {
  refusalTries: number;
  store: ObjectStore;
  proxy: FaultyProxy;
  toProxy(url: string): string;
  pass(ms: number): void;
  close(): Promise<void>;
};

/** A server of S3. Some refuse a part and close in the middle of its body, so that the sender hears of it at the next try. */
export async function s3Backend(start: typeof startSeaweedfs, refusalTries = 1): Promise<Backend> {
  const server = await start();
  const proxy = await FaultyProxy.start(server.endpoint);
  const store = openStore(proxy.url);
  const close = async (): Promise<void> => {
    store.close();
    await proxy.close();
    await server.close();
  };
  return { refusalTries, store, proxy, toProxy: (url) => url, pass: () => undefined, close };
}

/** The embedded store. */
export async function localBackend(): Promise<Backend> {
  const server = await startLocalServer({ partSizeBytes: PART });
  const proxy = await FaultyProxy.start(server.url);
  const close = async (): Promise<void> => {
    await proxy.close();
    await server.close();
  };
  return {
    refusalTries: 1,
    store: server.store,
    proxy,
    toProxy: (url) => url.replace(server.url, proxy.url),
    pass: (ms) => void (server.clock.nowMs += ms),
    close,
  };
}

/** Tens of MiB each, on a machine that does other things too: with 90 s for a test. */
export function transfers(name: string, start: () => Promise<Backend>): void {
  describe(`transfers: ${name}`, () => {
    let backend: Backend;
    let dir: string;
    let names = 0;
    beforeAll(async () => {
      backend = await start();
    }, SERVER_HOOK_MS);
    beforeEach(() => {
      dir = mkdtempSync(join(tmpdir(), 'transfer-'));
      writeFileSync(join(dir, 'file'), bytes);
    });
    afterEach(() => {
      backend?.proxy.reset();
      rmSync(dir, { recursive: true, force: true });
    });
    afterAll(async () => backend?.close());

    const options = (more: Partial<TransferOptions> = {}): TransferOptions => ({
      signal: new AbortController().signal,
      patienceMs: 60_000,
      ...more,
    });

    type Opened = { readonly opened: OpenedUpload; readonly slot: OutputSlot };

    async function openUpload(ttlMs = HOUR_MS): Promise<Opened> {
      const key = `transfer/${names++}`;
      const { uploadId, partSizeBytes, partUrls, checksum } = await backend.store.createUpload(key, bytes.length, ttlMs);
      const kind = checksum === undefined ? {} : { checksum };
      const urls = partUrls.map(backend.toProxy);
      const slot = { name: 'sealed', maxSizeBytes: String(bytes.length), partSizeBytes, partUrls: urls, required: true, ...kind };
      return { opened: { key, uploadId, maxSizeBytes: bytes.length, exactly: false }, slot };
    }

    async function send({ opened, slot }: Opened, more: Partial<TransferOptions> = {}): Promise<Uploaded> {
      const uploaded = await upload(slot, { path: join(dir, 'file'), sizeBytes: bytes.length }, options(more));
      await backend.store.completeUpload(opened.key, opened.uploadId, uploaded.parts, bytes.length);
      return uploaded;
    }

    async function stored(key: string): Promise<Buffer> {
      return Buffer.from(await (await fetch(await backend.store.getUrl(key, HOUR_MS))).arrayBuffer());
    }

    const sending = (about: Passed): boolean => partOf(about) !== undefined;
    const getting = (about: Passed): boolean => about.method === 'GET' && about.range !== undefined;
    const part = (about: Passed): number => Math.floor(Number(/=([0-9]+)-/.exec(about.range ?? '')?.[1]) / PART) + 1;

    describe('upload', () => {
      test('of six parts five break, each in its own way: they are sent again, and no other; the manifest is right', async () => {
        const opened = await openUpload();
        const first: Record<string, Fault> = {
          1: { kind: 'break-request', afterBytes: PART / 2 },
          2: { kind: 'status', status: 503 },
          3: { kind: 'flip-request', atByte: 4_000_000 },
          4: { kind: 'lose-answer' },
          6: { kind: 'status', status: 500 },
        };
        backend.proxy.fault = (about, time) => {
          const number = partOf(about);
          if (number === undefined) return undefined;
          return time === 1 || (number === '2' && time === 2) ? first[number] : undefined;
        };
        expect((await send(opened)).manifest).toEqual(manifest);
        expect(backend.proxy.partsSent()).toEqual({ 1: 2, 2: 3, 3: 2, 4: 2, 5: 1, 6: 2 });
        const again = backend.proxy.bytes(sending).sent - bytes.length;
        // Half of part 1 or somewhat more, part 2 twice, parts 3 and 4 once, and the little last one.
        expect(again).toBeGreaterThan(4 * PART);
        expect(again).toBeLessThan(4.5 * PART + 1234 + UNDER_WAY);
        // It was the server that found it.
        expect(backend.proxy.passed.find(({ fault }) => fault === 'flip-request')?.status).toBeOneOf([400, 422]);
        expect((await stored(opened.opened.key)).equals(bytes)).toBe(true);
      });

      test('a URL that ran out, or was tampered with, ends it at once with what to do, and tells no signature', async () => {
        const { slot } = await openUpload(1000);
        const put = async (): Promise<number> => (await fetch(slot.partUrls[0] as string, { method: 'PUT', body: 'x' })).status;
        const tampered = (await openUpload()).slot.partUrls.map((url) => url.replace(/(ignature=.{5})./, '$1_'));
        backend.pass(1_001);
        await expect.poll(put, { timeout: 30_000 }).toBe(403);
        for (const urls of [slot.partUrls, tampered]) {
          backend.proxy.reset();
          const failed: unknown = await upload(
            { ...slot, partUrls: urls },
            { path: join(dir, 'file'), sizeBytes: bytes.length },
            options(),
          ).catch((error: unknown) => error);
          expect(failed).toMatchObject({ code: 'transfer_failed', message: expect.stringMatching(/403 \(.*\).*new URLs/) });
          expect(String((failed as Error).message)).not.toMatch(/X-Amz|signature=/);
          expect(backend.proxy.passed.length).toBeLessThanOrEqual(4 * backend.refusalTries);
        }
      });

      test('URLs that run out on the way are replaced: it goes on, sends nothing that was there again, and is whole', async () => {
        const opened = await openUpload(1000);
        backend.pass(1_001);
        await expect
          .poll(async () => (await fetch(opened.slot.partUrls[0] as string, { method: 'PUT', body: 'x' })).status, { timeout: 30_000 })
          .toBe(403);
        backend.proxy.reset();
        let asked = 0;
        // The agent believes them to be good: its clock is not the store's.
        const urls: FreshUrls = new FreshUrls(
          HOUR_MS,
          () => void renew(),
          () => PARTS,
        );
        const renew = async (): Promise<void> => {
          const wanted = urls.wanted();
          if (wanted === undefined) return;
          asked += 1;
          const numbers = wanted.parts.flatMap((one) => one.numbers);
          const renewed = await backend.store.partUrls(opened.opened, numbers, HOUR_MS);
          urls.take({ inputs: [], parts: renewed.map(({ number, url }) => ({ name: 'sealed', part: number, url: backend.toProxy(url) })) });
        };
        await send(opened, { urls });
        expect((await stored(opened.opened.key)).equals(bytes)).toBe(true);
        expect(asked).toBeGreaterThan(0);
        // Four lanes met a dead URL each; the parts after them had new ones at once.
        const good = backend.proxy.passed.filter((about) => sending(about) && about.status === 200);
        expect(good.map(partOf).sort()).toEqual(['1', '2', '3', '4', '5', '6']);
        expect(backend.proxy.passed.filter((about) => sending(about) && about.status !== 200).length).toBeLessThanOrEqual(
          4 * backend.refusalTries,
        );
      });

      test('new URLs that are refused as well are no matter of age: it ends', async () => {
        const { slot } = await openUpload();
        const bad = slot.partUrls.map((url) => url.replace(/(ignature=.{5})./, '$1_'));
        const urls: FreshUrls = new FreshUrls(
          HOUR_MS,
          () => {
            const numbers = urls.wanted()?.parts.flatMap((one) => one.numbers) ?? [];
            const parts = numbers.map((number, at) => ({
              name: 'sealed',
              part: number,
              url: `${bad[number - 1]}&n=${at}${Math.random()}`,
            }));
            urls.take({ inputs: [], parts });
          },
          () => PARTS,
        );
        const source = { path: join(dir, 'file'), sizeBytes: bytes.length };
        await expect(upload({ ...slot, partUrls: bad }, source, options({ urls }))).rejects.toMatchObject({ code: 'transfer_failed' });
      });

      test('a file that changed after its hash was computed is not sent as that', async () => {
        const { ctimeMs: changedMs } = statSync(join(dir, 'file'));
        const source = { path: join(dir, 'file'), sizeBytes: bytes.length, changedMs };
        const changed = { code: 'internal', message: expect.stringContaining('changed after its hash') };
        // While it is sent: it grows when its last part is on the way.
        const { slot } = await openUpload();
        backend.proxy.fault = (about, time) => {
          if (partOf(about) === '6' && time === 1) appendFileSync(join(dir, 'file'), 'x');
          return undefined;
        };
        await expect(upload(slot, source, options())).rejects.toMatchObject(changed);
        // And before.
        backend.proxy.reset();
        await expect(upload(slot, source, options())).rejects.toMatchObject(changed);
        expect(backend.proxy.passed).toEqual([]);
      });

      test('a byte that changes between the checksum of a part and its sending is found before the part is there', async () => {
        const opened = await openUpload();
        // The first try breaks, and a byte changes before the second one.
        backend.proxy.fault = (about, time) => {
          if (partOf(about) !== '2' || time > 1) return undefined;
          const file = openSync(join(dir, 'file'), 'r+');
          writeSync(file, Buffer.of((bytes[2 * PART - 1] as number) ^ 1), 0, 1, 2 * PART - 1);
          closeSync(file);
          return { kind: 'status', status: 503 };
        };
        const source = { path: join(dir, 'file'), sizeBytes: bytes.length };
        const sent = upload(opened.slot, source, options());
        await expect(sent).rejects.toMatchObject({ code: 'internal', message: expect.stringContaining('changed after its hash') });
      });
    });

    describe.each([0, 2])('download in %i threads of its own', (threads) => {
      let key: string;
      beforeAll(async () => {
        key = `transfer/stored/${threads}`;
        await backend.store.put(
          key,
          (async function* () {
            yield bytes;
          })(),
          bytes.length,
        );
      }, SERVER_HOOK_MS);

      const url = async (ttlMs = HOUR_MS, of = key): Promise<string> => backend.toProxy(await backend.store.getUrl(of, ttlMs));
      const target = (): string => join(dir, 'in/sealed');

      async function fetchIt(from: string, more: Partial<TransferOptions & { manifest: Manifest | undefined }> = {}): Promise<Buffer> {
        const { manifest: given, ...rest } = { manifest, ...more };
        const input = {
          name: 'sealed',
          url: from,
          sizeBytes: String(bytes.length),
          hash,
          ...(given === undefined ? {} : { manifest: given }),
        };
        await download(input, target(), options({ threads, ...rest }));
        return readFileSync(target());
      }

      /** Requests by part, and bytes beyond the file itself. */
      const again = (): { counts: number[]; extra: number } => ({
        counts: Array.from({ length: PARTS }, (_, at) => backend.proxy.passed.filter((one) => getting(one) && part(one) === at + 1).length),
        extra: backend.proxy.bytes(getting).got - bytes.length,
      });

      test('of six parts five break, each in its own way: what broke is fetched again, and nothing else', async () => {
        const from = await url();
        const seen = new Map<number, number>();
        const first: Record<number, Fault> = {
          1: { kind: 'status', status: 503 },
          2: { kind: 'break-answer', afterBytes: PART / 2 },
          3: { kind: 'flip-answer', atByte: 4_000_000 },
          4: { kind: 'lose-answer' },
          5: { kind: 'truncate-answer', afterBytes: PART / 4 },
        };
        backend.proxy.fault = (about) => {
          const number = part(about);
          seen.set(number, (seen.get(number) ?? 0) + 1);
          return seen.get(number) === 1 ? first[number] : undefined;
        };
        expect((await fetchIt(from)).equals(bytes)).toBe(true);
        const { counts, extra } = again();
        expect(counts).toEqual([2, 2, 2, 2, 2, 1]);
        // The damaged part once more; of the broken and the cut off one only what was missing.
        expect(extra).toBeGreaterThanOrEqual(PART);
        expect(extra).toBeLessThan(PART + UNDER_WAY);
        // Parts of which something came name the object that they go on with.
        const guarded = backend.proxy.passed.filter(
          (one, nth, all) => [2, 3, 5].includes(part(one)) && all.findIndex((other) => part(other) === part(one)) < nth,
        );
        expect(guarded).toHaveLength(3);
        expect(guarded.every(({ ifMatch }) => ifMatch !== undefined)).toBe(true);
      });

      test('an agent that starts anew fetches only the parts that are missing', async () => {
        const from = await url();
        const stop = new AbortController();
        const never = new Promise(() => undefined);
        backend.proxy.fault = (about) => (part(about) >= 4 ? { kind: 'hold', until: never } : undefined);
        const broken = fetchIt(from, { signal: stop.signal });
        const journal = (): string[] => readFileSync(`${target()}.journal`, 'utf8').split('\n').slice(1, -1);
        await expect.poll(journal, { timeout: 30_000 }).toHaveLength(3);
        stop.abort(new Error('the agent ends'));
        await expect(broken).rejects.toThrow('the agent ends');
        backend.proxy.reset();
        expect((await fetchIt(from)).equals(bytes)).toBe(true);
        expect(again()).toEqual({ counts: [0, 0, 0, 1, 1, 1], extra: -3 * PART });
      });

      test('URLs that run out on the way are replaced', async () => {
        const ended = await url(1000);
        backend.pass(1_001);
        await expect.poll(async () => (await fetch(ended)).status, { timeout: 30_000 }).toBe(403);
        backend.proxy.reset();
        const urls: FreshUrls = new FreshUrls(
          HOUR_MS,
          () => void url().then((fresh) => urls.take({ inputs: [{ name: 'sealed', url: fresh }], parts: [] })),
          () => 0,
        );
        expect((await fetchIt(ended, { urls })).equals(bytes)).toBe(true);
        expect(backend.proxy.passed.filter(({ status }) => status === 403).length).toBeLessThanOrEqual(4);
      });

      test('without a manifest it is fetched in ranges as well', async () => {
        backend.proxy.fault = (_about, time) => (time === 1 ? { kind: 'break-answer', afterBytes: PART } : undefined);
        expect((await fetchIt(await url(), { manifest: undefined })).equals(bytes)).toBe(true);
        expect(again().extra).toBeLessThan(UNDER_WAY);
      });

      test('tampered, of another object, or gone', async () => {
        const from = await url();
        await expect(fetchIt(from.replace('stored', 'others'))).rejects.toMatchObject({ code: 'transfer_failed' });
        await expect(fetchIt(from.replace(/(ignature=.{5})./, '$1_'))).rejects.toMatchObject({ code: 'transfer_failed' });
        await expect(fetchIt(await url(HOUR_MS, 'transfer/never'))).rejects.toMatchObject({ code: 'input_missing', input: 'sealed' });
      });
    });
  });
}
