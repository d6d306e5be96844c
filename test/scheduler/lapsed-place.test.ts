/** A ticket is drawn for a place on a runner: where the place is lost before PC1 made anything, it does not grow old in the queue. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { setHead } from '../../src/scheduler/head.ts';
import { resumeJob } from '../../src/scheduler/operate.ts';
import { pledge } from '../../src/scheduler/pledge.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import { TICKET } from './honest.ts';
import { MINER, World } from './world.ts';

const EPOCH_MS = 30_000;
/** Longer than a lost place may leave a ticket waiting: an hour. */
const LONG_MS = 121 * EPOCH_MS;
let world: World;
let first: RunnerId;
let second: RunnerId;
let id: Job['id'];
beforeEach(async () => {
  world = new World();
  await world.start();
  first = (await world.register('first')).id;
  second = (await world.register('second')).id;
  await world.run((ctx) => setHead(ctx, { epoch: TICKET.epoch + 900, epochMs: EPOCH_MS }));
  const drawn = world.chain.outcome.bind(world.chain);
  let tickets = 0;
  world.chain.outcome = (effect) => {
    const outcome = drawn(effect);
    return outcome.outcome === 'ticket' ? { ...outcome, epoch: TICKET.epoch + tickets++ * 5_000 } : outcome;
  };
  const [job] = await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1 }, 'test'));
  id = (job as Job).id;
});
afterEach(() => world.close());

/** Plays until the ticket is drawn for a place on the first runner, which does not come to take it. */
const vanished = async (): Promise<void> => {
  while ((await world.job(id)).state !== 'TicketAssigned') {
    const due = await world.effects();
    for (const effect of due) await world.perform(effect);
    if (due.length === 0) for (const granted of await world.grant(first)) await world.report(first, world.honest(granted));
  }
  expect(await world.job(id)).toMatchObject({ reserved: { runner: first }, data: { ticket: TICKET } });
};
const wentBack = async () => (await world.events(id)).filter(({ kind }) => kind === 'went_back');

test('the runner it was drawn for vanished: an hour later the next one gets a fresh ticket', async () => {
  await vanished();
  await world.tick(LONG_MS);
  // It keeps its turn and its ticket until a runner asks.
  expect(await world.job(id)).toMatchObject({ state: 'TicketAssigned', waiting: { for: 'runner', stage: 'PC1' } });
  expect(await world.grant(second)).toEqual([]);
  expect(await world.job(id)).toMatchObject({ state: 'TreeDBuilt', generation: 2, reserved: { runner: second } });
  for (const effect of await world.effects()) await world.perform(effect);
  const [granted] = await world.grant(second);
  expect(granted).toMatchObject({ grant: { stage: 'PC1' } });
  expect(await world.job(id)).toMatchObject({ data: { ticket: { epoch: TICKET.epoch + 5_000 } } });
  expect(await wentBack()).toMatchObject([{ to: 'TreeDBuilt', detail: { reason: expect.stringContaining('place') } }]);
});

test('so does one whose PC1 failed after hours; a failure of minutes keeps the ticket', async () => {
  await vanished();
  const [soon] = await world.grant(first);
  await world.report(first, world.failure(soon as never, 'internal'));
  const [granted] = await world.grant(second);
  expect(granted).toMatchObject({ grant: { stage: 'PC1' } });
  expect(await world.job(id)).toMatchObject({ generation: 1, data: { ticket: TICKET } });
  await world.run((ctx) => ctx.tx.extendLeases(LONG_MS, ctx.nowMs + LONG_MS));
  await world.tick(LONG_MS);
  await world.report(second, world.failure(granted as never, 'internal'));
  await world.tick(600_000);
  await world.finish([first]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished', generation: 2, data: { ticket: { epoch: TICKET.epoch + 5_000 } } });
});

test('expired while nobody came: it goes back by itself, for no layer is lost', async () => {
  await vanished();
  await world.tick(3_900 * EPOCH_MS);
  expect(await world.job(id)).toMatchObject({ state: 'TreeDBuilt', generation: 2, paused: false });
  await world.finish([second]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished', data: { ticket: { epoch: TICKET.epoch + 5_000 } } });
});

test('a resume at TicketAssigned keeps the ticket, as the operator asked', async () => {
  await vanished();
  const [granted] = await world.grant(first);
  await world.report(first, world.honest(granted as never));
  await world.tick(LONG_MS);
  await world.run((ctx) => resumeJob(ctx, id, { state: 'TicketAssigned', force: true }, 'test'));
  expect(await world.grant(second)).toMatchObject([{ grant: { stage: 'PC1' } }]);
  expect(await world.job(id)).toMatchObject({ generation: 2, data: { ticket: TICKET } });
});
