/** How often who may ask: one that floods gets 429 and harms nobody else, and memory stays bounded. */
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { getConnInfo } from '@hono/node-server/conninfo';
import { createApp } from '../../src/api/app.ts';
import { Buckets, type Rates, USUAL_RATES } from '../../src/api/buckets.ts';
import { Limiter } from '../../src/api/rate-limit.ts';
import { listen } from '../../src/main/http-server.ts';
import { remoteAddress } from '../../src/main/remote-address.ts';
import { ApiWorld, BOOT, RESOURCES } from './api-world.ts';

let world: ApiWorld;
beforeEach(async () => {
  world = await ApiWorld.open();
});
afterEach(() => world.close());

/** An app with these rates; `from` says whose address a request has. */
function appWith(rates: Partial<Rates> = {}) {
  const app = createApp({
    ...world.parts,
    rateLimits: { rates: { ...USUAL_RATES, ...rates }, now: () => world.nowMs, address: (c) => c.req.header('x-from') },
  });
  return (path: string, token?: string, from = '192.0.2.1', init: RequestInit = {}) =>
    app.request(path, {
      ...init,
      headers: { 'x-from': from, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...init.headers },
    });
}
const beat = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ bootId: BOOT, attempts: [] }) };

test('one token that asks too often gets 429 with when to come back; another one and the probes do not', async () => {
  const ask = appWith({ token: { perSecond: 2, burst: 5 } });
  const other = await world.token('viewer');
  // The first request of a token shows whose it is.
  for (const token of [world.admin, other]) expect((await ask('/v1/plans', token)).status).toBe(200);
  const statuses = [];
  for (let at = 0; at < 8; at += 1) statuses.push((await ask('/v1/plans', world.admin)).status);
  expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429, 429]);
  const refused = await ask('/v1/plans', world.admin);
  expect(await refused.json()).toMatchObject({ status: 429, code: 'rate_limited', detail: expect.stringMatching(/send it again in 1 s/) });
  expect(Object.fromEntries(refused.headers)).toMatchObject({
    'retry-after': '1',
    'ratelimit-limit': '5',
    'ratelimit-remaining': '0',
    'ratelimit-reset': '3',
    'content-type': 'application/problem+json',
    'x-request-id': expect.stringMatching(/\w+/),
  });
  expect((await ask('/v1/plans', other)).headers.get('ratelimit-remaining')).toBe('4');
  expect((await ask('/healthz', world.admin)).status).toBe(200);
  world.nowMs += 1_000;
  expect([(await ask('/v1/plans', world.admin)).status, (await ask('/v1/plans', world.admin)).status]).toEqual([200, 200]);
  expect((await ask('/v1/plans', world.admin)).status).toBe(429);
});

test('after many wrong secrets an address is not listened to, but for secrets that were good before; others are', async () => {
  const ask = appWith({ failed: { perSecond: 0.1, burst: 10 } });
  const late = await world.token('viewer');
  expect((await ask('/v1/plans', world.admin)).status).toBe(200);
  const guess = (at: number) => ask('/v1/plans', `sp-api-${String(at).padStart(64, '0')}`);
  const statuses = [];
  for (let at = 0; at < 12; at += 1) statuses.push((await guess(at)).status);
  expect(statuses).toEqual([...Array.from({ length: 10 }, () => 401), 429, 429]);
  expect((await ask('/v1/plans', late)).status).toBe(429);
  expect((await ask('/v1/plans', world.admin)).status).toBe(200);
  expect((await ask('/v1/plans', late, '192.0.2.2')).status).toBe(200);
  expect((await ask('/v1/plans', undefined)).status).toBe(429);
  world.nowMs += 10_000;
  expect((await guess(99)).status).toBe(401);
});

test('join tokens and runners credentials that are wrong count as well', async () => {
  const ask = appWith({ failed: { perSecond: 0.1, burst: 4 } });
  const body = {
    token: `sp-join-${'0'.repeat(64)}`,
    name: 'x',
    bootId: BOOT,
    agentVersion: '0',
    stages: ['C2'],
    storage: [],
    resources: RESOURCES,
  };
  const join = () => ask('/v1/runners/register', undefined, '192.0.2.1', { ...beat, body: JSON.stringify(body) });
  const runner = () => ask('/v1/runners/self/heartbeat', `sp-run-${'0'.repeat(64)}`, '192.0.2.1', beat);
  const statuses = [];
  for (const call of [join, runner, join, runner, join, runner]) statuses.push((await call()).status);
  expect(statuses).toEqual([401, 401, 401, 401, 429, 429]);
});

test('whoever sends no secret is counted by address', async () => {
  const ask = appWith({ anonymous: { perSecond: 1, burst: 3 } });
  const statuses = [];
  for (let at = 0; at < 5; at += 1) statuses.push((await ask('/openapi.json')).status);
  expect(statuses).toEqual([200, 200, 200, 429, 429]);
  // A secret that nobody looks at is none.
  const dressed = [];
  for (let at = 0; at < 5; at += 1) dressed.push((await ask('/openapi.json', `garbage-garbage-${at}`, '192.0.2.3')).status);
  expect(dressed).toEqual([200, 200, 200, 429, 429]);
  expect((await ask('/openapi.json', undefined, '192.0.2.2')).status).toBe(200);
  expect((await ask('/healthz')).status).toBe(200);
});

test('memory is bounded whoever comes: a million addresses and secrets', () => {
  const limiter = new Limiter({ rates: USUAL_RATES, now: () => 0, address: () => undefined });
  const buckets = new Buckets(USUAL_RATES.failed, 20_000);
  for (let at = 0; at < 1_000_000; at += 1) buckets.take(`address ${at}`, at);
  expect(buckets.size).toBeLessThanOrEqual(20_000);
  expect(buckets.size).toBeGreaterThanOrEqual(10_000);
  for (let at = 0; at < 100_000; at += 1) limiter.admit(`hash ${at}`, 'token', `t-${at}`);
  expect(limiter.size).toBeLessThanOrEqual(20_000);
});

test('a runner at 5,000 a second gets what its rate allows and 429 for the rest; others get all', { timeout: 60_000 }, async () => {
  const ask = appWith();
  const [flooder, other] = [await world.runner('rented', 'floods'), await world.runner('own', 'works')];
  const heartbeat = (credential: string) => ask('/v1/runners/self/heartbeat', credential, '192.0.2.1', beat);
  for (const { credential } of [flooder, other]) expect((await heartbeat(credential)).status).toBe(200);
  const told = new Map<number, number>();
  for (let ms = 0; ms < 1_000; ms += 1) {
    world.nowMs += 1;
    for (let at = 0; at < 5; at += 1) {
      const { status } = await heartbeat(flooder.credential);
      told.set(status, (told.get(status) ?? 0) + 1);
    }
    if (ms % 20 === 0) expect((await heartbeat(other.credential)).status).toBe(200);
  }
  // A burst of 400, and 100 in the second; a tenth at a time adds up to a little less than a whole.
  expect([499, 500]).toContain(told.get(200));
  expect((told.get(200) ?? 0) + (told.get(429) ?? 0)).toBe(5_000);
});

test(
  'one runner at full speed over real connections is held to its rate, and the other ones leases are kept',
  { timeout: 120_000 },
  async () => {
    const [flooder, other] = [await world.runner('rented', 'floods'), await world.runner('own', 'works')];
    const rates: Rates = { ...USUAL_RATES, runner: { perSecond: 50, burst: 100 } };
    const addressOf = remoteAddress([]);
    const app = createApp({
      ...world.parts,
      log: world.parts.log.child({}, { level: 'silent' }),
      rateLimits: { rates, now: () => performance.now(), address: (c) => addressOf(getConnInfo(c).remote.address, undefined) },
    });
    const server = await listen(app.fetch, '127.0.0.1', 0);
    onTestFinished(() => server.close(0));
    const url = `http://127.0.0.1:${server.port}`;
    const heartbeat = (credential: string) =>
      fetch(`${url}/v1/runners/self/heartbeat`, { ...beat, headers: { ...beat.headers, authorization: `Bearer ${credential}` } });
    const before = process.memoryUsage().heapUsed;
    const started = performance.now();
    const told = new Map<number, number>();
    let goesOn = true;
    const flood = async (): Promise<void> => {
      while (goesOn) {
        const { status, body } = await heartbeat(flooder.credential);
        await body?.cancel();
        told.set(status, (told.get(status) ?? 0) + 1);
      }
    };
    const floods = Array.from({ length: 32 }, flood);
    const waits: number[] = [];
    while ((told.get(429) ?? 0) < 5_000) {
      const asked = performance.now();
      expect((await heartbeat(other.credential)).status).toBe(200);
      waits.push(performance.now() - asked);
      await new Promise((resolve) => setImmediate(resolve));
      if (waits.length >= 90) break;
    }
    goesOn = false;
    await Promise.all(floods);
    const seconds = (performance.now() - started) / 1000;
    expect([...told.keys()].sort()).toEqual([200, 429]);
    expect(told.get(200)).toBeLessThanOrEqual(100 + 50 * seconds + 32);
    expect(told.get(429)).toBeGreaterThan(1_000);
    // A lease is 20 s and a heartbeat every 7 s: the slowest is far below both.
    expect(Math.max(...waits)).toBeLessThan(5_000);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(200 * 2 ** 20);
  },
);

test('the address is the sockets, and what a trusted proxy says', () => {
  const direct = remoteAddress([]);
  expect(direct('::ffff:192.0.2.7', '198.51.100.9')).toBe('192.0.2.7');
  expect(direct('2001:DB8::1', undefined)).toBe(direct('2001:db8:0:0:ffff::2', undefined));
  expect(direct('2001:db8:0:1::1', undefined)).not.toBe(direct('2001:db8::1', undefined));
  expect(direct(undefined, '198.51.100.9')).toBe(undefined);
  const proxied = remoteAddress(['10.0.0.0/8', '::1']);
  expect(proxied('10.1.2.3', '198.51.100.9')).toBe('198.51.100.9');
  // What the client wrote itself stands before what the proxy saw.
  expect(proxied('10.1.2.3', '203.0.113.1, 198.51.100.9, 10.9.9.9')).toBe('198.51.100.9');
  expect(proxied('192.0.2.7', '198.51.100.9')).toBe('192.0.2.7');
  expect(proxied('::1', '198.51.100.9:4711')).toBe('198.51.100.9');
  expect(proxied('10.1.2.3', 'nonsense')).toBe('10.1.2.3');
  expect(proxied('10.1.2.3', undefined)).toBe('10.1.2.3');
  expect(() => remoteAddress(['10.0.0.0/33'])).toThrow(/no address and no network; write 10\.0\.0\.7 or/);
  expect(() => remoteAddress(['proxy.example'])).toThrow(/trusted_proxies/);
});
