/** What holds for every operation of the API: a GET changes nothing, a change is in the history, no other site may ask, answers say what browsers must not do. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Event } from '../../src/schema/event.ts';
import { ApiWorld } from './api-world.ts';
import { type Case, examples, operationsOf, type Scene, scene, send } from './examples.ts';

let world: ApiWorld;
let set: Scene;
let cases: readonly Case[];
beforeAll(async () => {
  world = await ApiWorld.open();
  set = await scene(world);
  cases = examples(set);
});
afterAll(() => world.close());

/** All rows of all tables as text, read by a connection of its own. */
function wholeDatabase(): string {
  const client = new Database(join(world.folder, 'sealpool.sqlite'), { readonly: true });
  try {
    const tables = client.prepare("select name from sqlite_schema where type = 'table' order by name").all() as { name: string }[];
    return JSON.stringify(tables.map(({ name }) => [name, client.prepare(`select * from "${name}" order by 1, 2`).all()]));
  } finally {
    client.close();
  }
}

test('no GET changes anything, whatever it asks about', { timeout: 60_000 }, async () => {
  const gets = cases.filter(({ route }) => route.startsWith('GET '));
  expect(new Set(gets.map(({ route }) => route)).size).toBe(operationsOf(world).filter(({ method }) => method === 'GET').length);
  for (const given of gets) {
    for (const make of [given.own, given.foreign, given.missing]) {
      const example = await make?.();
      if (example === undefined) continue;
      const before = wholeDatabase();
      for (const method of ['GET', 'HEAD']) {
        const { status } = await world.call(method, example.path, { token: world.admin });
        expect(status, example.path).toBeLessThan(500);
      }
      expect(wholeDatabase() === before, `${given.route} changed the database`).toBe(true);
    }
  }
});

test('every change is in the history, with who asked for it and the id of the request', { timeout: 60_000 }, async () => {
  const changes = cases.filter(({ route }) => !route.startsWith('GET '));
  expect(new Set(changes.map(({ route }) => route)).size).toBe(operationsOf(world).filter(({ method }) => method !== 'GET').length);
  for (const given of changes) {
    const example = await given.own();
    const runnerCall = operationsOf(world).some(({ route, who }) => route === given.route && who === 'runner');
    const last = await world.door.run((ctx) => ctx.tx.lastEventSeq());
    const answer = await send(world, given.route, example, runnerCall ? set.runner.credential : world.admin);
    expect(answer.status, given.route).toBe(200);
    const since = await world.door.run((ctx) => ctx.tx.eventsAfter(last, 100));
    if (given.event === 'none') continue;
    const told = since.find(({ kind, actor }) => kind === given.event && actor !== 'engine') as Event;
    expect(told, given.route).toMatchObject({
      actor: expect.stringMatching(/^(operator:admin of a test|runner:r-\w+)$/),
      request: answer.headers.get('x-request-id'),
      ...(given.event === 'audit'
        ? { detail: { action: expect.stringMatching(/^[a-z_]+(\.[a-z_]+)?$/), by: expect.stringMatching(/^t-/) } }
        : {}),
    });
    const secret = (answer.json as { token?: string } | undefined)?.token;
    if (secret !== undefined) expect(JSON.stringify(since)).not.toContain(secret);
  }
});

test('no answer lets another site in, and all say what a browser must not do with them', { timeout: 60_000 }, async () => {
  const origin = {
    origin: 'https://elsewhere.example',
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization',
  };
  const opened = (headers: Headers): string[] => [...headers.keys()].filter((name) => name.startsWith('access-control-'));
  for (const given of cases) {
    const { path, body, raw } = await given.own();
    const asked = { token: world.admin, body, headers: origin, ...(raw === undefined ? {} : { raw }) };
    const answers = [
      await world.call(given.route.split(' ')[0] as string, path, asked),
      await world.call('OPTIONS', path, { headers: origin }),
      await world.call('GET', `${path.split('?')[0]}/nothing`, { token: world.admin, headers: origin }),
    ];
    for (const { headers } of answers) {
      expect(opened(headers), given.route).toEqual([]);
      expect(headers.get('x-content-type-options'), given.route).toBe('nosniff');
      expect(headers.get('referrer-policy'), given.route).toBe('no-referrer');
      expect(headers.get('content-security-policy'), given.route).toContain("frame-ancestors 'none'");
      if (path.startsWith('/v1/')) expect(headers.get('cache-control'), given.route).toMatch(/no-store|no-cache/);
    }
    expect(answers[1]?.status, given.route).toBe(405);
  }
});

test('bodies are bounded: by their length where it is told, by what arrives where it is not', { timeout: 60_000 }, async () => {
  const large = new Set(['POST /v1/sectors/import', 'POST /v1/runners/self/next', 'POST /v1/runners/self/heartbeat', 'POST /v1/pieces']);
  const tooMuch = 'x'.repeat(300_000);
  for (const given of cases.filter(({ route }) => !route.startsWith('GET '))) {
    const { path } = await given.own();
    const json = { 'content-type': 'application/json' };
    const chunks = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let at = 0; at < 10; at += 1) controller.enqueue(new TextEncoder().encode('x'.repeat(30_000)));
        controller.close();
      },
    });
    for (const raw of [tooMuch, chunks]) {
      const runnerCall = path.startsWith('/v1/runners/self/');
      const answer = await world.call(given.route.split(' ')[0] as string, path, {
        token: runnerCall ? set.runner.credential : world.admin,
        raw,
        headers: { ...json, 'idempotency-key': `bounded-${given.route.replaceAll(' ', '-')}` },
      });
      if (large.has(given.route)) expect(answer.status, given.route).not.toBe(200);
      else if (given.route.startsWith('DELETE ')) expect([200, 409, 413], given.route).toContain(answer.status);
      else expect(answer, given.route).toMatchObject({ status: 413 });
    }
  }
});
