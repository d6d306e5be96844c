/**
 * One row for each operation of the API: a request about an object of the miner t01000, the same about one of t01001 and
 * about one that is not there, and what is answered to whoever is let in. The tests that run over all operations (who may
 * do what, what a GET leaves alone, what the history tells) go by it: a new operation needs a row.
 */
import { createHash } from 'node:crypto';
import { effectDone } from '../../src/scheduler/outbox.ts';
import { abortJob } from '../../src/scheduler/operate.ts';
import { setThreadEnabled } from '../../src/scheduler/threads.ts';
import { newSecret } from '../../src/api/secrets.ts';
import type { MinerId } from '../../src/schema/ids.ts';
import type { NextAnswer, RegisterAnswer } from '../../src/schema/runner.ts';
import { sectorRecord } from '../store/rows.ts';
import { AGENT, type ApiWorld, BOOT, OURS, RESOURCES, THEIRS } from './api-world.ts';
import { storageExamples } from './storage-examples.ts';
import { webhookExamples } from './webhook-examples.ts';

/** `object`: the name by which the request says what it is about; answers about two objects may differ in it only. */
export type Example = { readonly path: string; readonly object?: string; readonly body?: unknown; readonly raw?: string };
type Make = () => Example | Promise<Example>;

export type Case = {
  /** `POST /v1/sectors/{ref}/pause` */
  readonly route: string;
  readonly own: Make;
  readonly foreign?: Make;
  readonly missing?: Make;
  /** Answered about an own object to whoever is let in: 200 unless it is said. */
  readonly ok?: number;
  /** About a missing one, and to tokens of other miners about a foreign one: 404 unless it is said. */
  readonly lacks?: number;
  /** To a token for all miners about a missing one, where that differs. */
  readonly lacksForAll?: number;
  /** About the whole control plane: tokens that are bound to miners are refused. */
  readonly whole?: boolean;
  /** What the history has of it: an event of this kind; `none`: it is a runner's daily work. Of GETs nothing. */
  readonly event?: string;
};

const NEXT = { bootId: BOOT, freeSlots: 0, running: [], reports: [], resources: RESOURCES, waitMs: 0 };
const NO_JOB = 'j-000000000000';
const NO_MINER = 't09999' as MinerId;

/** What stands in the world that the examples are about. */
export type Scene = { readonly world: ApiWorld; readonly runner: RegisterAnswer; readonly attempt: { id: string; epoch: number } };

/** A runner with one running attempt. */
export async function scene(world: ApiWorld): Promise<Scene> {
  const runner = await world.runner();
  // Its job runs in the shared thread: what is done to the other ones leaves it alone.
  const switched = (enabled: boolean) => world.door.run((ctx) => setThreadEnabled(ctx, 'ours', 0, enabled, 'test'));
  await switched(false);
  await world.pledge(OURS);
  await world.door.run((ctx) => {
    for (const { id, want } of ctx.tx.effectsDue(ctx.nowMs, 100))
      if (want.kind === 'number') effectDone(ctx, id, { outcome: 'number', taken: false });
  });
  const { json } = await world.call('POST', '/v1/runners/self/next', { token: runner.credential, body: { ...NEXT, freeSlots: 1 } });
  const [grant] = (json as NextAnswer).grants;
  if (grant === undefined) throw new Error('the runner got no stage');
  await switched(true);
  return { world, runner, attempt: { id: grant.attempt, epoch: grant.epoch } };
}

/** The rows. Each `own` and `foreign` makes its object anew, so that the answer does not depend on who asked before. */
export function examples({ world, attempt }: Scene): readonly Case[] {
  const plain = (route: string, more: Partial<Case> = {}): Case => ({
    route,
    own: () => ({ path: route.split(' ')[1] as string }),
    ...more,
  });
  const job = async (miner: MinerId): Promise<string> => (await world.pledge(miner))[0] as string;
  const sector = (action: string, more: Partial<Case> & { body?: unknown; paused?: boolean } = {}): Case => {
    const { body, paused = false, ...rest } = more;
    const about = (ref: string): Example => ({ path: `/v1/sectors/${ref}${action}`, object: ref, body });
    const of = (miner: MinerId) => async () => {
      const ref = await job(miner);
      if (paused) await world.call('POST', `/v1/sectors/${ref}/pause`, { token: world.admin });
      return about(ref);
    };
    return {
      route: `${body === undefined ? 'GET' : 'POST'} /v1/sectors/{ref}${action}`,
      own: of(OURS),
      foreign: of(THEIRS),
      missing: () => about(NO_JOB),
      ...rest,
    };
  };
  /** A thread with a job that was not touched yet. */
  const thread = (action: string, more: Partial<Case> & { paused?: boolean } = {}): Case => {
    const about = (worker: string): Example => ({ path: `/v1/workers/${worker}/threads/0/${action}`, object: worker, body: {} });
    const of = (worker: string, miner: MinerId) => async () => {
      await world.door.run((ctx) => {
        const busy = ctx.tx.thread(`${worker}/0`)?.job;
        if (busy !== null && busy !== undefined) abortJob(ctx, busy, { force: true }, 'test');
      });
      await world.pledge(miner);
      if (more.paused === true) await world.call('POST', about(worker).path.replace(action, 'pause'), { token: world.admin });
      return about(worker);
    };
    return {
      route: `POST /v1/workers/{w}/threads/{i}/${action}`,
      own: of('ours', OURS),
      foreign: of('theirs', THEIRS),
      missing: () => about('nowhere'),
      ...more,
    };
  };
  const runnerAction = (action: string): Case => ({
    route: `POST /v1/runners/{id}/${action}`,
    whole: true,
    event: 'runner_status',
    own: async () => ({ path: `/v1/runners/${(await world.runner('own', 'for one action')).runnerId}/${action}`, body: {} }),
    missing: () => ({ path: `/v1/runners/r-000000000000/${action}`, body: {} }),
  });
  const token = (action: string, method: string, body?: unknown): Case => ({
    route: `${method} /v1/tokens/{id}${action}`,
    whole: true,
    event: 'audit',
    own: async () => {
      const { json } = await world.call('POST', '/v1/tokens', { token: world.admin, body: { name: 'for one action', role: 'viewer' } });
      return { path: `/v1/tokens/${(json as { id: string }).id}${action}`, body };
    },
    missing: () => ({ path: `/v1/tokens/t-000000000000${action}`, body }),
  });
  /** One request for each of the three miners. */
  const byMiner = (make: (miner: MinerId) => Example): Pick<Case, 'own' | 'foreign' | 'missing'> => {
    const of = (miner: MinerId) => () => ({ object: miner, ...make(miner) });
    return { own: of(OURS), foreign: of(THEIRS), missing: of(NO_MINER) };
  };
  const listed = (path: string, more: Partial<Case> = {}): Case => ({
    route: `GET ${path}`,
    ...byMiner((miner) => ({ path: `${path}?miner=${miner}` })),
    ...more,
  });
  const beat = (id: string): Example => ({
    path: '/v1/runners/self/heartbeat',
    object: id,
    body: { bootId: BOOT, attempts: [{ attempt: id, epoch: attempt.epoch }] },
  });
  const report = (id: string): Example => ({
    path: '/v1/runners/self/next',
    object: id,
    body: { ...NEXT, running: [{ attempt: id, epoch: attempt.epoch }] },
  });
  const ofSector = (ref: string): Example => ({ path: `/v1/events?sector=${ref}`, object: ref });
  const piece = async (miner: MinerId): Promise<string> => {
    const { json } = await world.call('POST', `/v1/pieces?miner=${miner}`, { token: world.admin, raw: 'bytes of a piece' });
    return (json as { id: string }).id;
  };
  const withPiece = (id: string): Example => ({ path: '/v1/sectors', object: id, body: { plan: 'sealer', miner: OURS, pieces: [id] } });
  const join = async (): Promise<Example> => {
    const secret = await world.door.run((ctx) => {
      const made = newSecret(ctx.ids, 'join');
      ctx.tx.insertJoinToken({ hash: made.hash, trust: 'rented', labels: [], expiresMs: ctx.nowMs + 60_000, usedBy: null });
      return made.secret;
    });
    return registration(secret);
  };
  const registration = (secret: string): Example => ({
    path: '/v1/runners/register',
    body: { token: secret, name: 'joins', bootId: BOOT, agentVersion: '0', stages: ['C2'], storage: [], resources: RESOURCES },
  });

  return [
    plain('GET /healthz'),
    plain('GET /readyz'),
    plain('GET /metrics'),
    plain('GET /runner.sh'),
    plain('GET /runner/files'),
    {
      route: 'GET /runner/{sha256}',
      own: () => ({ path: `/runner/${createHash('sha256').update(AGENT).digest('hex')}` }),
      missing: () => ({ path: `/runner/${'0'.repeat(64)}` }),
    },
    plain('GET /v1/plans'),
    { route: 'POST /v1/sectors', event: 'created', ...byMiner((miner) => ({ path: '/v1/sectors', body: { plan: 'sealer', miner } })) },
    {
      // A piece of another miner is none of this one, whoever asks.
      route: 'POST /v1/sectors',
      event: 'created',
      own: async () => withPiece(await piece(OURS)),
      missing: () => withPiece('p-000000000000'),
    },
    listed('/v1/sectors', { lacks: 200 }),
    {
      route: 'POST /v1/sectors/import',
      event: 'audit',
      lacks: 200,
      ...byMiner((miner) => ({ path: '/v1/sectors/import', body: { records: [{ ...sectorRecord(900, { miner }), source: 'csv' }] } })),
    },
    listed('/v1/sectors/export'),
    sector(''),
    sector('/explain'),
    sector('/piece', { ok: 409 }),
    sector('/pause', { body: {}, event: 'paused' }),
    sector('/resume', { body: {}, paused: true, event: 'resumed' }),
    sector('/abort', { body: {}, event: 'aborted' }),
    plain('GET /v1/workers'),
    {
      route: 'GET /v1/workers/{w}',
      own: () => ({ path: '/v1/workers/ours', object: 'ours' }),
      foreign: () => ({ path: '/v1/workers/theirs', object: 'theirs' }),
      missing: () => ({ path: '/v1/workers/nowhere', object: 'nowhere' }),
    },
    thread('pause', { event: 'paused' }),
    thread('resume', { paused: true, event: 'resumed' }),
    thread('abort', { event: 'aborted' }),
    thread('disable', { event: 'audit' }),
    thread('enable', { event: 'audit' }),
    plain('GET /v1/settings', { whole: true }),
    plain('PATCH /v1/settings', {
      whole: true,
      event: 'audit',
      own: () => ({ path: '/v1/settings', body: { limits: { all: { concurrent: { PC1: 2 } } } } }),
    }),
    plain('POST /v1/runners/tokens', {
      whole: true,
      event: 'audit',
      own: () => ({ path: '/v1/runners/tokens', body: { trust: 'rented' } }),
    }),
    ...storageExamples(world),
    plain('GET /v1/runners/tokens', { whole: true }),
    {
      route: 'DELETE /v1/runners/tokens/{id}',
      whole: true,
      event: 'audit',
      own: async () => {
        const made = await world.call('POST', '/v1/runners/tokens', { token: world.admin, body: { trust: 'rented' } });
        return { path: `/v1/runners/tokens/${(made.json as { id: string }).id}` };
      },
      missing: () => ({ path: '/v1/runners/tokens/jt-0123456789abcdef' }),
    },
    plain('GET /v1/runners', { whole: true }),
    {
      route: 'GET /v1/runners/{id}',
      whole: true,
      own: async () => ({ path: `/v1/runners/${(await world.runner()).runnerId}` }),
      missing: () => ({ path: '/v1/runners/r-000000000000' }),
    },
    {
      route: 'POST /v1/runners/register',
      event: 'runner_registered',
      own: join,
      missing: () => registration(`sp-join-${'0'.repeat(64)}`),
      lacks: 401,
    },
    {
      route: 'POST /v1/runners/self/next',
      event: 'none',
      own: () => report(attempt.id),
      missing: () => report('a-000000000000'),
      lacks: 200,
    },
    {
      route: 'POST /v1/runners/self/heartbeat',
      event: 'none',
      own: () => beat(attempt.id),
      missing: () => beat('a-000000000000'),
      lacks: 200,
    },
    listed('/v1/events', { lacksForAll: 200 }),
    {
      route: 'GET /v1/events',
      own: async () => ofSector(await job(OURS)),
      foreign: async () => ofSector(await job(THEIRS)),
      missing: () => ofSector(NO_JOB),
    },
    {
      route: 'POST /v1/pieces',
      event: 'audit',
      ...byMiner((miner) => ({ path: `/v1/pieces?miner=${miner}`, raw: 'bytes of a piece' })),
    },
    listed('/v1/pieces'),
    plain('POST /v1/tokens', { whole: true, event: 'audit', own: () => ({ path: '/v1/tokens', body: { name: 'made', role: 'viewer' } }) }),
    plain('GET /v1/tokens', { whole: true }),
    token('/rotate', 'POST', { graceMs: 0 }),
    token('', 'DELETE'),
    plain('POST /v1/backup', { whole: true, event: 'audit' }),
    plain('GET /v1/objects/garbage', { whole: true }),
    plain('POST /v1/objects/garbage/collect', { whole: true, event: 'audit' }),
    runnerAction('drain'),
    runnerAction('cordon'),
    runnerAction('uncordon'),
    {
      route: 'GET /v1/runners/{id}/logs',
      whole: true,
      own: async () => ({ path: `/v1/runners/${(await world.runner('own', 'for its logs')).runnerId}/logs?limit=5` }),
      missing: () => ({ path: '/v1/runners/r-000000000000/logs' }),
    },
    runnerAction('ban'),
    ...webhookExamples(world),
  ];
}

/** All operations of the description, with the least role for each, as `x-sealpool-who` says it. */
export function operationsOf(world: ApiWorld): { route: string; method: string; who: string }[] {
  return world.app.openAPIRegistry.definitions.flatMap((definition) => {
    if (definition.type !== 'route') return [];
    const { method, path, 'x-sealpool-who': who } = definition.route as { method: string; path: string; 'x-sealpool-who'?: string };
    return [{ route: `${method.toUpperCase()} ${path}`, method: method.toUpperCase(), who: who ?? 'unsaid' }];
  });
}

/** Sends an example. */
export function send(world: ApiWorld, route: string, example: Example, token: string | undefined) {
  const { path, body, raw } = example;
  return world.call(route.split(' ')[0] as string, path, { token, body, ...(raw === undefined ? {} : { raw }) });
}
