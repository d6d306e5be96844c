/** API tokens end by themselves, get new secrets, and are never told twice; settings are changed by nobody unseen. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ApiWorld, OURS } from './api-world.ts';

type Made = { id: string; token: string; expiresMs: number | null; previousUntilMs: number | null };

let world: ApiWorld;
beforeEach(async () => {
  world = await ApiWorld.open();
});
afterEach(() => world.close());

const admin = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
  world.call(method, path, { token: world.admin, body, headers });
const create = async (more: object = {}): Promise<Made> =>
  (await admin('POST', '/v1/tokens', { name: 'made', role: 'admin', ...more })).json as Made;
const tries = (token: string) => world.call('GET', '/v1/plans', { token });
const rotate = async (id: string, body: unknown, token = world.admin): Promise<Made> =>
  (await world.call('POST', `/v1/tokens/${id}/rotate`, { token, body })).json as Made;

test.each([
  ['ttlMs', () => ({ ttlMs: 60_000 })],
  ['expiresMs', (nowMs: number) => ({ expiresMs: nowMs + 60_000 })],
] as const)('a token with %s is good until then and says afterwards when it ended', async (_how, more) => {
  const { token, id, expiresMs } = await create(more(world.nowMs));
  expect(expiresMs).toBe(world.nowMs + 60_000);
  world.nowMs += 59_999;
  expect((await tries(token)).status).toBe(200);
  world.nowMs += 1;
  expect(await tries(token)).toMatchObject({
    status: 401,
    json: {
      code: 'token_expired',
      detail: expect.stringMatching(new RegExp(`the token ${id} expired at 2027-.*; ask an admin for a new one`)),
    },
  });
  expect(await admin('POST', `/v1/tokens/${id}/rotate`, {})).toMatchObject({ status: 409, json: { code: 'token_expired' } });
});

test.each([
  [{ ttlMs: 1_000, expiresMs: 9e12 }, 'invalid_request'],
  [{ ttlMs: 999 }, 'invalid_request'],
  [{ expiresMs: 5 }, 'expired_already'],
])('%j is refused', async (more, code) => {
  expect(await admin('POST', '/v1/tokens', { name: 'made', role: 'viewer', ...more })).toMatchObject({ status: 400, json: { code } });
});

test('a rotated token has two good secrets until the grace ends, and shows no hash', async () => {
  const { id, token } = await create();
  const next = await rotate(id, { graceMs: 10_000 });
  expect(next).toMatchObject({ id, previousUntilMs: world.nowMs + 10_000 });
  expect(next.token).not.toBe(token);
  world.nowMs += 9_999;
  expect([(await tries(token)).status, (await tries(next.token)).status]).toEqual([200, 200]);
  world.nowMs += 1;
  expect(await tries(token)).toMatchObject({ status: 401, json: { code: 'token_rotated' } });
  expect((await tries(next.token)).status).toBe(200);
  const listing = await admin('GET', '/v1/tokens');
  expect(listing.text).not.toMatch(/[Hh]ash|[0-9a-f]{64}/);
  expect((listing.json as { items: object[] }).items.at(-1)).toEqual({
    id,
    name: 'made',
    role: 'admin',
    miners: null,
    createdMs: expect.any(Number),
    revokedMs: null,
    expiresMs: null,
    previousUntilMs: world.nowMs,
  });
});

test('without a grace the older secret ends at once, unless it is said it goes on for a day', async () => {
  const { id, token } = await create();
  const { previousUntilMs } = await rotate(id, undefined);
  expect(previousUntilMs).toBe(world.nowMs + 86_400_000);
  const last = await rotate(id, { graceMs: 0 });
  expect(last.previousUntilMs).toBe(null);
  expect((await tries(token)).status).toBe(401);
  expect((await tries(last.token)).status).toBe(200);
});

test('who lost the answer rotates again with the older secret: that goes on, the lost one ends', async () => {
  const { id, token } = await create();
  const lost = await rotate(id, { graceMs: 10_000 }, token);
  const found = await rotate(id, { graceMs: 10_000 }, token);
  expect([(await tries(token)).status, (await tries(lost.token)).status, (await tries(found.token)).status]).toEqual([200, 401, 200]);
});

test('revoking ends both secrets at once; the last admin that does not expire stays', async () => {
  const { id, token } = await create();
  const next = await rotate(id, {});
  expect((await admin('DELETE', `/v1/tokens/${id}`)).json).toMatchObject({ id, revokedMs: world.nowMs, previousUntilMs: null });
  expect([(await tries(token)).status, (await tries(next.token)).status]).toEqual([401, 401]);
  await create({ ttlMs: 60_000 });
  const [first] = ((await admin('GET', '/v1/tokens')).json as { items: { id: string }[] }).items;
  expect(await admin('DELETE', `/v1/tokens/${first?.id}`)).toMatchObject({
    status: 409,
    json: { code: 'last_admin', detail: expect.stringMatching(/that does not expire; create another one first/) },
  });
});

test('the miners of a token are those of the configuration, as it spells them; another one is not there', async () => {
  const body = { name: 'bound', role: 'operator', miners: ['f01000', 't01000'] };
  const made = await admin('POST', '/v1/tokens', body);
  expect(made).toMatchObject({ status: 200, json: { miners: [OURS] } });
  await world.pledge(OURS);
  const { token } = made.json as Made;
  expect((await world.call('GET', '/v1/sectors', { token })).json).toMatchObject({ items: [{ miner: OURS }] });
  expect(await admin('POST', '/v1/tokens', { ...body, miners: ['t09999'] })).toMatchObject({
    status: 404,
    json: { detail: expect.stringMatching(/no miner t09999/) },
  });
  expect((await admin('GET', '/v1/tokens')).json).toMatchObject({ items: [{}, { name: 'bound' }] });
});

test('settings: of two who read the same, the second is told that they changed; without If-Match, and with *, nothing is asked', async () => {
  const patch = (most: number | null, headers: Record<string, string> = {}) =>
    admin('PATCH', '/v1/settings', { limits: { all: { concurrent: { PC1: most } } } }, headers);
  const tag = (await admin('GET', '/v1/settings')).headers.get('etag') as string;
  expect(tag).toMatch(/^"[0-9a-f]{32}"$/);
  const first = await patch(1, { 'if-match': tag });
  expect(first.status).toBe(200);
  expect(await patch(2, { 'if-match': tag })).toMatchObject({
    status: 412,
    json: { code: 'changed_meanwhile', detail: expect.stringMatching(/the settings changed since you read it.*read it again/) },
  });
  const now = await admin('GET', '/v1/settings');
  expect(now.json).toMatchObject({ limits: { all: { concurrent: { PC1: 1 } } } });
  expect(now.headers.get('etag')).toBe(first.headers.get('etag'));
  expect((await patch(3, { 'if-match': `W/${now.headers.get('etag')}` })).status).toBe(412);
  expect((await patch(4, { 'if-match': `"other", ${now.headers.get('etag')}` })).status).toBe(200);
  expect([(await patch(5, { 'if-match': '*' })).status, (await patch(6)).status]).toEqual([200, 200]);
});

test('a miner is the same with f and t: a token and a piece are of the one that is configured', async () => {
  const { token } = await create({ role: 'operator', miners: ['f01000'] });
  const added = await world.call('POST', '/v1/pieces?miner=f01000', { token, raw: 'bytes of a piece' });
  expect(added).toMatchObject({ status: 200, json: { miner: 't01000' } });
  const { json } = await world.call('GET', '/v1/pieces?miner=f01000', { token });
  expect(json).toMatchObject({ items: [{ id: (added.json as { id: string }).id }] });
});
