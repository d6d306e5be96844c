/**
 * Who may do what: every operation × every kind of caller × an own, a foreign and a missing object, each with the status it
 * must have. Operations and their least roles come from the description itself, requests from the table of examples.
 */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Role } from '../../src/api/views.ts';
import { ApiWorld, OURS, THEIRS } from './api-world.ts';
import { type Case, type Example, examples, operationsOf, scene, send } from './examples.ts';

const ROLES = ['viewer', 'operator', 'admin'] as const;
/** Every kind of caller: who it is, and of which role and miners its token is. */
const CALLERS = [
  'nobody',
  'garbage',
  'unknown token',
  'expired token',
  'revoked token',
  'rotated token',
  ...ROLES,
  ...ROLES.map((role) => `${role} of t01000` as const),
  'runner',
  'another runner',
  'unknown runner',
] as const;
type Caller = (typeof CALLERS)[number];

let world: ApiWorld;
let cases: readonly Case[];
let whoOf: ReadonlyMap<string, string>;
const secrets = new Map<Caller, string | undefined>();

beforeAll(async () => {
  world = await ApiWorld.open();
  const set = await scene(world);
  cases = examples(set);
  whoOf = new Map(operationsOf(world).map(({ route, who }) => [route, who]));
  const made = async (body: object) =>
    (await world.call('POST', '/v1/tokens', { token: world.admin, body })).json as { id: string; token: string };
  const expired = await made({ name: 'ends', role: 'admin', ttlMs: 1_000 });
  const revoked = await made({ name: 'revoked', role: 'admin' });
  const rotated = await made({ name: 'rotated', role: 'admin' });
  await world.call('DELETE', `/v1/tokens/${revoked.id}`, { token: world.admin });
  await world.call('POST', `/v1/tokens/${rotated.id}/rotate`, { token: world.admin, body: { graceMs: 0 } });
  world.nowMs += 1_000;
  const all: [Caller, string | undefined][] = [
    ['nobody', undefined],
    ['garbage', 'let-me-in-let-me-in-let-me-in'],
    ['unknown token', `sp-api-${'0'.repeat(64)}`],
    ['expired token', expired.token],
    ['revoked token', revoked.token],
    ['rotated token', rotated.token],
    ['runner', set.runner.credential],
    ['another runner', (await world.runner('rented', 'another')).credential],
    ['unknown runner', `sp-run-${'0'.repeat(64)}`],
  ];
  for (const role of ROLES) {
    all.push([role, await world.token(role)], [`${role} of t01000`, await world.token(role, [OURS])]);
  }
  for (const [caller, secret] of all) secrets.set(caller, secret);
});
afterAll(() => world.close());

const isBound = (caller: Caller): boolean => caller.endsWith(' of t01000');
const isRunner = (caller: Caller): boolean => caller.endsWith('runner');
const rank = (role: string): number => ROLES.indexOf(role as Role);

/** The status where the caller is not let in at all; undefined where it is. */
function refusal(caller: Caller, who: string, whole: boolean): number | undefined {
  if (who === 'none') return undefined;
  if (caller === 'nobody' || caller === 'garbage') return 401;
  if (who === 'runner') {
    // Secrets say by their form whose they are: an API token does not become a runner's by being known or not.
    if (!isRunner(caller)) return 403;
    return caller === 'unknown runner' ? 401 : undefined;
  }
  if (isRunner(caller)) return 403;
  if (caller.endsWith(' token')) return 401;
  if (rank(caller.split(' ')[0] as string) < rank(who)) return 403;
  return whole && isBound(caller) ? 403 : undefined;
}

/** What the answer says but for the object's name and the request's id. */
function words(answer: Awaited<ReturnType<typeof send>>, { object }: Example): string {
  const told = JSON.stringify(answer.json ?? answer.text, (key, value: unknown) => (key === 'requestId' ? undefined : value));
  return `${answer.status} ${object === undefined ? told : told.replaceAll(object, '·')}`;
}

test('every operation has a row, and every row an operation', () => {
  const rows = new Set(cases.map(({ route }) => route));
  expect(operationsOf(world).filter(({ route, who }) => !rows.has(route) || who === 'unsaid')).toEqual([]);
  expect([...rows].filter((route) => !whoOf.has(route))).toEqual([]);
  expect(rows.size).toBeGreaterThan(35);
});

describe.each(CALLERS)('%s', (caller) => {
  test('own, foreign and missing objects of every operation', { timeout: 120_000 }, async () => {
    const [met, expected]: [string[], string[]] = [[], []];
    const ask = async (given: Case, what: 'own' | 'foreign' | 'missing', status: number): Promise<string | undefined> => {
      const example = await given[what]?.();
      if (example === undefined) return undefined;
      const answer = await send(world, given.route, example, secrets.get(caller));
      met.push(`${given.route} ${what} ${answer.status}`);
      expected.push(`${given.route} ${what} ${status}`);
      if (answer.status >= 400) expect(answer.type, given.route).toBe('application/problem+json');
      return words(answer, example);
    };
    for (const given of cases) {
      const { ok = 200, lacks = 404, lacksForAll = lacks } = given;
      const refused = refusal(caller, whoOf.get(given.route) as string, given.whole === true);
      const own = await ask(given, 'own', refused ?? ok);
      const foreign = await ask(given, 'foreign', refused ?? (isBound(caller) ? lacks : ok));
      const missing = await ask(given, 'missing', refused ?? (isBound(caller) ? lacks : lacksForAll));
      // Whose object it is, and whether it is there, cannot be told from the answer.
      if (isBound(caller) && foreign !== undefined) expect(foreign, given.route).toBe(missing);
      // What is the first runner's is foreign to the other one.
      if (caller === 'another runner' && whoOf.get(given.route) === 'runner') expect(own, given.route).toBe(missing);
      if (caller === 'runner' && whoOf.get(given.route) === 'runner') expect(own, given.route).not.toBe(missing);
    }
    expect(met).toEqual(expected);
    expect(met.length).toBeGreaterThan(70);
  });
});

test('a token bound to a miner lists its own and nothing else', async () => {
  const token = secrets.get('operator of t01000');
  const [theirs] = await world.pledge(THEIRS);
  const { items } = (await world.call('GET', '/v1/sectors', { token })).json as { items: { miner: string }[] };
  expect(new Set(items.map(({ miner }) => miner))).toEqual(new Set([OURS]));
  const workers = (await world.call('GET', '/v1/workers', { token })).json as { items: { worker: string }[] };
  expect(workers.items.map(({ worker }) => worker)).toEqual(['ours', 'shared']);
  const events = (await world.call('GET', '/v1/events?limit=1000', { token })).json as { items: { job: string; miner: string }[] };
  expect(new Set(events.items.map(({ miner }) => miner))).toEqual(new Set([OURS]));
  expect(events.items.some(({ job }) => job === theirs)).toBe(false);
});

test.each(['pause', 'resume', 'abort'])(
  'a shared thread with a foreign job in it is to a bound token as one without any: %s',
  async (action) => {
    const fresh = await ApiWorld.open();
    onTestFinished(() => fresh.close());
    const token = await fresh.token('operator', [OURS]);
    const ask = async () => words(await fresh.call('POST', `/v1/workers/shared/threads/0/${action}`, { token }), { path: '' });
    const idle = await ask();
    expect(idle).toMatch(/^409 .*thread_idle/);
    // The first fills the miner's own thread.
    await fresh.pledge(THEIRS, 2);
    expect((await fresh.door.run((ctx) => ctx.tx.thread('shared/0')))?.job).toMatch(/^j-/);
    expect(await ask()).toBe(idle);
    const pause = await fresh.call('POST', '/v1/workers/shared/threads/0/pause', { token: fresh.admin });
    expect(pause).toMatchObject({ status: 200, json: { miner: THEIRS, paused: true } });
  },
);
