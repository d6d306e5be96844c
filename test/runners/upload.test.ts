/** A part that breaks late or stands still is sent again, and bytes that go are progress. */
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { TransferOptions } from '../../src/runners/transfer-errors.ts';
import { upload } from '../../src/runners/upload.ts';

/** More than the sockets of both sides hold. */
const SIZE_BYTES = 24 * 2 ** 20;

let folder: string;
let server: Server;
/** What becomes of a PUT, by its number from 1 on. */
let answer: (time: number, request: IncomingMessage, response: ServerResponse) => void;
let puts: number;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'upload-'));
  writeFileSync(join(folder, 'file'), '');
  truncateSync(join(folder, 'file'), SIZE_BYTES);
  puts = 0;
  server = createServer((request, response) =>
    answer(
      (puts += 1),
      request.on('error', () => undefined),
      response,
    ),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  vi.useRealTimers();
  await new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
  rmSync(folder, { recursive: true, force: true });
});

const took = (request: IncomingMessage, response: ServerResponse, status: number): void => {
  request.resume().once('end', () => response.writeHead(status, status === 200 ? { etag: '"part"' } : {}).end());
};

function send(more: Partial<TransferOptions>): ReturnType<typeof upload> {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/part`;
  const slot = { name: 'sealed', maxSizeBytes: String(SIZE_BYTES), partSizeBytes: SIZE_BYTES, partUrls: [url], required: true };
  const options = { signal: new AbortController().signal, patienceMs: 60_000, ...more };
  return upload(slot, { path: join(folder, 'file'), sizeBytes: SIZE_BYTES }, options);
}

test.each([
  ['takes no byte', (request: IncomingMessage) => void request.pause()],
  ['takes them all and never answers', (request: IncomingMessage) => void request.resume()],
])('a connection that %s is broken off, and the part is sent again', async (_how, stall) => {
  answer = (time, request, response) => (time === 1 ? stall(request) : took(request, response, 200));
  expect((await send({ stallMs: 300 })).parts).toEqual([{ number: 1, etag: '"part"' }]);
  // Twice, unless this machine itself stood still.
  expect(puts).toBeGreaterThan(1);
});

test('bytes are told of as they go and start the patience anew; those that go a second time do neither', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  let movedBytes = 0;
  const movedBefore: number[] = [];
  answer = (time, request, response) => {
    request.once('end', () => movedBefore.push(movedBytes));
    took(request, response, time < 3 ? 503 : 200);
  };
  // The whole part takes far longer than the patience.
  const onMoved = (bytes: number): void => {
    movedBytes += bytes;
    vi.advanceTimersByTime(40_000);
  };
  await send({ onMoved });
  expect(movedBefore).toEqual([SIZE_BYTES, SIZE_BYTES, SIZE_BYTES]);
});

test('a part of which nothing new goes ends when the patience does', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  answer = (_time, request, response) => {
    vi.advanceTimersByTime(25_000);
    took(request, response, 503);
  };
  await expect(send({})).rejects.toMatchObject({ code: 'transfer_failed', message: expect.stringContaining('no progress for 60 s') });
  expect(puts).toBe(4);
});
