/** Every route of agents × a foreign runner: another one's attempt is to it as one that does not exist. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RegisterAnswer } from '../../src/schema/runner.ts';
import { ApiWorld, BOOT, RESOURCES } from './api-world.ts';
import { scene } from './examples.ts';

const NONE = 'a-000000000000';
let world: ApiWorld;
let attempt: { id: string; epoch: number };
let foreign: RegisterAnswer;
beforeEach(async () => {
  world = await ApiWorld.open();
  ({ attempt } = await scene(world));
  foreign = await world.runner('rented', 'foreign');
});
afterEach(() => world.close());

const NEXT = { bootId: BOOT, freeSlots: 0, running: [], reports: [], resources: RESOURCES, waitMs: 0 };
const failed = (id: string) => ({ outcome: 'failed', attempt: id, epoch: attempt.epoch, code: 'internal', message: 'x' });
const done = (id: string) => ({ outcome: 'done', attempt: id, epoch: attempt.epoch, outputs: [], result: {} });

test.each([
  ['a heartbeat', 'heartbeat', (id: string) => ({ bootId: BOOT, attempts: [{ attempt: id, epoch: attempt.epoch, logTail: 'x' }] })],
  ['what it says it runs', 'next', (id: string) => ({ ...NEXT, running: [{ attempt: id, epoch: attempt.epoch }] })],
  ['a report of success', 'next', (id: string) => ({ ...NEXT, reports: [done(id)] })],
  ['a report of failure', 'next', (id: string) => ({ ...NEXT, reports: [failed(id)] })],
] as const)('%s', async (_, route, body) => {
  const before = await world.door.run((ctx) => ctx.tx.attempt(attempt.id as never));
  const ask = async (id: string): Promise<string> => {
    const { status, text } = await world.call('POST', `/v1/runners/self/${route}`, { token: foreign.credential, body: body(id) });
    return `${status} ${text.replaceAll(id, '·')}`;
  };
  expect(await ask(attempt.id)).toBe(await ask(NONE));
  expect(await world.door.run((ctx) => ctx.tx.attempt(attempt.id as never))).toEqual(before);
});
