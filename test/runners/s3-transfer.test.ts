/** The agent's transfers with URLs of a real S3 server, behind a proxy that breaks what passes: only what broke is sent again. */
import { createHash } from 'node:crypto';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { S3Objects } from '../../src/objects/s3.ts';
import { download } from '../../src/runners/download.ts';
import { upload } from '../../src/runners/upload.ts';
import type { OutputSlot } from '../../src/schema/runner.ts';
import { bytesOf } from '../objects/conformance.ts';
import { type Fault, FaultyProxy } from '../objects/faulty-proxy.ts';
import { HAS_SEAWEEDFS, LEAST_PART_BYTES as PART, SERVER_HOOK_MS, type S3Server, startSeaweedfs } from '../objects/s3-servers.ts';
import { openStore } from '../objects/s3-store.ts';

/** Tens of MiB each, on a machine that does other things too. */
vi.setConfig({ testTimeout: 90_000 });

const HOUR_MS = 3_600_000;
const bytes = bytesOf('transfer', 5 * PART + 1234);
const hash = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

let server: S3Server;
let proxy: FaultyProxy;
let store: S3Objects;
let dir: string;
let names = 0;
beforeAll(async () => {
  if (!HAS_SEAWEEDFS) return;
  server = await startSeaweedfs();
  proxy = await FaultyProxy.start(server.endpoint);
  store = openStore(proxy.url);
}, SERVER_HOOK_MS);
beforeEach(() => {
  proxy?.reset();
  dir = mkdtempSync(join(tmpdir(), 's3-transfer-'));
  writeFileSync(join(dir, 'file'), bytes);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));
afterAll(async () => {
  store?.close();
  await proxy?.close();
  await server?.close();
});

const options = (patienceMs = 60_000) => ({ signal: new AbortController().signal, patienceMs });

type Opened = { readonly key: string; readonly uploadId: string; readonly slot: OutputSlot };

async function open(ttlMs = HOUR_MS): Promise<Opened> {
  const key = `transfer/${names++}`;
  const { uploadId, partSizeBytes, partUrls, checksum } = await store.createUpload(key, bytes.length, ttlMs);
  const sums = checksum === undefined ? {} : { checksum };
  const slot = { name: 'sealed', maxSizeBytes: String(bytes.length), partSizeBytes, partUrls: [...partUrls], required: true, ...sums };
  return { key, uploadId, slot };
}

async function send({ key, uploadId, slot }: Opened): Promise<void> {
  const parts = await upload(slot, { path: join(dir, 'file'), sizeBytes: bytes.length }, options());
  await store.completeUpload(key, uploadId, parts, bytes.length);
}

async function fetchIt(url: string, patienceMs?: number): Promise<Buffer> {
  await download({ name: 'sealed', url, sizeBytes: String(bytes.length), hash }, join(dir, 'in/sealed'), options(patienceMs));
  return readFileSync(join(dir, 'in/sealed'));
}

describe.runIf(HAS_SEAWEEDFS)('upload', () => {
  test('of six parts five break, each in its own way: they are sent again, and no other', async () => {
    const opened = await open();
    const first: Record<string, Fault> = {
      1: { kind: 'break-request', afterBytes: PART / 2 },
      2: { kind: 'status', status: 503 },
      3: { kind: 'flip-request', atByte: 4_000_000 },
      4: { kind: 'lose-answer' },
      6: { kind: 'status', status: 500 },
    };
    proxy.fault = ({ method, query }, time) => {
      if (method !== 'PUT') return undefined;
      const part = query.get('partNumber') as string;
      return time === 1 || (part === '2' && time === 2) ? first[part] : undefined;
    };
    await send(opened);
    expect(proxy.partsSent()).toEqual({ 1: 2, 2: 3, 3: 2, 4: 2, 5: 1, 6: 2 });
    const flip = proxy.passed.find(({ fault }) => fault === 'flip-request');
    // It was the server that found it.
    expect(flip?.status).toBe(400);
    const stored = await fetch(await store.getUrl(opened.key, HOUR_MS));
    expect(Buffer.from(await stored.arrayBuffer()).equals(bytes)).toBe(true);
  });

  test('a URL that ran out, or was tampered with, ends it at once with what to do, and tells no signature', async () => {
    const opened = await open(1000);
    const tampered = (opened.slot.partUrls[0] as string).replace('partNumber=1', 'partNumber=2');
    await expect
      .poll(async () => (await fetch(opened.slot.partUrls[0] as string, { method: 'PUT', body: 'x' })).status, { timeout: 30_000 })
      .toBe(403);
    for (const slot of [opened.slot, { ...(await open()).slot, partUrls: opened.slot.partUrls.map(() => tampered) }]) {
      proxy.reset();
      const failed: unknown = await upload(slot, { path: join(dir, 'file'), sizeBytes: bytes.length }, options()).catch(
        (error: unknown) => error,
      );
      expect(failed).toMatchObject({
        code: 'transfer_failed',
        message: expect.stringMatching(/403 \((AccessDenied|SignatureDoesNotMatch|ExpiredToken)\).*new URLs/),
      });
      expect(String((failed as Error).message)).not.toContain('X-Amz');
      expect(proxy.passed.length).toBeLessThanOrEqual(4);
    }
  });

  test('a file that changed after its hash was computed is not sent as that', async () => {
    const { ctimeMs: changedMs } = statSync(join(dir, 'file'));
    const source = { path: join(dir, 'file'), sizeBytes: bytes.length, changedMs };
    const changed = { code: 'internal', message: expect.stringContaining('changed after its hash') };
    // While it is sent: it grows when its last part is on the way.
    const { slot } = await open();
    proxy.fault = ({ query }, time) => {
      if (query.get('partNumber') === '6' && time === 1) appendFileSync(join(dir, 'file'), 'x');
      return undefined;
    };
    await expect(upload(slot, source, options())).rejects.toMatchObject(changed);
    // And before.
    proxy.reset();
    await expect(upload(slot, source, options())).rejects.toMatchObject(changed);
    expect(proxy.passed).toEqual([]);
  });
});

describe.runIf(HAS_SEAWEEDFS)('download', () => {
  let url: string;
  beforeAll(async () => {
    if (!HAS_SEAWEEDFS) return;
    const key = 'transfer/stored';
    await store.put(
      key,
      (async function* () {
        yield bytes;
      })(),
      bytes.length,
    );
    url = await store.getUrl(key, HOUR_MS);
  });

  test(
    'breaks, 503s and a lost answer: it goes on where it was, of the same object, and fetches nothing twice',
    { timeout: 60_000 },
    async () => {
      const faults: Fault[] = [
        { kind: 'status', status: 503 },
        { kind: 'break-answer', afterBytes: PART },
        { kind: 'lose-answer' },
        { kind: 'break-answer', afterBytes: 2 * PART + 1 },
      ];
      proxy.fault = (_about, time) => faults[time - 1];
      expect((await fetchIt(url)).equals(bytes)).toBe(true);
      expect(proxy.passed).toHaveLength(5);
      const ranges = proxy.passed.map(({ range, ifMatch }) => [range, ifMatch]);
      expect(ranges.slice(2).every(([range, ifMatch]) => range !== undefined && ifMatch !== undefined)).toBe(true);
      // What was under way when a connection broke may be lost with it.
      const got = proxy.passed.reduce((sum, { answeredBytes }) => sum + answeredBytes, 0);
      expect(got - bytes.length).toBeLessThan(4 * 2 ** 20);
    },
  );

  test('an answer that calls itself whole and is shorter is not taken for the file', async () => {
    proxy.fault = () => ({ kind: 'truncate-answer', afterBytes: PART });
    await expect(fetchIt(url)).rejects.toMatchObject({ code: 'input_differs' });
  });

  test('tampered, of another object, or gone', async () => {
    await expect(fetchIt(url.replace('stored', 'others'))).rejects.toMatchObject({ code: 'transfer_failed' });
    rmSync(join(dir, 'in'), { recursive: true });
    await expect(fetchIt(await store.getUrl('transfer/never', HOUR_MS))).rejects.toMatchObject({ code: 'input_missing', input: 'sealed' });
  });
});
