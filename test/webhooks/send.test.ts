/** One delivery to receivers that misbehave: bounded in time and size, never redirected, connected to what was checked. */
import { connect, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { Webhook } from 'standardwebhooks';
import { AddressRefused, guardedConnector } from '../../src/webhooks/connect.ts';
import { openSender, type Sender, type SenderOptions } from '../../src/webhooks/send.ts';
import { answers, drips, endless, receiver } from './receiver.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const BODY = JSON.stringify({ type: 'audit', text: 'žluťoučký' });

function sender(options: Partial<SenderOptions> = {}): Sender {
  const made = openSender({ now: Date.now, connectMs: 2_000, totalMs: 5_000, ...options });
  onTestFinished(() => made.close());
  return made;
}
const parcel = (url: string, allowPrivate = true) => ({
  delivery: { message: 'ev-7' },
  webhook: { url, secret: SECRET, allowPrivate },
  body: BODY,
});

test('it is posted, signed so that the library verifies it, and refused by it when anything differs', async () => {
  const { url, received } = await receiver(answers(200));
  expect(await sender().send(parcel(url))).toEqual({ status: 200, error: null });
  const [{ headers, body }] = received as [(typeof received)[0]];
  expect(headers).toMatchObject({
    'content-type': 'application/json',
    'user-agent': expect.stringMatching(/^Sealpool/),
    'webhook-id': 'ev-7',
  });
  expect(new Webhook(SECRET).verify(body, headers)).toEqual(JSON.parse(BODY));
  for (const wrong of [
    () => new Webhook(SECRET).verify(`${body} `, headers),
    () => new Webhook(SECRET).verify(body, { ...headers, 'webhook-id': 'ev-8' }),
    () => new Webhook(`whsec_${Buffer.alloc(32, 8).toString('base64')}`).verify(body, headers),
  ])
    expect(wrong).toThrow(/signature/);
});

test.each([204, 301, 302, 307, 308, 400, 410, 503])('the status %i is the outcome', async (status) => {
  const { url } = await receiver(answers(status));
  expect(await sender().send(parcel(url))).toEqual({ status, error: null });
});

test.each([301, 302, 303, 307, 308])('a redirect (%i) is not followed, to no address', async (status) => {
  const trap = await receiver();
  const { url } = await receiver(answers(status, { location: trap.url }));
  const linkLocal = await receiver(answers(status, { location: 'http://169.254.169.254/' }));
  const sending = sender();
  expect((await sending.send(parcel(url))).status).toBe(status);
  expect((await sending.send(parcel(linkLocal.url))).status).toBe(status);
  expect(trap.counts.connections).toBe(0);
});

test('a receiver that hangs is left after the time', async () => {
  const { url } = await receiver(() => undefined);
  const fromMs = performance.now();
  expect(await sender({ totalMs: 300 }).send(parcel(url))).toEqual({ status: null, error: 'the receiver took longer than 300 ms' });
  expect(performance.now() - fromMs).toBeLessThan(5_000);
});

test('a head that drips is ended by the same time', async () => {
  const { url, counts } = await receiver(drips('head', 50));
  expect(await sender({ totalMs: 400 }).send(parcel(url))).toEqual({ status: null, error: 'the receiver took longer than 400 ms' });
  expect(counts.requests).toBe(1);
});

test('a body that drips is ended; the status had been answered', async () => {
  const { url } = await receiver(drips('body', 50));
  const fromMs = performance.now();
  expect(await sender({ totalMs: 400 }).send(parcel(url))).toEqual({ status: 200, error: null });
  expect(performance.now() - fromMs).toBeLessThan(5_000);
});

test('a body without an end is cut after 64 KiB', async () => {
  const sent = { bytes: 0 };
  const { url } = await receiver(endless(sent));
  expect(await sender().send(parcel(url))).toEqual({ status: 200, error: null });
  // What the sockets hold of it is sent besides.
  expect(sent.bytes).toBeLessThan(16 * 2 ** 20);
});

test('a head without an end is refused', async () => {
  const { url } = await receiver((_res, req) => req.socket.write(`HTTP/1.1 200 OK\r\nx: ${'x'.repeat(1_000_000)}`));
  expect((await sender().send(parcel(url))).error).toMatch(/could not be reached \(UND_ERR_HEADERS_OVERFLOW|HPE_/);
});

test('a receiver that resets, or is not there, is a failure', async () => {
  const { url } = await receiver((_res, req) => req.socket.resetAndDestroy());
  expect((await sender().send(parcel(url))).error).toMatch(/could not be reached \((ECONNRESET|UND_ERR_SOCKET)\)/);
  expect((await sender().send(parcel('http://127.0.0.1:1/'))).error).toMatch(/could not be reached \(ECONNREFUSED\)/);
});

test('a connection that never becomes TLS is left after the time to connect', async () => {
  const server = createServer(() => undefined);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  const outcome = await sender({ connectMs: 1_000, totalMs: 10_000 }).send(parcel(`https://127.0.0.1:${port}/`));
  expect(outcome.error).toMatch(/UND_ERR_CONNECT_TIMEOUT/);
});

test('http, and private addresses, only where they are allowed', async () => {
  const { url, counts, port } = await receiver();
  expect((await sender().send(parcel(url, false))).error).toMatch(/not https/);
  expect((await sender().send(parcel(`https://127.0.0.1:${port}/`, false))).error).toMatch(/^the receiver is at no public address/);
  expect(counts.connections).toBe(0);
  expect(await sender().send(parcel(url, true))).toMatchObject({ status: 204 });
});

/** Loopback has more than one address: 127.0.0.2 is the public network here and 127.0.0.1 the house. */
const refused = (address: string): boolean => address !== '127.0.0.2';
const at = (...addresses: string[]) => addresses.map((address) => ({ address, family: 4 }));

test('a name that is public when first asked and private when asked again leads nowhere private', async () => {
  const outside = createServer();
  const [seen, trapped] = [[] as string[], [] as string[]];
  outside.on('connection', (socket) => {
    seen.push(socket.localAddress ?? '');
    socket.destroy();
  });
  await new Promise<void>((resolve) => outside.listen(0, '127.0.0.2', resolve));
  const { port } = outside.address() as { port: number };
  const trap = createServer((socket) => {
    trapped.push(socket.localAddress ?? '');
    socket.destroy();
  });
  await new Promise<void>((resolve) => trap.listen(port, '127.0.0.1', resolve));
  onTestFinished(() => {
    outside.close();
    trap.close();
  });
  const asked: string[] = [];
  const sending = sender({
    refused,
    resolve: async (name) => {
      asked.push(name);
      return asked.length === 1 ? at('127.0.0.2') : at('127.0.0.1');
    },
  });
  const url = `https://rebinding.test:${port}/`;
  expect((await sending.send(parcel(url, false))).error).toMatch(/could not be reached/);
  // One answer, checked and connected to: no second question in between.
  expect([asked, seen]).toEqual([['rebinding.test'], ['127.0.0.2']]);
  expect((await sending.send(parcel(url, false))).error).toMatch(/^the receiver is at no public address/);
  expect(asked).toHaveLength(2);
  expect(trapped).toEqual([]);
  // The trap would have been hit: it is there.
  await new Promise<void>((resolve) =>
    connect(port, '127.0.0.1')
      .once('close', () => resolve())
      .once('error', () => undefined),
  );
  expect(trapped).toEqual(['127.0.0.1']);
});

test('one private address among public ones is enough to refuse', async () => {
  const trap = await receiver();
  for (const addresses of [at('127.0.0.2', '127.0.0.1'), at('127.0.0.1', '127.0.0.2')]) {
    const outcome = await sender({ refused, resolve: async () => addresses }).send(parcel(`https://both.test:${trap.port}/`, false));
    expect(outcome.error).toMatch(/^the receiver is at no public address/);
  }
  expect(trap.counts.connections).toBe(0);
});

test('the address that the socket reached is looked at as well', async () => {
  const inside = await receiver();
  // Lets the name's address pass and not the same address once it is connected to, as if the two differed.
  const connected = (refusals: number) => {
    let asked = 0;
    const connector = guardedConnector({ connectMs: 2_000, resolve: async () => at('127.0.0.1'), refused: () => (asked += 1) > refusals });
    return new Promise<Error | null>((resolve) =>
      connector({ hostname: 'there.test', protocol: 'http:', port: String(inside.port) }, (error, socket) => {
        socket?.destroy();
        resolve(error);
      }),
    );
  };
  expect(await connected(2)).toBeNull();
  expect(await connected(1)).toBeInstanceOf(AddressRefused);
});

test('the error has no URL in it', async () => {
  const outcome = await sender({
    resolve: async () => Promise.reject(Object.assign(new Error('canary.test'), { code: 'ENOTFOUND' })),
  }).send(parcel('https://canary.test/?key=canary', false));
  expect(outcome).toEqual({ status: null, error: 'the receiver could not be reached (ENOTFOUND)' });
});
