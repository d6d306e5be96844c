/** A runner that is quarantined for what it did has nothing left that counts, and a ban is for good. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { setRunnerStatus, strike } from '../../src/scheduler/fleet.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import { tick } from '../../src/scheduler/tick.ts';
import { Stage } from '../../src/schema/stage.ts';
import { type Granted, World } from './world.ts';

let world: World;
let own: RunnerId;
let rented: RunnerId;
beforeEach(async () => {
  world = new World({ threads: [0, 1].map((index) => ({ worker: 'local', index, plan: 'sealer', miner: null, auto: false })) });
  await world.start();
  const others = Stage.options.filter((stage) => stage !== 'PC1');
  own = (await world.register('own', 'own', others)).id;
  rented = (await world.register('rented', 'rented', ['PC1'])).id;
});
afterEach(() => world.close());

const row = (): Promise<RunnerRow> => world.run((ctx) => ctx.tx.runner(rented) as RunnerRow);

test('a lie about one stage takes its other stages away as well: their late results do not count', async () => {
  await world.ask();
  const first = await world.until('TicketAssigned', [own, rented]);
  await world.ask();
  const second = await world.until('TicketAssigned', [own, rented]);
  const { outputs } = world.honest(first) as { outputs: unknown[] };
  expect(await world.report(rented, world.honest(first, { outputs: outputs.slice(1) }))).toMatchObject({ status: 'refused' });
  expect(await row()).toMatchObject({ status: 'quarantined', strikes: 1 });
  expect(await world.run((ctx) => ctx.tx.runningAttempts(rented))).toEqual([]);
  expect(await world.report(rented, world.honest(second))).toMatchObject({ status: 'lease_lost' });
  const other = (await world.register('other', 'rented', ['PC1'])).id;
  const granted = await world.grant(other, 2);
  expect(granted.map(({ grant }: Granted) => [grant.stage, grant.epoch])).toEqual([
    ['PC1', 2],
    ['PC1', 2],
  ]);
});

test('what is found out of a banned runner later does not lift its ban', async () => {
  await world.run((ctx) => void setRunnerStatus(ctx, rented, 'banned', 'ban by hand', 'operator:test'));
  await world.run((ctx) => strike(ctx, ctx.tx.runner(rented) as RunnerRow, 'its proof of last week does not hold', true));
  expect(await row()).toMatchObject({ status: 'banned', reason: 'ban by hand', strikes: 1 });
  const kinds = await world.run((ctx) => ctx.tx.eventsAfter(0, 100, { runner: rented, kinds: ['runner_status'] }));
  expect(kinds.map(({ detail }) => detail.to)).toEqual(['banned']);
});

test('transfers that fail on several runners, and on none worked since, cost no strikes; on one alone they do', async () => {
  const other = (await world.register('other', 'rented', ['PC1'])).id;
  const later = async (): Promise<void> => {
    world.nowMs += 60_000;
    await world.run((ctx) => tick(ctx));
  };
  const fails = async (granted: Granted): Promise<void> => {
    await world.report(granted.runner, world.failure(granted, 'transfer_failed'));
    await later();
  };
  const next = async (runner: RunnerId): Promise<Granted> => (await world.grant(runner, 1))[0] as Granted;
  const strikes = () => world.run((ctx) => [rented, other].map((id) => ctx.tx.runner(id)?.strikes));
  await world.ask();
  const first = await world.until('TicketAssigned', [own, rented]);
  await world.ask();
  const second = await world.until('TicketAssigned', [own, rented]);
  await fails(first);
  expect(await strikes()).toEqual([1, 0]);
  await fails(await next(other));
  await fails(second);
  expect(await strikes()).toEqual([1, 0]);
  // One gets through: the way is free, and who fails now does so by itself.
  const through = await next(other);
  await world.report(other, world.honest(through));
  await fails(await next(rented));
  expect(await strikes()).toEqual([2, 0]);
});
