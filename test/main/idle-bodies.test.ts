/** A body whose sender says nothing more is given up; who waits for an answer, or for us to read on, is not. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Socket, connect } from 'node:net';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { type Handler, listen } from '../../src/main/http-server.ts';
import { objectRoutes } from '../../src/objects/routes.ts';
import { ApiWorld } from '../api/api-world.ts';

/** Far shorter than anybody's pause would be, so that tests need not wait for long. */
const IDLE_MS = 300;

let world: ApiWorld;
beforeEach(async () => {
  world = await ApiWorld.open();
});
afterEach(() => world.close());

async function serving(fetch: Handler): Promise<number> {
  const server = await listen(fetch, '127.0.0.1', 0, { bodyIdleMs: IDLE_MS });
  onTestFinished(() => server.close(0));
  return server.port;
}

type Client = { readonly socket: Socket; readonly text: () => string; readonly closed: Promise<void> };

/** A connection that has sent this. */
function client(port: number, sent: string): Client {
  const socket = connect(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  let heard = '';
  socket.on('data', (bytes) => (heard += String(bytes)));
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.write(sent);
  return { socket, text: () => heard, closed };
}

const post = (path: string, headers: string, body: string): string => `POST ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n${body}`;

test('a piece whose sender vanished is given up: the connection ends, and nothing of it stays', async () => {
  const port = await serving(world.app.fetch);
  const drafts = (): string[] => readdirSync(join(world.folder, 'uploads'));
  const auth = `Authorization: Bearer ${world.admin}\r\nTransfer-Encoding: chunked`;
  const { text, closed } = client(port, post('/v1/pieces?miner=t01000', auth, '4\r\nabcd\r\n'));
  await closed;
  expect(text()).toMatch(/^HTTP\/1\.1 408 .*nothing of it was kept; send it again/s);
  await expect.poll(drafts).toEqual([]);
  expect(world.objectKeys()).toEqual([]);
});

test.each([
  ['that says its length', 'Content-Length: 10\r\nContent-Type: application/json', '{"a":'],
  ['in chunks', 'Transfer-Encoding: chunked\r\nContent-Type: application/json', '5\r\n{"a":\r\n'],
  ['of which nothing came', 'Content-Length: 10\r\nContent-Type: application/json', ''],
])('a JSON body %s is given up', async (_what, headers, body) => {
  const port = await serving(world.app.fetch);
  const { text, closed } = client(port, post('/v1/sectors', `Authorization: Bearer ${world.admin}\r\n${headers}`, body));
  await closed;
  expect(text()).toMatch(/^HTTP\/1\.1 408 /);
});

test('a part of an object, and the rest of a refused one', async () => {
  const { uploadId, partUrls } = await world.objects.createUpload('some/object', 100, 60_000);
  const port = await serving(objectRoutes(world.objects).fetch);
  const { pathname, search } = new URL(partUrls[0] as string);
  for (const [query, checksum] of [
    [search, 'x-amz-checksum-crc32: AAAAAA==\r\n'],
    ['', ''],
  ]) {
    const { closed } = client(port, `PUT ${pathname}${query} HTTP/1.1\r\nHost: x\r\n${checksum}Content-Length: 10\r\n\r\nabc`);
    await closed;
  }
  await expect.poll(() => readdirSync(join(world.folder, 'uploads', uploadId))).toEqual(['upload.json']);
});

test('an answer may take as long as it likes once the body has come, and so may a stream', async () => {
  const answers: ((answer: Response) => void)[] = [];
  const port = await serving(async (request) => {
    await request.text();
    return new Promise<Response>((resolve) => answers.push(resolve));
  });
  const waits = client(port, post('/poll', 'Content-Length: 2', '{}'));
  const gets = client(port, 'GET /stream HTTP/1.1\r\nHost: x\r\n\r\n');
  // One that is given up began after those two: they have been quiet for longer.
  await expect.poll(() => answers.length).toBe(2);
  await client(port, post('/poll', 'Content-Length: 2', '{')).closed;
  let stop: () => void = () => undefined;
  answers[1]?.(new Response(new ReadableStream({ start: (controller) => (stop = () => controller.close()) })));
  await expect.poll(gets.text).toMatch(/^HTTP\/1\.1 200 /);
  await client(port, post('/poll', 'Content-Length: 2', '{')).closed;
  stop();
  answers[0]?.(new Response('late'));
  await expect.poll(waits.text).toMatch(/^HTTP\/1\.1 200 .*late/s);
  await expect.poll(gets.text).toMatch(/\r\n0\r\n\r\n$/);
  expect([waits.socket.closed, gets.socket.closed]).toEqual([false, false]);
});

test('a sender that waits for us to read on is not given up', async () => {
  let read: () => void = () => undefined;
  const port = await serving(async (request) => {
    if (new URL(request.url).pathname === '/other') return new Response(await request.text());
    await new Promise<void>((resolve) => (read = resolve));
    return new Response(String((await request.text()).length));
  });
  const sizeBytes = 2 ** 24;
  const slow = client(port, post('/slow', `Content-Length: ${sizeBytes}`, 'x'.repeat(sizeBytes)));
  await client(port, post('/other', 'Content-Length: 2', '{')).closed;
  await client(port, post('/other', 'Content-Length: 2', '{')).closed;
  read();
  await expect.poll(slow.text).toMatch(new RegExp(`^HTTP/1\\.1 200 .*${sizeBytes}$`, 's'));
});

test('a connection serves further requests after a body that came slowly', async () => {
  const port = await serving(async (request) => new Response(await request.text()));
  const { socket, text } = client(port, post('/', 'Content-Length: 2', 'a'));
  socket.write('b');
  await expect.poll(text).toMatch(/ab$/);
  // Longer quiet than a body may be: another one is given up meanwhile.
  await client(port, post('/', 'Content-Length: 2', 'a')).closed;
  await client(port, post('/', 'Content-Length: 2', 'a')).closed;
  socket.write(post('/', 'Content-Length: 2', 'cd'));
  await expect.poll(text).toMatch(/cd$/);
});
