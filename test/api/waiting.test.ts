/** Many polls are open while few stages are queued: who is woken, and that nobody who could take a stage is passed over. */
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { Waiting, type Woken } from '../../src/api/waiting.ts';
import type { RegisterAnswer } from '../../src/schema/runner.ts';
import { effectDone } from '../../src/scheduler/outbox.ts';
import { restarted } from '../../src/scheduler/tick.ts';
import { setRunnerStatus } from '../../src/scheduler/fleet.ts';
import { ApiWorld, BOOT, OURS, RESOURCES } from './api-world.ts';

let world: ApiWorld;
beforeEach(async () => {
  world = await ApiWorld.open();
});
afterEach(() => world.close());

type Answer = { readonly at: number; readonly grants: readonly { stage: string; attempt: string; epoch: number }[] };

/** A long poll; resolves with who was answered. */
async function poll(runner: RegisterAnswer, at: number): Promise<Answer> {
  const body = { bootId: BOOT, freeSlots: 1, running: [], reports: [], resources: RESOURCES, waitMs: 25_000 };
  const { json } = await world.call('POST', '/v1/runners/self/next', { token: runner.credential, body });
  return { at, grants: (json as Answer).grants };
}

/** `count` runners whose polls are held, in this order. */
async function waiting(count: number, prepare: (runner: RegisterAnswer, at: number) => Promise<void> = async () => undefined) {
  const asked = vi.spyOn(world.door, 'oneOf');
  const answered: Answer[] = [];
  const runners = [];
  for (let at = 0; at < count; at += 1) {
    const runner = await world.runner('own', `runner ${at}`);
    await prepare(runner, at);
    runners.push(runner);
  }
  for (const [at, runner] of runners.entries()) {
    void poll(runner, at).then((answer) => answered.push(answer));
    await vi.waitFor(() => expect(asked).toHaveBeenCalledTimes(at + 1), { interval: 1 });
  }
  // Each has looked, found nothing and waits.
  await world.door.run(() => undefined);
  const before = asked.mock.calls.length;
  return { answered, looks: () => asked.mock.calls.length - before };
}

/** Queues AddPiece of so many sectors. */
async function queue(count: number): Promise<void> {
  await world.pledge(OURS, count);
  await world.door.run((ctx) => {
    for (const { id, want } of ctx.tx.effectsDue(ctx.nowMs, 100))
      if (want.kind === 'number') effectDone(ctx, id, { outcome: 'number', taken: false });
  });
}

test('one stage wakes a few of many open polls, and the one that has waited longest gets it', async () => {
  const { answered, looks } = await waiting(100);
  await queue(1);
  await vi.waitFor(() => expect(answered).toHaveLength(1));
  expect(answered).toMatchObject([{ at: 0, grants: [{ stage: 'AddPiece' }] }]);
  // As many turns as would wake everybody there is.
  for (let turn = 0; turn < 300; turn += 1) await world.door.run(() => undefined);
  expect(looks()).toBeLessThan(5);
});

test('of many stages each wakes one, and the end of them wakes nobody for nothing', async () => {
  const threads = Array.from({ length: 60 }, (_, index) => ({ worker: 'many', index, plan: 'sealer', miner: OURS, auto: false }) as const);
  Object.assign(world.settings, { threads });
  await world.door.run(restarted);
  const { answered, looks } = await waiting(80);
  await queue(60);
  await vi.waitFor(() => expect(answered).toHaveLength(60));
  for (let turn = 0; turn < 100; turn += 1) await world.door.run(() => undefined);
  expect(answered.map(({ at }) => at).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, at) => at));
  // Each that was woken looks, and asks again to be woken before it looks.
  expect(looks()).toBeLessThan(70);
});

test('each of several stages finds a runner', async () => {
  const { answered } = await waiting(20);
  await queue(2);
  await vi.waitFor(() => expect(answered).toHaveLength(2));
  expect(new Set(answered.flatMap(({ grants }) => grants.map(({ attempt }) => attempt))).size).toBe(2);
});

test('a stage that the first who wait may not take comes to the one that may, wherever it stands', async () => {
  const { answered } = await waiting(40, async ({ runnerId }, at) => {
    if (at !== 37) await world.door.run((ctx) => void setRunnerStatus(ctx, runnerId, 'cordoned', null));
  });
  await queue(1);
  await vi.waitFor(() => expect(answered).toMatchObject([{ at: 37, grants: [{ stage: 'AddPiece' }] }]));
});

test('one that was woken and whose credential is no good any more hands the stage on', async () => {
  const { answered } = await waiting(5);
  const { items } = (await world.call('GET', '/v1/runners', { token: world.admin })).json as { items: { id: string }[] };
  await world.door.run((ctx) => {
    // As a ban does, but for the waking of everybody.
    for (const { id } of items.slice(0, 3)) {
      const row = ctx.tx.runner(id as never);
      if (row !== undefined) ctx.tx.updateRunner({ ...row, status: 'banned' });
    }
  });
  await queue(1);
  await vi.waitFor(() => expect(answered.find(({ grants }) => grants?.length === 1)).toMatchObject({ at: 3 }));
});

test('a word that comes while others still look is passed on to those who came between, whoever looks last', async () => {
  const polls = new Waiting();
  const over = new AbortController();
  onTestFinished(() => over.abort());
  const woken: Woken[] = [];
  const names: string[] = [];
  const wait = (name: string): void =>
    void polls.oneOf(['stage:C2'], over.signal).then((word) => {
      if (word === undefined) return;
      names.push(name);
      woken.push(word);
    });
  const told = async (): Promise<void> => {
    polls.tell('stage:C2');
    await Promise.resolve();
  };
  wait('one');
  wait('two');
  await told();
  await told();
  wait('three');
  wait('four');
  await told();
  expect(names).toEqual(['one', 'two', 'three']);
  // The third finds nothing for it while two others look; then they find nothing either, and it is for the fourth.
  for (const at of [2, 0, 1]) {
    polls.looked(woken[at] as Woken, false);
    polls.passOn(woken[at] as Woken, 1);
  }
  await Promise.resolve();
  expect(names).toEqual(['one', 'two', 'three', 'four']);
});
