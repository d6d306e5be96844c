/** Downloads over connections that break, against a server that breaks them as the test says. */
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { download } from '../../src/runners/download.ts';
import { bytesOf } from '../objects/conformance.ts';

const bytes = bytesOf('download', 200_000);
let dir: string;
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

async function fetchIt(patienceMs = 5_000, signal = new AbortController().signal): Promise<Buffer> {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/x`;
  const hash = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  await download({ name: 'sealed', url, sizeBytes: String(bytes.length), hash }, join(dir, 'in/sealed'), { signal, patienceMs });
  return readFile(join(dir, 'in/sealed'));
}

/** Sends `from` to the end but breaks off after `limit` bytes. */
function send(response: ServerResponse, from: number, limit = Infinity): void {
  const part = bytes.subarray(from);
  response.writeHead(from === 0 ? 200 : 206, {
    etag: '"one"',
    'content-length': part.length,
    'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}`,
  });
  if (limit >= part.length) response.end(part);
  else response.write(part.subarray(0, limit), () => response.destroy());
}
const fromOf = (request: IncomingMessage): number => Number(/bytes=([0-9]+)-/.exec(request.headers.range ?? 'bytes=0-')?.[1]);

test('goes on where the connection broke, as often as it breaks, and only with the same object', async () => {
  answer = (request, response, time) => send(response, fromOf(request), time < 4 ? 50_000 : Infinity);
  expect((await fetchIt()).equals(bytes)).toBe(true);
  expect(asked[0]).toEqual({ range: undefined, ifMatch: undefined });
  expect(asked.length).toBeGreaterThan(1);
  for (const { range, ifMatch } of asked.slice(1)) expect([range, ifMatch]).toEqual([expect.stringMatching(/^bytes=[0-9]+-$/), '"one"']);
});

test('a server without ranges sends all again', async () => {
  answer = (_request, response, time) => send(response, 0, time === 1 ? 60_000 : Infinity);
  expect((await fetchIt()).equals(bytes)).toBe(true);
});

test('errors of the server are tried again, a refusal is not', async () => {
  answer = (request, response, time) => (time < 3 ? response.writeHead(503).end() : send(response, fromOf(request)));
  expect((await fetchIt()).equals(bytes)).toBe(true);
  await rm(join(dir, 'in'), { recursive: true });
  answer = (_request, response) => response.writeHead(403).end();
  await expect(fetchIt(60_000)).rejects.toMatchObject({ code: 'transfer_failed' });
  expect(asked).toHaveLength(4);
});

test.each([404, 410])('an object that is gone (%s) is named, so that it is made again', async (status) => {
  answer = (_request, response) => response.writeHead(status).end();
  await expect(fetchIt(60_000)).rejects.toMatchObject({ code: 'input_missing', input: 'sealed' });
  expect(asked).toHaveLength(1);
});

test('another object under the URL, found when resuming', async () => {
  answer = (_request, response, time) => (time === 1 ? send(response, 0, 60_000) : response.writeHead(412).end());
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
  await expect(fetchIt(200)).rejects.toMatchObject({ code: 'transfer_failed', message: expect.stringContaining('no progress') });
  await rm(join(dir, 'in'), { recursive: true });
  const stop = new AbortController();
  answer = () => stop.abort(new Error('cancelled'));
  await expect(fetchIt(60_000, stop.signal)).rejects.toThrow('cancelled');
});
