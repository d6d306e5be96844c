/** Routes of webhooks: roles, own, foreign and missing, malformed bodies, versions, secrets, the description. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deliveryTried, deliveryTurn } from '../../src/scheduler/deliveries.ts';
import { EVENT_TYPES } from '../../src/schema/event.ts';
import { ApiWorld, OURS, THEIRS } from './api-world.ts';

const URL_ = 'https://receiver.test/hook';
type View = { id: string; version: number; secret?: string; status: string; miners: string[] | null; url: string; types: string[] | null };
type Delivery = { id: string; message: string; status: string; type: string };

let world: ApiWorld;
let ofOurs: string;
let ofTheirs: string;
beforeAll(async () => {
  world = await ApiWorld.open();
  ofOurs = await world.token('admin', [OURS]);
  ofTheirs = await world.token('admin', [THEIRS]);
});
afterAll(() => world.close());

const call = (method: string, path: string, given: Parameters<ApiWorld['call']>[2] = {}) =>
  world.call(method, `/v1/webhooks${path}`, { token: world.admin, ...given });
async function create(body: object = {}, token = world.admin): Promise<View> {
  const answer = await call('POST', '', { token, body: { url: URL_, ...body } });
  expect(answer.status).toBe(200);
  return answer.json as View;
}
const deliveries = async (id: string, query = ''): Promise<{ items: Delivery[]; cursor: string | null }> =>
  (await call('GET', `/${id}/deliveries${query}`)).json as { items: Delivery[]; cursor: string | null };

test('the secret is answered when it is made and when it is rotated, and never else', async () => {
  const made = await create({ description: 'a test' });
  expect(made).toMatchObject({ status: 'enabled', version: 1, types: null, miners: null, allowPrivate: false, description: 'a test' });
  expect(made.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  const rotated = (await call('POST', `/${made.id}/rotate`)).json as View;
  expect(rotated.secret).toMatch(/^whsec_/);
  expect(rotated.secret).not.toBe(made.secret);
  for (const [method, path, body] of [
    ['GET', ''],
    ['GET', `/${made.id}`],
    ['PATCH', `/${made.id}`, { description: 'other' }],
    ['POST', `/${made.id}/disable`],
    ['POST', `/${made.id}/enable`, {}],
    ['POST', `/${made.id}/test`],
    ['GET', `/${made.id}/deliveries`],
    ['DELETE', `/${made.id}`],
  ] as const) {
    const answer = await call(method, path, { body });
    expect(answer.status).toBe(200);
    expect(answer.text).not.toMatch(/whsec_|"secret"/);
  }
  expect((await call('GET', `/${made.id}`)).status).toBe(404);
  const events = (await world.call('GET', '/v1/events?limit=1000', { token: world.admin })).text;
  for (const text of [events, world.log.join('\n')]) for (const secret of [made.secret, rotated.secret]) expect(text).not.toContain(secret);
});

test('with If-Match a change is made of that version only', async () => {
  const { id } = await create();
  const read = await call('GET', `/${id}`);
  const tag = read.headers.get('etag') as string;
  const patch = (body: object, match?: string) =>
    call('PATCH', `/${id}`, { body, headers: match === undefined ? {} : { 'if-match': match } });
  const first = await patch({ types: ['audit', 'audit'] }, tag);
  expect(first).toMatchObject({ status: 200, json: { types: ['audit'], version: 2, url: URL_ } });
  expect(first.headers.get('etag')).toBe('"2"');
  const second = await patch({ description: 'lost' }, tag);
  expect(second).toMatchObject({ status: 412, type: 'application/problem+json', json: { code: 'changed_meanwhile' } });
  expect((await patch({ description: 'weak' }, 'W/"2"')).status).toBe(412);
  expect((await patch({ description: 'kept' }, '"1", "2"')).status).toBe(200);
  expect((await patch({ types: null }, '*')).json).toMatchObject({ types: null, description: 'kept', version: 4 });
  expect((await patch({ url: 'https://other.test/' })).json).toMatchObject({ version: 5 });
  expect((await patch({}, 'rubbish')).status).toBe(412);
  expect((await call('DELETE', `/${id}`, { headers: { 'if-match': tag } })).status).toBe(412);
  expect((await call('DELETE', `/${id}`, { headers: { 'if-match': '"5"' } })).status).toBe(200);
});

test.each([
  ['nothing', {}],
  ['no URL', { url: 'receiver' }],
  ['another scheme', { url: 'ftp://receiver.test/' }],
  ['a file', { url: 'file:///etc/passwd' }],
  ['http without leave', { url: 'http://receiver.test/' }],
  ['a password in it', { url: 'https://user:word@receiver.test/' }],
  ['a fragment', { url: 'https://receiver.test/#x' }],
  ['a blank in it', { url: 'https://receiver.test/a b' }],
  ['a long URL', { url: `https://receiver.test/${'x'.repeat(2_000)}` }],
  ['an unknown type', { url: URL_, types: ['sector.nothing'] }],
  ['a type of tests', { url: URL_, types: ['webhook.test'] }],
  ['no types', { url: URL_, types: [] }],
  ['no miners', { url: URL_, miners: [] }],
  ['a miner that is none', { url: URL_, miners: ['t1abc'] }],
  ['an unknown field', { url: URL_, secret: 'whsec_mine' }],
  ['a description that steers a terminal', { url: URL_, description: '\u001b[2J' }],
  ['a word for a flag', { url: URL_, allowPrivate: 'yes' }],
  ['a list', []],
])('%s is refused', async (_what, body) => {
  expect(await call('POST', '', { body })).toMatchObject({ status: 400, type: 'application/problem+json' });
});

test('what is no JSON, or no id, is refused', async () => {
  const headers = { 'content-type': 'application/json' };
  expect((await call('POST', '', { raw: '{', headers })).status).toBe(400);
  expect((await call('GET', '/nothing')).status).toBe(400);
  const { id } = await create();
  expect((await call('GET', `/${id}/deliveries?cursor=x`)).status).toBe(400);
  expect((await call('GET', `/${id}/deliveries?limit=0`)).status).toBe(400);
  expect((await call('POST', `/${id}/deliveries/nothing/redeliver`)).status).toBe(400);
  expect((await call('PATCH', `/${id}`, { body: { url: 'http://receiver.test/' } })).json).toMatchObject({ code: 'https_needed' });
});

describe('every route × every role × own, foreign and missing', () => {
  const ROUTES = [
    ['GET', ''],
    ['PATCH', ''],
    ['POST', '/disable'],
    ['POST', '/enable'],
    ['POST', '/test'],
    ['POST', '/rotate'],
    ['GET', '/deliveries'],
    ['POST', '/deliveries/d-000000/redeliver'],
    ['DELETE', ''],
  ] as const;
  const MISSING = 'w-000000000000';
  const body = (method: string) => (method === 'POST' || method === 'PATCH' ? { body: {} } : {});

  test.each(ROUTES)('%s {id}%s', async (method, path) => {
    const own = await create({ miners: [OURS] });
    const foreign = [await create({ miners: [THEIRS] }), await create({ miners: [OURS, THEIRS] }), await create()];
    const send = (id: string, token: string | undefined) => call(method, `/${id}${path}`, { token, ...body(method) });
    const runner = await world.runner();
    for (const id of [own.id, MISSING]) {
      expect((await send(id, undefined)).status).toBe(401);
      for (const role of ['viewer', 'operator'] as const) expect((await send(id, await world.token(role))).status).toBe(403);
      expect((await send(id, runner.credential)).status).toBe(403);
    }
    const words = async (id: string, token: string) => {
      const { status, json } = await send(id, token);
      const { requestId: _id, detail, ...rest } = json as { requestId: string; detail: string };
      return { status, ...rest, detail: detail.replaceAll(id, '·') };
    };
    const missing = await words(MISSING, ofOurs);
    expect(missing.status).toBe(404);
    for (const { id } of foreign) expect(await words(id, ofOurs)).toEqual(missing);
    expect(await words(own.id, ofTheirs)).toEqual(missing);
    expect((await send(MISSING, world.admin)).status).toBe(404);
    const redelivers = path.endsWith('redeliver');
    expect((await send(own.id, ofOurs)).status).toBe(redelivers ? 404 : 200);
    for (const { id } of foreign) expect((await send(id, world.admin)).status).toBe(redelivers ? 404 : 200);
  });

  test('listing and making', async () => {
    for (const [token, status] of [
      [undefined, 401],
      [await world.token('viewer'), 403],
      [await world.token('operator'), 403],
    ] as const) {
      expect((await call('GET', '', { token })).status).toBe(status);
      expect((await call('POST', '', { token, body: { url: URL_ } })).status).toBe(status);
    }
    const own = await create({ miners: [OURS] }, ofOurs);
    const { items } = (await call('GET', '', { token: ofOurs })).json as { items: View[] };
    expect(items.map(({ id }) => id)).toContain(own.id);
    expect(new Set(items.flatMap(({ miners }) => miners ?? ['all']))).toEqual(new Set([OURS]));
  });
});

test('a token of some miners makes webhooks of those only, and reaches no private address', async () => {
  const make = (body: object) => call('POST', '', { token: ofOurs, body: { url: URL_, ...body } });
  expect((await make({})).status).toBe(403);
  const [theirs, missing] = [await make({ miners: [THEIRS] }), await make({ miners: ['t09999'] })];
  expect([theirs.status, missing.status]).toEqual([404, 404]);
  expect((theirs.json as { detail: string }).detail.replace(THEIRS, '·')).toBe(
    (missing.json as { detail: string }).detail.replace('t09999', '·'),
  );
  expect((await make({ miners: [OURS], allowPrivate: true })).status).toBe(403);
  expect((await make({ miners: ['f01000'] })).json).toMatchObject({ miners: [OURS] });
  const inside = await create({ miners: [OURS], allowPrivate: true, url: 'http://10.0.0.7/' });
  const patch = (body: object) => call('PATCH', `/${inside.id}`, { token: ofOurs, body });
  expect((await patch({ url: 'http://10.0.0.8/' })).status).toBe(403);
  expect((await patch({ miners: null })).status).toBe(403);
  expect((await patch({ miners: [OURS, THEIRS] })).status).toBe(404);
  expect((await patch({ description: 'mine' })).status).toBe(200);
  expect((await patch({ url: URL_, allowPrivate: false })).status).toBe(200);
});

test('the log pages newest first; a delivery is sent again under its id; another webhook has none of it', async () => {
  const webhook = await create();
  const other = await create();
  for (let at = 0; at < 5; at += 1) await call('POST', `/${webhook.id}/test`);
  const { parcels } = await world.door.run((ctx) => deliveryTurn(ctx, new Map(), 500));
  const own = parcels.filter(({ webhook: { id } }) => id === webhook.id);
  const pages: Delivery[] = [];
  let cursor: string | null = null;
  do {
    const page = await deliveries(webhook.id, `?limit=4${cursor === null ? '' : `&cursor=${cursor}`}`);
    expect(page.items.length).toBeLessThanOrEqual(4);
    pages.push(...page.items);
    ({ cursor } = page);
  } while (cursor !== null);
  expect(pages.map(({ id }) => id).sort()).toEqual(own.map(({ delivery: { id } }) => id).sort());
  expect(pages.filter(({ type }) => type === 'webhook.test')).toHaveLength(5);
  const [first] = pages as [Delivery];
  await world.door.run((ctx) => deliveryTried(ctx, first.id as never, { status: 200, error: null }));
  expect((await deliveries(webhook.id)).items.find(({ id }) => id === first.id)).toMatchObject({ status: 'done', lastStatus: 200 });
  expect((await call('POST', `/${other.id}/deliveries/${first.id}/redeliver`)).status).toBe(404);
  expect((await call('POST', `/${webhook.id}/deliveries/${first.id}/redeliver`)).json).toMatchObject({
    status: 'open',
    message: first.message,
  });
  await call('POST', `/${webhook.id}/disable`);
  expect((await call('POST', `/${webhook.id}/test`)).json).toMatchObject({ code: 'webhook_disabled', status: 409 });
});

test('each change is an event with who made it and the request behind it', async () => {
  const { id } = await create();
  const answer = await call('POST', `/${id}/disable`);
  const { items } = (await world.call('GET', '/v1/events?type=audit&limit=1000', { token: world.admin })).json as {
    items: { actor: string; request: string; detail: Record<string, unknown> }[];
  };
  const event = items.find(({ detail }) => detail['webhook'] === id && detail['action'] === 'webhooks.disable');
  expect(event).toMatchObject({ actor: 'operator:admin of a test', request: answer.headers.get('x-request-id') });
});

test('the description has what is posted, by type', async () => {
  const { webhooks } = (await world.call('GET', '/openapi.json')).json as {
    webhooks: Record<
      string,
      { post: { requestBody: { content: { 'application/json': { schema: { properties: Record<string, object> } } } } } }
    >;
  };
  expect(Object.keys(webhooks).sort()).toEqual([...EVENT_TYPES, 'webhook.test'].sort());
  for (const [type, { post }] of Object.entries(webhooks)) {
    const { properties } = post.requestBody.content['application/json'].schema;
    expect(Object.keys(properties)).toEqual(['type', 'timestamp', 'data']);
    expect(JSON.stringify(properties['type'])).toContain(`"${type}"`);
  }
});
