/** Self-tests over HTTP: asked for with `next`, answered with `next`, and only for whom they were meant. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { NextAnswer, RegisterAnswer } from '../../src/schema/runner.ts';
import type { SelfTest } from '../../src/schema/self-test.ts';
import { ApiWorld, BOOT, RESOURCES } from './api-world.ts';

let world: ApiWorld;
beforeEach(async () => {
  world = await ApiWorld.open();
  Object.assign(world.settings, { selfTest: 'rented' });
});
afterEach(() => world.close());

async function next({ credential }: RegisterAnswer, more: Record<string, unknown> = {}): Promise<NextAnswer> {
  const body = { bootId: BOOT, freeSlots: 1, running: [], reports: [], resources: RESOURCES, waitMs: 0, ...more };
  const { status, json } = await world.call('POST', '/v1/runners/self/next', { token: credential, body });
  expect(status).toBe(200);
  return json as NextAnswer;
}
const failed = ({ id }: SelfTest, message: string) => ({ outcome: 'failed', id, durationMs: 5, code: 'out_of_disk', message });
async function shown({ runnerId }: RegisterAnswer): Promise<Record<string, unknown>> {
  const { json } = await world.call('GET', '/v1/runners', { token: world.admin });
  return (json as { items: { id: string }[] }).items.find(({ id }) => id === runnerId) as Record<string, unknown>;
}

test('a rented runner gets them with its first question for work, an own one does not', async () => {
  const [own, rented] = [await world.runner('own', 'own'), await world.runner('rented', 'rented')];
  expect((await next(own)).tests).toBeUndefined();
  expect((await next(rented, { freeSlots: 0 })).tests).toBeUndefined();
  const { tests = [], grants } = await next(rented);
  expect([grants, tests.map(({ stage }) => stage)]).toEqual([[], ['AddPiece', 'BuildTreeD', 'PC1', 'PC2', 'C2']]);
  expect((await next(rented)).tests).toBeUndefined();
});

test("another runner's answer changes nothing, and is answered as if the test were not there", async () => {
  const [one, other] = [await world.runner('rented', 'one'), await world.runner('rented', 'other')];
  const { tests: [first] = [] } = await next(one);
  await next(other);
  const strange = { ...(first as SelfTest), id: 'a-nowhere00' } as SelfTest;
  expect(await next(other, { tests: [failed(first as SelfTest, 'x')] })).toEqual(await next(other, { tests: [failed(strange, 'x')] }));
  expect([(await shown(one))['tests'], (await shown(other))['tests']]).toEqual([{}, {}]);
});

test('an answer is kept with its reason, without control characters or secrets, and shown', async () => {
  const rented = await world.runner('rented');
  const { tests: [first] = [] } = await next(rented);
  await next(rented, { tests: [failed(first as SelfTest, 'disk \u001b[31mfull')] });
  expect((await shown(rented))['tests']).toEqual({
    AddPiece: { passed: false, atMs: expect.any(Number), durationMs: 5, reason: 'it failed with out_of_disk: disk [31mfull' },
  });
  const body = { bootId: BOOT, freeSlots: 1, running: [], reports: [], resources: RESOURCES, waitMs: 0, tests: [{ id: 'x' }] };
  expect((await world.call('POST', '/v1/runners/self/next', { token: rented.credential, body })).status).toBe(400);
});
