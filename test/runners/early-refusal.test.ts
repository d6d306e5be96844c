/** A server that refuses a part and closes in the middle of its body, as versitygw does: the refusal is lost with the connection. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, type Server, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { upload } from '../../src/runners/upload.ts';
import { bytesOf } from '../objects/conformance.ts';

const bytes = bytesOf('early', 3 * 2 ** 20);
const folder = mkdtempSync(join(tmpdir(), 'early-refusal-'));
const path = join(folder, 'file');
/** What versitygw reads of a body before it looks at a head. */
const FIRST_BYTES = 8 * 1024;
const REFUSAL = '<Error><Code>ExpiredToken</Code></Error>';

let server: Server;
/** One word a connection: what became of it. */
let seen: string[];
beforeEach(async () => {
  seen = [];
  writeFileSync(path, bytes);
  let connections = 0;
  server = createServer((socket) => {
    const first = ++connections === 1;
    let have = Buffer.alloc(0);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      have = Buffer.concat([have, chunk]);
      const end = have.indexOf('\r\n\r\n');
      const body = end < 0 ? 0 : have.length - end - 4;
      if (socket.destroyed || body < FIRST_BYTES) return;
      if (first || body > FIRST_BYTES) {
        seen.push(first ? 'broken' : 'too much');
        socket.resetAndDestroy();
        return;
      }
      seen.push('refused');
      socket.end(`HTTP/1.1 403 Forbidden\r\ncontent-length: ${REFUSAL.length}\r\nconnection: close\r\n\r\n${REFUSAL}`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

test('the next try sends little before it listens, and hears the refusal', async () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/part`;
  const slot = { name: 'sealed', maxSizeBytes: String(bytes.length), partSizeBytes: bytes.length, partUrls: [url], required: true };
  const options = { signal: new AbortController().signal, patienceMs: 3_600_000 };
  const sent = upload(slot, { path, sizeBytes: bytes.length }, options);
  await expect(sent).rejects.toMatchObject({ code: 'transfer_failed', message: expect.stringContaining('403 (ExpiredToken)') });
  expect(seen).toEqual(['broken', 'refused']);
});
