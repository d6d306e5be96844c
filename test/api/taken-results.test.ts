/** What becomes of a result while the object store puts its files together, which takes minutes where they are large. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { objectRoutes } from '../../src/objects/routes.ts';
import { quarantine } from '../../src/scheduler/fleet.ts';
import { effectDone } from '../../src/scheduler/outbox.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import { restarted, tick } from '../../src/scheduler/tick.ts';
import type { Grant, NextAnswer, RegisterAnswer } from '../../src/schema/runner.ts';
import { ApiWorld, BOOT, RESOURCES } from './api-world.ts';

const BYTES = Buffer.alloc(4064, 1);
const ZERO_COMM_D = {
  cid: 'baga6ea4seaqpy7usqklokfx2vxuynmupslkeutzexe2uqurdg5vhtebhxqmpqmy',
  hex: 'fc7e928296e516faade986b28f92d44a4f24b935485223376a799027bc18f833',
};
const ADDED = { pieces: [{ cid: ZERO_COMM_D.cid, paddedSizeBytes: '2048', offsetBytes: '0', filler: true }], commD: ZERO_COMM_D };

let world: ApiWorld;
let runner: RegisterAnswer;
beforeEach(async () => {
  world = await ApiWorld.open();
  world.app.route('/', objectRoutes(world.objects));
  runner = await world.runner();
});
afterEach(() => world.close());

async function next(more: Record<string, unknown> = {}): Promise<NextAnswer> {
  const body = { bootId: BOOT, freeSlots: 0, running: [], reports: [], resources: RESOURCES, waitMs: 0, ...more };
  return (await world.call('POST', '/v1/runners/self/next', { token: runner.credential, body })).json as NextAnswer;
}

async function claim(): Promise<Grant> {
  await world.door.run((ctx) => {
    for (const { id, want } of ctx.tx.effectsDue(ctx.nowMs, 100))
      if (want.kind === 'number') effectDone(ctx, id, { outcome: 'number', taken: false });
  });
  return (await next({ freeSlots: 1 })).grants[0] as Grant;
}

/** A BuildTreeD that its runner has reported; the store puts its file together once it is let. `fails`: and says that it cannot. */
async function beingTaken(fails = false) {
  const [job] = (await world.pledge()) as [string];
  const pieces = await claim();
  await next({ reports: [{ outcome: 'done', attempt: pieces.attempt, epoch: pieces.epoch, outputs: [], result: ADDED }] });
  const { attempt, epoch, outputs } = await claim();
  const done = {
    outcome: 'done',
    attempt,
    epoch,
    outputs: await Promise.all(outputs.map((slot) => world.upload(slot, BYTES))),
    result: { commD: ZERO_COMM_D },
  };
  const complete = world.objects.completeUpload.bind(world.objects);
  const gate = Promise.withResolvers<void>();
  const completing = vi.spyOn(world.objects, 'completeUpload').mockImplementation(async (...given) => {
    await gate.promise;
    if (fails) throw new Error('the store is away');
    return complete(...given);
  });
  const answer = next({ reports: [done] });
  await vi.waitFor(() => expect(completing).toHaveBeenCalled());
  const ended = async () => {
    gate.resolve();
    const [report] = (await answer).reports;
    return report?.status;
  };
  const row = () => world.door.run((ctx) => ctx.tx.attempt(attempt));
  const state = () => world.door.run((ctx) => ctx.tx.job(job as never)?.state);
  return { attempt, epoch, ended, row, state };
}

/** Time goes on while nobody says anything. */
async function pass(ms: number): Promise<void> {
  for (let gone = 0; gone < ms; gone += 4_000) {
    world.nowMs += 4_000;
    await world.door.run((ctx) => void tick(ctx));
  }
}

test.each([
  ['its runner starts anew', () => next({ bootId: 'boot-after-a-restart' })],
  ['its runner has started anew and asks again and again', async () => (await pass(60_000), next({ bootId: 'boot-after-a-restart' }))],
  ['its runner does not know of it any more', async () => (await pass(60_000), next())],
  ['its runner ends for good', () => pass(5 * 60_000)],
])('a result counts although %s', async (_, meanwhile) => {
  const { ended, row, state } = await beingTaken();
  await meanwhile();
  await meanwhile();
  expect(await ended()).toBe('accepted');
  expect([await state(), (await row())?.status, (await row())?.takingUntilMs]).toEqual(['TreeDBuilt', 'done', undefined]);
});

test('a heartbeat leaves its lease as long as it is', async () => {
  const { attempt, epoch, ended } = await beingTaken();
  const body = { bootId: BOOT, attempts: [{ attempt, epoch }] };
  await world.call('POST', '/v1/runners/self/heartbeat', { token: runner.credential, body });
  await pass(60_000);
  expect(await ended()).toBe('accepted');
});

test('a runner that is quarantined meanwhile loses it', async () => {
  const { ended, row } = await beingTaken();
  await world.door.run((ctx) => void quarantine(ctx, ctx.tx.runner(runner.runnerId) as RunnerRow, 'it lied'));
  expect((await row())?.status).toBe('lost');
  expect(await ended()).toBe('lease_lost');
});

test('where the store cannot take it the lease goes on as after a heartbeat, and what started anew loses it', async () => {
  const { ended, row } = await beingTaken(true);
  expect(await ended()).toBe('retry_later');
  expect(await row()).toMatchObject({ status: 'running', leaseUntilMs: world.nowMs + world.settings.leaseMs });
  await next({ bootId: 'boot-after-a-restart' });
  expect((await row())?.status).toBe('lost');
});

test('of a control plane that died in the midst the wait ends by itself', async () => {
  const { row } = await beingTaken();
  await pass(9 * 60_000);
  expect((await row())?.status).toBe('running');
  await pass(2 * 60_000);
  expect((await row())?.status).toBe('lost');
});

test('of a process that died in the midst the next one waits for as long as a lease is', async () => {
  const { row } = await beingTaken();
  await world.door.run((ctx) => restarted(ctx));
  expect(await row()).toMatchObject({ status: 'running', leaseUntilMs: world.nowMs + world.settings.leaseMs });
  expect((await row())?.takingUntilMs).toBeUndefined();
  await pass(2 * world.settings.leaseMs);
  expect((await row())?.status).toBe('lost');
});
