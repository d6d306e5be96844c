/** A rented runner that says it was interrupted: once that happens to anybody, again and again it is a fault. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pledge } from '../../src/scheduler/pledge.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import { Stage } from '../../src/schema/stage.ts';
import { type Granted, MINER, World } from './world.ts';

let world: World;
let own: RunnerId;
let rented: RunnerId;
beforeEach(async () => {
  world = new World();
  await world.start();
  const stages = Stage.options.filter((stage) => stage !== 'PC2');
  own = (await world.register('own', 'own', stages)).id;
  rented = (await world.register('rented', 'rented', ['PC2'])).id;
  await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1 }, 'test'));
});
afterEach(() => world.close());

const interrupted = (granted: Granted) => world.report(rented, world.failure(granted, 'interrupted'));
const strikes = async () => (await world.run((ctx) => ctx.tx.runner(rented) as RunnerRow)).strikes;

test('the first time the stage is granted at once, later it waits, and each time is a strike', async () => {
  await interrupted(await world.until('PC1Done', [own, rented]));
  expect(await strikes()).toBe(0);
  const [again] = (await world.grant(rented)) as [Granted];
  await interrupted(again);
  expect(await strikes()).toBe(1);
  const [struck] = await world.run((ctx) => ctx.tx.eventsAfter(0, 1_000, { runner: rented, kinds: ['runner_struck'] }));
  expect(struck?.detail).toMatchObject({ evidence: { stage: 'PC2', code: 'interrupted' } });
  expect(await world.grant(rented)).toEqual([]);
  await interrupted(await world.until('PC1Done', [own, rented]));
  await interrupted(await world.until('PC1Done', [own, rented]));
  expect(await world.run((ctx) => ctx.tx.runner(rented))).toMatchObject({ status: 'quarantined' });
});

test('one that drains is let go without a strike', async () => {
  await interrupted(await world.until('PC1Done', [own, rented]));
  const [again] = (await world.grant(rented)) as [Granted];
  await world.run((ctx) => ctx.tx.updateRunner({ ...(ctx.tx.runner(rented) as RunnerRow), status: 'draining' }));
  await interrupted(again);
  expect(await strikes()).toBe(0);
});
