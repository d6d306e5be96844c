/** What an operator does to runners and sees of them. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { effectDone } from '../../src/scheduler/outbox.ts';
import { quarantine } from '../../src/scheduler/fleet.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import type { Grant, NextAnswer, RegisterAnswer } from '../../src/schema/runner.ts';
import { ApiWorld, BOOT, OURS, RESOURCES } from './api-world.ts';

let world: ApiWorld;
let runner: RegisterAnswer;
beforeEach(async () => {
  world = await ApiWorld.open();
  runner = await world.runner();
});
afterEach(() => world.close());

const NEXT = { bootId: BOOT, freeSlots: 0, running: [], reports: [], resources: RESOURCES, waitMs: 0 };
async function next(more: object = {}): Promise<NextAnswer> {
  const { status, json } = await world.call('POST', '/v1/runners/self/next', { token: runner.credential, body: { ...NEXT, ...more } });
  expect(status).toBe(200);
  return json as NextAnswer;
}
const act = (action: string, token = world.admin) => world.call('POST', `/v1/runners/${runner.runnerId}/${action}`, { token });

/** A stage for the runner. */
async function claim(): Promise<Grant> {
  await world.pledge(OURS);
  await world.door.run((ctx) => {
    for (const { id, want } of ctx.tx.effectsDue(ctx.nowMs, 100))
      if (want.kind === 'number') effectDone(ctx, id, { outcome: 'number', taken: false });
  });
  return (await next({ freeSlots: 1 })).grants[0] as Grant;
}

test('a drained runner finishes what it has and gets nothing new, until it is lifted', async () => {
  const grant = await claim();
  await act('drain');
  await world.pledge(OURS);
  expect((await next({ freeSlots: 1, running: [{ attempt: grant.attempt, epoch: grant.epoch }] })).grants).toEqual([]);
  const report = { outcome: 'failed', attempt: grant.attempt, epoch: grant.epoch, code: 'interrupted', message: 'told to' };
  expect((await next({ freeSlots: 1, reports: [report] })).reports).toMatchObject([{ status: 'accepted' }]);
  expect((await act('uncordon')).json).toMatchObject({ status: 'ready', reason: null });
  expect((await next({ freeSlots: 1 })).grants).toHaveLength(1);
});

test('a quarantine is lifted with its strikes, and neither drain nor cordon hides it', async () => {
  await world.door.run((ctx) => void quarantine(ctx, { ...(ctx.tx.runner(runner.runnerId) as RunnerRow), strikes: 2 }, 'it lied'));
  for (const action of ['drain', 'cordon']) expect(await act(action)).toMatchObject({ status: 409, json: { code: 'quarantined' } });
  expect((await act('uncordon')).json).toMatchObject({ status: 'ready', reason: null, strikes: 0 });
});

test('a ban is for good: whoever may drain a runner cannot let a banned one in again', async () => {
  const operator = await world.token('operator');
  await act('ban');
  for (const action of ['drain', 'cordon', 'uncordon']) {
    expect(await act(action, operator)).toMatchObject({ status: 409, json: { code: 'banned' } });
  }
  const { status } = await world.call('POST', '/v1/runners/self/next', { token: runner.credential, body: NEXT });
  expect(status).toBe(401);
});

test('logs: what it did last, running and ended, with sector, stage and the end of its log, nothing in it that steers a terminal', async () => {
  const first = await claim();
  const said = { attempt: first.attempt, epoch: first.epoch, fraction: 0.5, note: 'half\u001b[31m way', logTail: 'one\n\u009b2Jtwo\n' };
  await world.call('POST', '/v1/runners/self/heartbeat', { token: runner.credential, body: { bootId: BOOT, attempts: [said] } });
  const report = { outcome: 'failed', attempt: first.attempt, epoch: first.epoch, code: 'internal', message: '\u001b]0;gone\u0007no' };
  await next({ reports: [report] });
  const second = await claim();
  const logs = await world.call('GET', `/v1/runners/${runner.runnerId}/logs`, { token: await world.token('viewer') });
  expect(logs.json).toMatchObject({
    items: [
      { attempt: second.attempt, stage: second.stage, sector: second.sector, status: 'running', endedMs: null, logTail: '' },
      { attempt: first.attempt, stage: 'AddPiece', sector: first.sector, status: 'failed', note: 'half[31m way', logTail: 'one\n2Jtwo\n' },
    ],
  });
  expect(logs.text).not.toMatch(/\\u00(1b|07|9b)|[\u001b\u0007\u009b]/);
  const one = await world.call('GET', `/v1/runners/${runner.runnerId}/logs?limit=1`, { token: world.admin });
  expect((one.json as { items: unknown[] }).items).toHaveLength(1);
});

test('the history keeps why a runner was struck: the attempt, its sector, what it answered and the files, bounded and without secrets', async () => {
  const grant = await claim();
  const hash = `sha256:${'ab'.repeat(32)}`;
  const outputs = [{ name: 'besides', sizeBytes: '7', hash, parts: [] }];
  const result = { commD: 'x'.repeat(10_000), told: `Bearer ${runner.credential}`, escape: '\u001b[2J' };
  const report = { outcome: 'done', attempt: grant.attempt, epoch: grant.epoch, outputs, result };
  expect((await next({ reports: [report] })).reports).toMatchObject([{ status: 'refused', message: expect.stringContaining('besides') }]);
  const { json } = await world.call('GET', `/v1/events?type=runner.struck&runner=${runner.runnerId}`, { token: world.admin });
  const [{ detail }] = (json as { items: [{ detail: { evidence: Record<string, unknown> } }] }).items;
  expect(detail).toMatchObject({ lied: true, strikes: 1, reason: expect.stringContaining('besides') });
  expect(detail.evidence).toMatchObject({ attempt: grant.attempt, stage: 'AddPiece', sector: grant.sector, outputCount: 1 });
  expect(detail.evidence['outputs']).toEqual([{ name: 'besides', sizeBytes: '7', hash }]);
  expect(String(detail.evidence['result']).length).toBeLessThanOrEqual(4_000);
  expect(JSON.stringify(detail)).not.toContain(runner.credential.slice('sp-run-'.length));
});

test('labels that placement reads are refused where they say nothing', async () => {
  const make = async (label: string) => {
    const body = { trust: 'rented', labels: ['gpu', label], ttlMs: 3_600_000 };
    return (await world.call('POST', '/v1/runners/tokens', { token: world.admin, body })).status;
  };
  for (const label of [
    'usd_per_hour=NaN',
    'usd_per_hour=-1',
    'usd_per_hour=1e9',
    'usd_per_hour=99999',
    'stages=PC2+PC3',
    'stages=',
    'hardware=fine',
  ])
    expect(await make(label), label).toBe(400);
  for (const label of ['usd_per_hour=0', 'usd_per_hour=0.425', 'stages=PC2+C2', 'hardware=unchecked', 'price=high'])
    expect(await make(label), label).toBe(200);
});

test('a join token fits into an environment value of 256 characters, carries its labels, and ends after its time', async () => {
  const body = { trust: 'rented', labels: ['gpu', 'eu'], ttlMs: 3_600_000 };
  const { token } = (await world.call('POST', '/v1/runners/tokens', { token: world.admin, body })).json as { token: string };
  expect(token.length).toBeLessThanOrEqual(256);
  expect(token).toMatch(/^[\w-]+$/);
  const join = { token, name: 'x', bootId: BOOT, agentVersion: '0', stages: ['C2'], storage: [], resources: RESOURCES };
  world.nowMs += 3_600_001;
  expect((await world.call('POST', '/v1/runners/register', { body: join })).status).toBe(401);
  world.nowMs -= 1;
  const { json } = await world.call('POST', '/v1/runners/register', { body: join });
  const id = (json as RegisterAnswer).runnerId;
  const { items } = (await world.call('GET', '/v1/runners', { token: world.admin })).json as { items: { id: string; labels: string[] }[] };
  expect(items.find((one) => one.id === id)?.labels).toEqual(['gpu', 'eu']);
});

test('join tokens that nobody used are listed without their secrets, and one is ended before it is used', async () => {
  const make = async (label: string): Promise<{ token: string; id: string }> =>
    (await world.call('POST', '/v1/runners/tokens', { token: world.admin, body: { trust: 'rented', labels: [label], ttlMs: 60_000 } }))
      .json as { token: string; id: string };
  const [ended, kept] = [await make('ended'), await make('kept')];
  const open = async (): Promise<{ id: string }[]> => {
    const { json, text } = await world.call('GET', '/v1/runners/tokens', { token: world.admin });
    expect(text).not.toMatch(/sp-join-|hash/);
    return (json as { items: { id: string }[] }).items;
  };
  expect((await open()).map(({ id }) => id)).toEqual(expect.arrayContaining([ended.id, kept.id]));
  expect((await world.call('DELETE', `/v1/runners/tokens/${ended.id}`, { token: world.admin })).status).toBe(200);
  expect((await open()).map(({ id }) => id)).not.toContain(ended.id);
  const join = { name: 'x', bootId: BOOT, agentVersion: '0', stages: ['C2'], storage: [], resources: RESOURCES };
  expect((await world.call('POST', '/v1/runners/register', { body: { ...join, token: ended.token } })).status).toBe(401);
  expect((await world.call('POST', '/v1/runners/register', { body: { ...join, token: kept.token } })).status).toBe(200);
  expect((await open()).map(({ id }) => id)).not.toContain(kept.id);
  const again = await world.call('DELETE', `/v1/runners/tokens/${kept.id}`, { token: world.admin });
  expect(again.status).toBe(404);
});
