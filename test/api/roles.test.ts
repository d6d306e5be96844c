/** Every route × every kind of caller × own, foreign and missing objects. A route that is not listed here fails the test. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ApiWorld, BOOT, OURS, RESOURCES, THEIRS } from './api-world.ts';

type Caller =
  | 'nobody'
  | 'unknown token'
  | 'revoked token'
  | 'runner'
  | 'viewer'
  | 'operator'
  | 'admin'
  | 'operator of ours'
  | 'operator of theirs';
type Who = 'none' | 'viewer' | 'operator' | 'admin' | 'runner';
type Case = {
  readonly route: string;
  readonly who: Who;
  /** Path with its objects filled in. */
  readonly own: () => string;
  readonly foreign?: () => string;
  readonly missing?: () => string;
  readonly body?: unknown;
  /** About the whole control plane: tokens bound to miners are refused. */
  readonly whole?: boolean;
};

let world: ApiWorld;
const secrets = new Map<Caller, string | undefined>();
const id = { own: '', foreign: '', runner: '', token: '', webhook: '', delivery: '' };
const NEXT = { bootId: BOOT, freeSlots: 0, running: [], reports: [], resources: RESOURCES, waitMs: 0 };

beforeAll(async () => {
  world = await ApiWorld.open();
  const runner = await world.runner();
  const revoked = await world.token('admin');
  const { json } = await world.call('GET', '/v1/tokens', { token: revoked });
  await world.call('DELETE', `/v1/tokens/${(json as { items: { id: string }[] }).items.at(-1)?.id}`, { token: world.admin });
  const all: [Caller, string | undefined][] = [
    ['nobody', undefined],
    ['unknown token', `sp-api-${'0'.repeat(64)}`],
    ['revoked token', revoked],
    ['runner', runner.credential],
    ['viewer', await world.token('viewer')],
    ['operator', await world.token('operator')],
    ['admin', await world.token('admin')],
    ['operator of ours', await world.token('operator', [OURS])],
    ['operator of theirs', await world.token('operator', [THEIRS])],
  ];
  for (const [caller, secret] of all) secrets.set(caller, secret);
  [id.own] = (await world.pledge(OURS)) as [string];
  [id.foreign] = (await world.pledge(THEIRS)) as [string];
  id.runner = runner.runnerId;
  const hook = { url: 'https://receiver.test/', miners: [OURS] };
  ({ id: id.webhook } = (await world.call('POST', '/v1/webhooks', { token: world.admin, body: hook })).json as { id: string });
  const delivery = await world.call('POST', `/v1/webhooks/${id.webhook}/test`, { token: world.admin });
  ({ id: id.delivery } = delivery.json as { id: string });
});
afterAll(() => world.close());

const sector = (action: string, who: Who, body?: unknown): Case => ({
  route: `${body === undefined ? 'GET' : 'POST'} /v1/sectors/{ref}${action}`,
  who,
  body,
  own: () => `/v1/sectors/${id.own}${action}`,
  foreign: () => `/v1/sectors/${id.foreign}${action}`,
  missing: () => `/v1/sectors/j-000000000000${action}`,
});
const thread = (action: string): Case => ({
  route: `POST /v1/workers/{w}/threads/{i}/${action}`,
  who: 'operator',
  body: {},
  own: () => `/v1/workers/ours/threads/0/${action}`,
  foreign: () => `/v1/workers/theirs/threads/0/${action}`,
  missing: () => `/v1/workers/nowhere/threads/0/${action}`,
});
const runnerAction = (action: string, who: Who): Case => ({
  route: `POST /v1/runners/{id}/${action}`,
  who,
  body: {},
  whole: true,
  own: () => `/v1/runners/${id.runner}/${action}`,
  missing: () => `/v1/runners/r-000000000000/${action}`,
});
const plain = (route: string, who: Who, more: Partial<Case> = {}): Case => ({
  route,
  who,
  own: () => route.split(' ')[1] as string,
  ...more,
});
/** More on them, tokens of some miners above all, in webhooks.test.ts. */
const webhook = (method: string, action = '', body?: unknown): Case => ({
  route: `${method} /v1/webhooks/{id}${action}`,
  who: 'admin',
  body,
  own: () => `/v1/webhooks/${id.webhook}${action.replace('{delivery}', id.delivery)}`,
  missing: () => `/v1/webhooks/w-000000000000${action.replace('{delivery}', id.delivery)}`,
});

const CASES: readonly Case[] = [
  plain('GET /healthz', 'none'),
  plain('GET /readyz', 'none'),
  plain('GET /v1/plans', 'viewer'),
  plain('POST /v1/sectors', 'operator', { body: { plan: 'sealer', miner: OURS, count: 1 } }),
  plain('GET /v1/sectors', 'viewer'),
  plain('POST /v1/sectors/import', 'operator', { body: { records: [] } }),
  plain('GET /v1/sectors/export', 'viewer'),
  sector('', 'viewer'),
  sector('/explain', 'viewer'),
  sector('/piece', 'operator'),
  sector('/pause', 'operator', {}),
  sector('/resume', 'operator', {}),
  sector('/abort', 'operator', {}),
  plain('GET /v1/workers', 'viewer'),
  {
    route: 'GET /v1/workers/{w}',
    who: 'viewer',
    own: () => '/v1/workers/ours',
    foreign: () => '/v1/workers/theirs',
    missing: () => '/v1/workers/nowhere',
  },
  thread('pause'),
  thread('resume'),
  thread('abort'),
  thread('disable'),
  thread('enable'),
  plain('GET /v1/settings', 'viewer', { whole: true }),
  plain('PATCH /v1/settings', 'operator', { body: { limits: { all: { concurrent: { PC1: 2 } } } }, whole: true }),
  plain('POST /v1/runners/tokens', 'admin', { body: { trust: 'rented' }, whole: true }),
  plain('GET /v1/runners', 'viewer', { whole: true }),
  plain('POST /v1/runners/register', 'none', { body: { token: `sp-join-${'0'.repeat(64)}` } }),
  plain('POST /v1/runners/self/next', 'runner', { body: NEXT }),
  plain('POST /v1/runners/self/heartbeat', 'runner', { body: { bootId: BOOT, attempts: [] } }),
  plain('GET /v1/events', 'viewer'),
  plain('POST /v1/pieces', 'operator', {
    own: () => `/v1/pieces?miner=${OURS}`,
    foreign: () => `/v1/pieces?miner=${THEIRS}`,
    missing: () => '/v1/pieces?miner=t09999',
  }),
  plain('GET /v1/pieces', 'viewer', {
    own: () => `/v1/pieces?miner=${OURS}`,
    foreign: () => `/v1/pieces?miner=${THEIRS}`,
    missing: () => '/v1/pieces?miner=t09999',
  }),
  plain('POST /v1/tokens', 'admin', { body: { name: 'made', role: 'viewer' }, whole: true }),
  plain('GET /v1/tokens', 'admin', { whole: true }),
  plain('POST /v1/backup', 'admin', { whole: true }),
  {
    route: 'DELETE /v1/tokens/{id}',
    who: 'admin',
    whole: true,
    own: () => '/v1/tokens/t-000000000000',
    missing: () => '/v1/tokens/t-000000000000',
  },
  plain('POST /v1/webhooks', 'admin', { body: { url: 'https://receiver.test/' } }),
  plain('GET /v1/webhooks', 'admin'),
  webhook('GET'),
  webhook('PATCH', '', {}),
  webhook('POST', '/test', {}),
  webhook('POST', '/rotate', {}),
  webhook('GET', '/deliveries'),
  webhook('POST', '/deliveries/{delivery}/redeliver', {}),
  webhook('POST', '/disable', {}),
  webhook('POST', '/enable', {}),
  webhook('DELETE'),
  runnerAction('drain', 'operator'),
  runnerAction('cordon', 'operator'),
  runnerAction('ban', 'admin'),
];

const RANK: Record<string, number> = { viewer: 0, operator: 1, admin: 2, 'operator of ours': 1, 'operator of theirs': 1 };

/** 401 and 403 where the caller is not let in; undefined where it is. */
function refusal(caller: Caller, { who, whole }: Case): number | undefined {
  if (who === 'none') return undefined;
  // A secret that is an API token by its form does not become a runner's by being known or not.
  if (who === 'runner' && caller.endsWith(' token')) return 403;
  if (caller === 'nobody' || caller === 'unknown token' || caller === 'revoked token') return 401;
  if (who === 'runner') return caller === 'runner' ? undefined : 403;
  if (caller === 'runner' || (RANK[caller] ?? 0) < (RANK[who] ?? 0)) return 403;
  return whole === true && caller.includes(' of ') ? 403 : undefined;
}

const send = ({ route, body }: Case, path: string, caller: Caller) =>
  world.call(route.split(' ')[0] as string, path, {
    token: secrets.get(caller),
    body,
    ...(route === 'POST /v1/pieces' ? { raw: 'bytes' } : {}),
  });

test('every route of the description is in the table', async () => {
  const { paths } = (await world.call('GET', '/openapi.json')).json as {
    paths: Record<string, Record<string, { 'x-sealpool-who': string }>>;
  };
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { 'x-sealpool-who': who }]) => `${method.toUpperCase()} ${path} ${who}`),
  );
  expect(described.sort()).toEqual(CASES.map(({ route, who }) => `${route} ${who}`).sort());
});

const CALLERS: readonly Caller[] = [
  'nobody',
  'unknown token',
  'revoked token',
  'runner',
  'viewer',
  'operator',
  'operator of ours',
  'operator of theirs',
  'admin',
];
// The last one ends the runner's credential: it goes last.
describe.each(CASES)('$route', (given) => {
  test.each(CALLERS)('%s', async (caller) => {
    const expected = refusal(caller, given);
    const own = await send(given, given.own(), caller);
    if (expected !== undefined) {
      expect(own).toMatchObject({ status: expected, type: 'application/problem+json' });
      for (const path of [given.foreign, given.missing])
        if (path !== undefined) expect((await send(given, path(), caller)).status).toBe(expected);
      return;
    }
    if (given.route === 'POST /v1/runners/register') expect([400, 401]).toContain(own.status);
    else if (given.route === 'DELETE /v1/tokens/{id}') expect(own.status).toBe(404);
    else if (caller === 'operator of theirs' && given.route === 'POST /v1/sectors') expect(own.status).toBe(404);
    else if (caller === 'operator of theirs' && given.foreign !== undefined) expect(own.status).toBe(404);
    else expect([200, 409]).toContain(own.status);
    if (given.missing === undefined) return;
    const missing = await send(given, given.missing(), caller);
    expect(missing.status).toBe(404);
    if (given.foreign === undefined || !caller.includes(' of ')) return;
    // Whose object it is cannot be told from the answer: same status, same words but for the name asked for.
    const foreign = await send(given, caller === 'operator of ours' ? given.foreign() : given.own(), caller);
    const words = (answer: typeof foreign, path: string) => {
      const { requestId: _id, detail, ...rest } = answer.json as { requestId: string; detail: string };
      return { ...rest, detail: path.split(/[/?=]/).reduce((text, part) => (part.length > 3 ? text.replaceAll(part, '·') : text), detail) };
    };
    expect(words(foreign, caller === 'operator of ours' ? given.foreign() : given.own())).toEqual(words(missing, given.missing()));
  });
});

test('a token bound to a miner lists its own and nothing else', async () => {
  const token = secrets.get('operator of ours');
  const { items } = (await world.call('GET', '/v1/sectors', { token })).json as { items: { miner: string }[] };
  expect(new Set(items.map(({ miner }) => miner))).toEqual(new Set([OURS]));
  const workers = (await world.call('GET', '/v1/workers', { token })).json as { items: { worker: string }[] };
  expect(workers.items.map(({ worker }) => worker)).toEqual(['ours', 'shared']);
  const events = (await world.call('GET', '/v1/events', { token })).json as { items: { job: string }[] };
  expect(events.items.some(({ job }) => job === id.own)).toBe(true);
  expect(events.items.some(({ job }) => job === id.foreign)).toBe(false);
  expect((await world.call('POST', '/v1/sectors', { token, body: { plan: 'sealer', miner: THEIRS, count: 1 } })).status).toBe(404);
});
