/** Downloads over connections that break, against a server that breaks them as the test says. */
import { createHash } from 'node:crypto';
import { open, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { download } from '../../src/runners/download.ts';
import type { TransferOptions } from '../../src/runners/transfer-errors.ts';
import { manifestOf } from '../../src/schema/manifest.ts';
import { bytesOf } from '../objects/conformance.ts';

const bytes = bytesOf('download', 200_000);
const hash = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const PART = 30_000;
const PARTS = 7;
const manifest = manifestOf(
  PART,
  Array.from({ length: PARTS }, (_, at) => crc32(bytes.subarray(at * PART, (at + 1) * PART))),
);
let dir: string;
let threads: number;
let server: Server;
let asked: { range: string | undefined; ifMatch: string | undefined }[];
let answer: (request: IncomingMessage, response: ServerResponse, time: number) => void;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'download-'));
  asked = [];
  server = createServer((request, response) => {
    asked.push({ range: request.headers.range, ifMatch: request.headers['if-match'] });
    answer(request, response, asked.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  await new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
  await rm(dir, { recursive: true, force: true });
});

const target = (): string => join(dir, 'in/sealed');

async function fetchIt(more: Partial<TransferOptions & { manifest: typeof manifest }> = {}): Promise<Buffer> {
  const { manifest: sums, ...options } = { signal: new AbortController().signal, patienceMs: 5_000, ...more };
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/x`;
  const input = { name: 'sealed', url, sizeBytes: String(bytes.length), hash, ...(sums === undefined ? {} : { manifest: sums }) };
  await download(input, target(), { threads, ...options });
  expect(await readdir(join(dir, 'in'))).toEqual(['sealed']);
  return readFile(target());
}

type Range = { readonly from: number; readonly to: number };

/** Sends bytes `from` to `to` but breaks off after `limit` bytes. */
function send(response: ServerResponse, { from, to }: Range, limit = Infinity, of = bytes): void {
  const part = of.subarray(from, to + 1);
  response.writeHead(from === 0 && to === bytes.length - 1 ? 200 : 206, {
    etag: '"one"',
    'content-length': part.length,
    'content-range': `bytes ${from}-${to}/${bytes.length}`,
  });
  if (limit >= part.length) response.end(part);
  else response.write(part.subarray(0, limit), () => response.destroy());
}
const WHOLE: Range = { from: 0, to: bytes.length - 1 };
const rangeOf = (request: IncomingMessage): Range => {
  const match = /^bytes=([0-9]+)-([0-9]+)$/.exec(request.headers.range ?? '');
  return { from: Number(match?.[1]), to: Number(match?.[2]) };
};

describe.each([0, 2])('in %i threads of its own', (count) => {
  beforeAll(() => {
    threads = count;
  });

  test('goes on where the connection broke, as often as it breaks, and only with the same object', async () => {
    answer = (request, response, time) => send(response, rangeOf(request), time < 4 ? 50_000 : Infinity);
    expect((await fetchIt()).equals(bytes)).toBe(true);
    expect(asked[0]).toEqual({ range: `bytes=0-${bytes.length - 1}`, ifMatch: undefined });
    expect(asked.length).toBeGreaterThan(1);
    for (const { range, ifMatch } of asked.slice(1)) expect([range, ifMatch]).toEqual([expect.stringMatching(/^bytes=[1-9]/), '"one"']);
  });

  test('a server without ranges sends all again', async () => {
    answer = (_request, response, time) => send(response, WHOLE, time === 1 ? 60_000 : Infinity);
    expect((await fetchIt()).equals(bytes)).toBe(true);
  });

  test('an answer without a length is read as well', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'transfer-encoding': 'chunked' });
      for (let at = 0; at < bytes.length; at += 9_000) response.write(bytes.subarray(at, at + 9_000));
      response.end();
    };
    expect((await fetchIt()).equals(bytes)).toBe(true);
  });

  test('errors of the server are tried again, a refusal is not', async () => {
    answer = (request, response, time) => (time < 3 ? response.writeHead(503).end() : send(response, rangeOf(request)));
    expect((await fetchIt()).equals(bytes)).toBe(true);
    await rm(join(dir, 'in'), { recursive: true });
    const before = asked.length;
    answer = (_request, response) => response.writeHead(403).end();
    await expect(fetchIt({ patienceMs: 60_000 })).rejects.toMatchObject({ code: 'transfer_failed' });
    // An answer without a body has no length here, so `fetch` asks a second time.
    expect(asked.length - before).toBeLessThanOrEqual(2);
  });

  test.each([404, 410])('an object that is gone (%s) is named, so that it is made again', async (status) => {
    answer = (_request, response) => response.writeHead(status, { 'content-length': 0 }).end();
    await expect(fetchIt({ patienceMs: 60_000 })).rejects.toMatchObject({ code: 'input_missing', input: 'sealed' });
    expect(asked).toHaveLength(1);
  });

  test.each([
    ['NoSuchKey', 'input_missing'],
    ['NoSuchBucket', 'transfer_failed'],
    // versitygw's, for a key of access that it does not know.
    ['XAdminUserNotFound', 'transfer_failed'],
  ])('404 with %s: %s, since only of the object it says that it is gone', async (s3Code, code) => {
    const body = `<?xml version="1.0"?><Error><Code>${s3Code}</Code></Error>`;
    answer = (_request, response) => response.writeHead(404, { 'content-length': body.length }).end(body);
    await expect(fetchIt({ patienceMs: 60_000 })).rejects.toMatchObject({ code });
    expect(asked).toHaveLength(1);
  });

  test('another object under the URL, found when resuming', async () => {
    answer = (_request, response, time) => (time === 1 ? send(response, WHOLE, 60_000) : response.writeHead(412).end());
    await expect(fetchIt()).rejects.toMatchObject({ code: 'input_differs', input: 'sealed' });
  });

  test('more bytes than granted are cut off', async () => {
    answer = (_request, response) => {
      response.writeHead(200, { 'transfer-encoding': 'chunked' });
      const more = (): boolean => response.write(Buffer.alloc(65_536)) || true;
      response.on('drain', more);
      for (let sent = 0; sent < 10; sent++) more();
    };
    await expect(fetchIt()).rejects.toMatchObject({ code: 'input_differs' });
  });

  test('no progress for so long ends it; being cancelled ends it at once', async () => {
    answer = (_request, response) => response.writeHead(500).end();
    await expect(fetchIt({ patienceMs: 200 })).rejects.toMatchObject({
      code: 'transfer_failed',
      message: expect.stringContaining('no progress'),
    });
    await rm(join(dir, 'in'), { recursive: true });
    const stop = new AbortController();
    answer = () => stop.abort(new Error('cancelled'));
    await expect(fetchIt({ patienceMs: 60_000, signal: stop.signal })).rejects.toThrow('cancelled');
  });

  describe('with a manifest', () => {
    const part = (request: IncomingMessage): number => Math.floor(rangeOf(request).from / PART);
    const flipped = (at: number): Buffer => {
      const copy = Buffer.from(bytes);
      copy[at] = (copy[at] as number) ^ 1;
      return copy;
    };

    test('of seven parts one arrives damaged and one breaks: only those are fetched again', async () => {
      const times = new Map<number, number>();
      let sent = 0;
      answer = (request, response) => {
        const at = part(request);
        const time = (times.get(at) ?? 0) + 1;
        times.set(at, time);
        const range = rangeOf(request);
        const limit = at === 4 && time === 1 ? 10_000 : Infinity;
        sent += Math.min(limit, range.to - range.from + 1);
        send(response, range, limit, at === 2 && time === 1 ? flipped(2 * PART + 77) : bytes);
      };
      expect((await fetchIt({ manifest })).equals(bytes)).toBe(true);
      expect(Object.fromEntries(times)).toEqual({ 0: 1, 1: 1, 2: 2, 3: 1, 4: 2, 5: 1, 6: 1 });
      // What a connection had carried when it broke need not have been read.
      expect(sent - bytes.length).toBeGreaterThanOrEqual(PART);
      expect(sent - bytes.length).toBeLessThanOrEqual(PART + 10_000);
    });

    test('what is damaged in the same way twice is another file; what is damaged differently each time is the way', async () => {
      const wrong = flipped(3 * PART + 5);
      answer = (request, response) => send(response, rangeOf(request), Infinity, wrong);
      await expect(fetchIt({ manifest })).rejects.toMatchObject({ code: 'input_differs', input: 'sealed' });
      let time = 0;
      answer = (request, response) => send(response, rangeOf(request), Infinity, part(request) === 3 ? flipped(3 * PART + time++) : bytes);
      await expect(fetchIt({ manifest })).rejects.toMatchObject({ code: 'transfer_failed', message: expect.stringContaining('damaged') });
    });

    test('a part of another object is found out', async () => {
      answer = (request, response) => {
        response.setHeader('x', '');
        const { from, to } = rangeOf(request);
        response.writeHead(206, {
          etag: part(request) === 6 ? '"two"' : '"one"',
          'content-length': to - from + 1,
          'content-range': `bytes ${from}-${to}/${bytes.length}`,
        });
        response.end(bytes.subarray(from, to + 1));
      };
      await expect(fetchIt({ manifest })).rejects.toMatchObject({
        code: 'input_differs',
        message: expect.stringContaining('changed while'),
      });
    });

    test('a later call goes on with the parts that are whole on the disk, and believes no journal', async () => {
      const stop = new AbortController();
      answer = (request, response) => {
        // The last parts hang until it is given up.
        if (part(request) < 5) send(response, rangeOf(request));
      };
      const journal = join(dir, 'in/sealed.journal');
      const broken = fetchIt({ manifest, signal: stop.signal });
      await expect.poll(async () => (await readFile(journal, 'utf8').catch(() => '')).split('\n').length - 2, { timeout: 10_000 }).toBe(5);
      stop.abort(new Error('the agent ends'));
      await expect(broken).rejects.toThrow('the agent ends');
      // A power cut: the journal has the part, the disk does not.
      const draft = await open(join(dir, 'in/sealed.part'), 'r+');
      await draft.write(Buffer.of((bytes[PART + 9] as number) ^ 1), 0, 1, PART + 9);
      await draft.close();
      asked = [];
      answer = (request, response) => send(response, rangeOf(request));
      expect((await fetchIt({ manifest })).equals(bytes)).toBe(true);
      expect(asked.map(({ range }) => Number(/=([0-9]+)-/.exec(range ?? '')?.[1]) / PART).sort()).toEqual([1, 5, 6]);
    });

    test('what is left of another file is not gone on with', async () => {
      const stop = new AbortController();
      answer = (request, response) => (part(request) < 5 ? send(response, rangeOf(request)) : stop.abort(new Error('the agent ends')));
      await expect(fetchIt({ manifest, signal: stop.signal })).rejects.toThrow('the agent ends');
      asked = [];
      answer = (request, response) => send(response, rangeOf(request));
      const other = manifestOf(
        2 * PART,
        [0, 1, 2, 3].map((at) => crc32(bytes.subarray(at * 2 * PART, (at + 1) * 2 * PART))),
      );
      expect((await fetchIt({ manifest: other })).equals(bytes)).toBe(true);
      expect(asked).toHaveLength(4);
    });
  });
});
