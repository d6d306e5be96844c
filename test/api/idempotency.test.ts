/** A request that is sent again makes nothing: in parallel, over real connections, after a crash, with other bytes. */
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { createClient } from '../../src/api/client.ts';
import { listen } from '../../src/main/http-server.ts';
import { ANSWERS_KEPT_MS, forgetAnswers } from '../../src/scheduler/answers.ts';
import { openDoor } from '../../src/api/door.ts';
import { createApp } from '../../src/api/app.ts';
import { ApiWorld, OURS, THEIRS } from './api-world.ts';

let world: ApiWorld;
beforeEach(async () => {
  world = await ApiWorld.open();
});
afterEach(() => world.close());

const keyed = (path: string, key: string, body: unknown, token = world.admin) =>
  world.call('POST', path, { token, body, headers: { 'idempotency-key': key } });
const jobs = async (): Promise<string[]> =>
  ((await world.call('GET', '/v1/sectors', { token: world.admin })).json as { items: { id: string }[] }).items.map(({ id }) => id);
const idOf = (answer: { json: unknown }): string => (answer.json as { items: { id: string }[] }).items[0]?.id as string;

/** The app behind a real listener on loopback; answers its URL. */
async function served(): Promise<string> {
  const server = await listen(world.app.fetch, '127.0.0.1', 0);
  onTestFinished(() => server.close(0));
  return `http://127.0.0.1:${server.port}`;
}

const SEALER = { plan: 'sealer', miner: OURS, count: 1 };

test('the same POST with the same key a hundred times in parallel makes one job; with another body it is 422', async () => {
  const url = await served();
  const post = (body: unknown) =>
    fetch(`${url}/v1/sectors`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${world.admin}`,
        'content-type': 'application/json',
        'idempotency-key': 'order-66',
      },
      body: JSON.stringify(body),
    });
  const answers = await Promise.all(Array.from({ length: 100 }, () => post(SEALER)));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  const bodies = await Promise.all(answers.map((answer) => answer.text()));
  expect(new Set(bodies).size).toBe(1);
  expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') === 'true')).toHaveLength(99);
  expect(await jobs()).toHaveLength(1);
  const others = await Promise.all(Array.from({ length: 100 }, (_, at) => post({ ...SEALER, count: 2 + (at % 3) })));
  expect(new Set(others.map(({ status }) => status))).toEqual(new Set([422]));
  expect(await others[0]?.json()).toMatchObject({ code: 'idempotency_key_reused', detail: expect.stringMatching(/send a new key/) });
  expect(await jobs()).toHaveLength(1);
});

test('a transaction that does not come to its end leaves neither job nor answer; the repeat makes the one', async () => {
  let broken = 0;
  const breaking: typeof world.store = {
    // What a crash before COMMIT does: everything ran, nothing stays.
    commit: (fn) =>
      world.store.commit(((tx: Parameters<typeof fn>[0]) => {
        const before = tx.lastEventSeq();
        const result = fn(tx);
        if (broken > 0 && tx.lastEventSeq() > before) {
          broken -= 1;
          throw new Error('the machine lost power');
        }
        return result;
      }) as typeof fn),
    close: () => undefined,
  };
  const door = openDoor({ store: breaking, clock: { now: () => world.nowMs }, ids: world.ids, settings: world.settings });
  const app = createApp({ ...world.parts, door });
  const post = () =>
    app.request('/v1/sectors', {
      method: 'POST',
      headers: { authorization: `Bearer ${world.admin}`, 'content-type': 'application/json', 'idempotency-key': 'k' },
      body: JSON.stringify(SEALER),
    });
  broken = 1;
  expect((await post()).status).toBe(500);
  expect(await jobs()).toEqual([]);
  const again = await post();
  expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([200, null]);
  expect(await jobs()).toHaveLength(1);
  expect((await post()).headers.get('idempotency-replayed')).toBe('true');
  expect(await jobs()).toHaveLength(1);
});

test('a key is of one token, one path and one query; a refused request does not use it up', async () => {
  const other = await world.token('operator');
  const first = await keyed('/v1/sectors', 'k', SEALER);
  const foreign = await keyed('/v1/sectors', 'k', SEALER, other);
  expect(idOf(foreign)).not.toBe(idOf(first));
  expect(await keyed('/v1/sectors/import', 'k', { records: [] })).toMatchObject({ status: 422, json: { code: 'idempotency_key_reused' } });
  const bad = { plan: 'snapup', sector: 's-t01000-7' };
  expect((await keyed('/v1/sectors', 'late', bad)).status).toBe(404);
  expect((await keyed('/v1/sectors', 'late', SEALER)).status).toBe(200);
  expect((await keyed('/v1/sectors/import', 'i', { records: [] })).json).toEqual(
    (await keyed('/v1/sectors/import', 'i', { records: [] })).json,
  );
});

test.each(['', 'a b', 'ü', 'x'.repeat(201)])('the key %j is refused, and nothing is made', async (key) => {
  expect(await keyed('/v1/sectors', key, SEALER)).toMatchObject({
    status: 400,
    json: { code: 'invalid_request', detail: expect.stringMatching(/idempotency-key: .*1 to 200 visible ASCII/) },
  });
  expect(await jobs()).toEqual([]);
});

describe.each([
  ['/v1/tokens', { name: 'made', role: 'viewer' }, /made the token t-\w+ already.*revoke t-\w+ and make another with a new key/],
  ['/v1/runners/tokens', { trust: 'own' }, /a join token for one own runner already.*make another with a new key/],
] as const)('%s', (path, body, sentence) => {
  test('a secret is told once: the repeat says what was made and what to do, and the secret is not in the database', async () => {
    const first = (await keyed(path, 'k', body)).json as { token: string };
    const again = await keyed(path, 'k', body);
    expect(again).toMatchObject({ status: 409, json: { code: 'secret_told_already', detail: expect.stringMatching(sentence) } });
    expect(again.text).not.toContain(first.token);
    const kept = await world.door.run((ctx) => ctx.tx.answer(ctx.tx.apiTokens()[0]?.id as never, 'k'));
    expect(kept?.answer).not.toContain(first.token);
  });
});

describe('pieces', () => {
  const upload = (key: string, bytes: string, miner = OURS) =>
    world.call('POST', `/v1/pieces?miner=${miner}`, { token: world.admin, raw: bytes, headers: { 'idempotency-key': key } });
  const stored = async () => (await world.door.run((ctx) => ctx.tx.waitingPieces(OURS, 99))).map(({ id, key }) => ({ id, key }));

  test('the same bytes are one piece and one object, also in parallel; other bytes and another miner are 422', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => upload('k', 'bytes of a piece')));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    const rows = await stored();
    expect(rows).toHaveLength(1);
    expect(await upload('k', 'other bytes')).toMatchObject({ status: 422, json: { code: 'idempotency_key_reused' } });
    expect((await upload('k', 'bytes of a piece', THEIRS)).status).toBe(422);
    expect(await stored()).toEqual(rows);
    expect(world.objectKeys()).toEqual([rows[0]?.key]);
  });
});

test('answers are kept for a day and then dropped in batches', async () => {
  for (let at = 0; at < 7; at += 1) await keyed('/v1/sectors/import', `k${at}`, { records: [] });
  const forget = () => world.door.run((ctx) => forgetAnswers(ctx, 3));
  world.nowMs += ANSWERS_KEPT_MS;
  expect(await forget()).toBe(false);
  expect((await keyed('/v1/sectors/import', 'k0', { records: [] })).headers.get('idempotency-replayed')).toBe('true');
  world.nowMs += 1;
  expect([await forget(), await forget(), await forget()]).toEqual([true, true, false]);
  expect((await keyed('/v1/sectors/import', 'k0', { records: [] })).headers.get('idempotency-replayed')).toBe(null);
});

test('the client sends the key', async () => {
  const client = createClient({ baseUrl: await served(), token: world.admin });
  const request = SEALER as Parameters<typeof client.pledge>[0];
  const [one, two] = [await client.pledge(request, { idempotencyKey: 'k' }), await client.pledge(request, { idempotencyKey: 'k' })];
  expect(two).toEqual(one);
  await expect(client.pledge({ ...request, count: 2 }, { idempotencyKey: 'k' })).rejects.toMatchObject({ problem: { status: 422 } });
});
