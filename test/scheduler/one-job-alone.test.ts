/** An error inside Sealpool, or a miner that the configuration lost, costs the one job it is about: what others bring counts. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { goBack, without } from '../../src/scheduler/change.ts';
import { alone } from '../../src/scheduler/engine.ts';
import { setHead } from '../../src/scheduler/head.ts';
import { pledge } from '../../src/scheduler/pledge.ts';
import { Invariant } from '../../src/scheduler/plan.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import { TICKET } from './honest.ts';
import { MINER, World } from './world.ts';

let world: World;
let own: RunnerId;
beforeEach(async () => {
  world = new World({ threads: [0, 1].map((index) => ({ worker: 'local', index, plan: 'sealer', miner: null, auto: false })) });
  await world.start();
  own = (await world.register('own')).id;
  await world.run((ctx) => setHead(ctx, { epoch: TICKET.epoch + 900, epochMs: 30_000 }));
});
afterEach(() => world.close());

const one = async (): Promise<Job['id']> => {
  const [job] = await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1 }, 'test'));
  return (job as Job).id;
};
const configured = (miners: World['settings']['miners'], threads = world.settings.threads): void => {
  (world as { settings: World['settings'] }).settings = { ...world.settings, miners, threads };
};
const INVARIANT = { paused: true, waiting: { for: 'operator' }, error: { category: 'critical', code: 'invariant' } };

test('a job whose miner left the configuration is finished; a thread of its own makes no new one', async () => {
  const id = await one();
  const pc1 = await world.until('TicketAssigned', [own]);
  const miner = world.settings.miners[MINER] as World['settings']['miners'][string];
  configured(
    { t09999: miner },
    world.settings.threads.map((thread) => ({ ...thread, miner: MINER, auto: true })),
  );
  await world.start();
  expect(await world.report(own, world.honest(pc1))).toMatchObject({ status: 'accepted' });
  await world.finish([own]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished' });
  expect((await world.run((ctx) => ctx.tx.jobs({}, 10, null))).items).toHaveLength(1);
});

test('a report that meets a broken job pauses it alone: its attempt ends, and the next report counts', async () => {
  const [broken, good] = [await one(), await one()];
  const grants = await world.grant(own, 2);
  if (grants.length < 2) {
    for (const effect of await world.effects()) await world.perform(effect);
    grants.push(...(await world.grant(own, 2 - grants.length)));
  }
  const of = async (id: Job['id']) => {
    const jobs = await world.run((ctx) => grants.map(({ grant }) => ctx.tx.attempt(grant.attempt)?.job));
    return grants[jobs.indexOf(id)] as (typeof grants)[number];
  };
  const [bad, fine] = [await of(broken), await of(good)];
  // A row as no code of ours writes it.
  await world.run((ctx) => {
    const job = ctx.tx.job(broken) as Job;
    ctx.tx.updateJob({ ...job, number: null });
  });
  expect(await world.report(own, world.honest(bad))).toMatchObject({ status: 'refused', message: expect.stringContaining('stopped') });
  expect(await world.report(own, world.honest(fine))).toMatchObject({ status: 'accepted' });
  expect(await world.job(broken)).toMatchObject({ state: 'DealsAcquired', ...INVARIANT });
  expect(await world.run((ctx) => ctx.tx.attempt(bad.grant.attempt))).toMatchObject({ status: 'cancelled' });
  expect(await world.job(good)).toMatchObject({ state: 'PieceAdded', paused: false });
});

test('an outcome that meets a broken job pauses it alone, and the effect is not repeated each second', async () => {
  const id = await one();
  for (;;) {
    const due = await world.effects();
    const message = due.find(({ step }) => step === 'SubmitPC');
    if (message === undefined) {
      for (const effect of due) await world.perform(effect);
      for (const granted of await world.grant(own)) await world.report(own, world.honest(granted));
      continue;
    }
    await world.sign(message);
    await world.run((ctx) => ctx.tx.updateJob({ ...(ctx.tx.job(id) as Job), number: null }));
    const signed = await world.run((ctx) => ctx.tx.effect(message.id));
    await world.perform(signed as typeof message, { outcome: 'pushed' });
    break;
  }
  // It is out: pushed once, known as pushed, kept in the job.
  expect(await world.job(id)).toMatchObject({ state: 'PC2Done', data: { preCommit: { nonce: 0 } }, ...INVARIANT });
  expect(await world.effects()).toEqual([]);
  expect(await world.run((ctx) => ctx.tx.unpushed('t3a'))).toEqual([]);
});

test('what was half done when the error came is undone with its events and deletions', async () => {
  const id = await one();
  await world.until('PC1Done', [own]);
  const before = await world.job(id);
  const events = await world.events(id);
  await world.run((ctx) =>
    alone(ctx, before, () => {
      goBack(ctx, before, 'PieceAdded', 'engine', 'a step that fails later');
      throw new Invariant('it does not hold');
    }),
  );
  const after = await world.job(id);
  expect(after).toMatchObject({ ...INVARIANT, state: 'PC1Done', generation: before.generation, data: before.data });
  expect(Object.keys(without(after.data, []).artifacts)).not.toEqual([]);
  expect((await world.events(id)).slice(events.length).map(({ kind }) => kind)).toEqual(['attempt', 'error', 'paused']);
  const deleted = await world.run((ctx) => ctx.tx.openEffectsOfJob(id).filter(({ want }) => want.kind === 'delete'));
  expect(deleted).toEqual([]);
});

test('the row of the transaction counts, not the one the caller had', async () => {
  const id = await one();
  const stale = await world.job(id);
  await world.until('PieceAdded', [own]);
  await world.run((ctx) =>
    alone(ctx, stale, () => {
      throw new Invariant('it does not hold');
    }),
  );
  expect(await world.job(id)).toMatchObject({ ...INVARIANT, state: 'PieceAdded' });
});
