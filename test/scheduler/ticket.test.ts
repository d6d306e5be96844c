/** Tickets grow old: no hours go into a sector that the chain will not take, and both repairs work. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { MinerSettings } from '../../src/scheduler/context.ts';
import { setHead } from '../../src/scheduler/head.ts';
import { resumeJob } from '../../src/scheduler/operate.ts';
import type { EffectRow } from '../../src/scheduler/effects.ts';
import { effectDone, effectSigned } from '../../src/scheduler/outbox.ts';
import { pledge } from '../../src/scheduler/pledge.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import { Stage } from '../../src/schema/stage.ts';
import { TICKET } from './honest.ts';
import { MINER, World } from './world.ts';

const EPOCH_MS = 30_000;
const LAST = TICKET.epoch + 3_780;
let world: World;
let own: RunnerId;

const open = async (miner: Partial<MinerSettings> = {}): Promise<void> => {
  const settings: MinerSettings = { sealProof: 'StackedDrg2KiBV1_1', firstSector: 1, lastSector: 1000, allowCc: true, ...miner };
  world = new World({ miners: { [MINER]: settings } });
  await world.start();
  own = (await world.register('own')).id;
  await headAt(TICKET.epoch + 900);
};
beforeEach(() => open());
afterEach(() => world.close());

const headAt = (epoch: number): Promise<void> => world.run((ctx) => setHead(ctx, { epoch, epochMs: EPOCH_MS }));

const one = async (): Promise<Job['id']> => {
  const [job] = await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1 }, 'test'));
  return (job as Job).id;
};

/** The chain draws fresh tickets as its head moves. */
const freshTickets = (): void => {
  const drawn = world.chain.outcome.bind(world.chain);
  world.chain.outcome = (effect) => {
    const outcome = drawn(effect);
    return outcome.outcome === 'ticket' ? { ...outcome, epoch: LAST } : outcome;
  };
};

const EXPIRED = {
  paused: true,
  error: { category: 'permanent', code: 'ticket_expired', message: expect.stringMatching(/--state TreeDBuilt .*--state Aborted/) },
};

const stages = (names: readonly Stage[]): Promise<void> =>
  world.run((ctx) => ctx.tx.updateRunner({ ...(ctx.tx.runner(own) as RunnerRow), stages: names }));

test.each(['TreeDBuilt', 'Aborted'])('too old for PC2: paused while it waits, without a runner asking; repaired by %s', async (state) => {
  await stages(['AddPiece', 'BuildTreeD', 'PC1']);
  const id = await one();
  while ((await world.job(id)).state !== 'PC1Done') {
    const [effect] = await world.effects();
    if (effect !== undefined) await world.perform(effect);
    else for (const granted of await world.grant(own)) await world.report(own, world.honest(granted));
  }
  expect(await world.job(id)).toMatchObject({ paused: false, waiting: { for: 'runner', stage: 'PC2' } });
  await world.tick((3_780 - 1 - 900) * EPOCH_MS);
  expect(await world.job(id)).toMatchObject({ state: 'PC1Done', paused: false });
  await world.tick(EPOCH_MS);
  expect(await world.job(id)).toMatchObject({ state: 'PC1Done', ...EXPIRED });
  // Without a state it runs again, and is as late as before.
  await world.run((ctx) => resumeJob(ctx, id, {}, 'test'));
  expect(await world.job(id)).toMatchObject({ state: 'PC1Done', ...EXPIRED });
  freshTickets();
  await stages(Stage.options);
  const next = await one();
  await world.run((ctx) => resumeJob(ctx, id, { state }, 'test'));
  await world.finish([own]);
  if (state === 'Aborted') expect(await world.job(id)).toMatchObject({ state });
  else expect(await world.job(id)).toMatchObject({ state: 'Finished', data: { ticket: { epoch: LAST } } });
  // Its thread went on to the next sector.
  expect(await world.job(next)).toMatchObject({ state: 'Finished', thread: 'local/0' });
});

test('a sector of 32 GiB is told hours before: what PC1 and the rest take is counted', async () => {
  world.close();
  await open({ sealProof: 'StackedDrg32GiBV1_1' });
  const id = await one();
  const pc1 = await world.until('TicketAssigned', [own]);
  await world.report(own, world.failure(pc1, 'internal'));
  // PC1 to the pre-commit on chain: 360 + 56 + 4 + 2 + 10 epochs.
  await headAt(LAST - 432);
  await world.tick(EPOCH_MS - 1);
  expect(await world.job(id)).toMatchObject({ paused: false, waiting: { for: 'runner', stage: 'PC1' } });
  await world.tick(EPOCH_MS);
  expect(await world.grant(own)).toEqual([]);
  // No layer is made yet: a fresh one costs nothing.
  expect(await world.job(id)).toMatchObject({ state: 'TreeDBuilt', paused: false, generation: 2 });
  const [back] = (await world.events(id)).filter(({ kind }) => kind === 'went_back');
  expect(back).toMatchObject({ detail: { reason: expect.stringContaining('the pre-commit needs 432 more') } });
});

test('times that are measured here count instead of the usual ones', async () => {
  world.close();
  await open({ sealProof: 'StackedDrg32GiBV1_1', expectedEpochs: { PC1: 1, PC2: 0, C1: 0, Verify: 0, SubmitPC: 1 } });
  await one();
  const pc1 = await world.until('TicketAssigned', [own]);
  await headAt(LAST - 2);
  expect(await world.report(own, world.honest(pc1))).toMatchObject({ status: 'accepted' });
  expect(await world.grant(own)).toMatchObject([{ grant: { stage: 'PC2' } }]);
});

const untilSubmit = async () => {
  for (;;) {
    const due = await world.effects();
    const message = due.find(({ step }) => step === 'SubmitPC');
    if (message !== undefined) return message;
    for (const effect of due) await world.perform(effect);
    for (const granted of await world.grant(own)) await world.report(own, world.honest(granted));
  }
};
const bytes = { sender: 't3a', nonce: 0, cid: 'bafyx', signed: '{}', pushed: false };

test('while the pre-commit waits to be signed: a late one is never signed', async () => {
  for (const how of ['sign', 'wait', 'error'] as const) {
    await headAt(TICKET.epoch + 900);
    const id = await one();
    const message = await untilSubmit();
    await headAt(LAST + 1);
    await world.run((ctx) => {
      if (how === 'sign') expect(effectSigned(ctx, message.id, bytes)).toBe(false);
      if (how === 'wait') effectDone(ctx, message.id, { outcome: 'wait', forMs: 1, reason: 'an earlier nonce' });
      if (how === 'error')
        effectDone(ctx, message.id, { outcome: 'error', category: 'temporary', code: 'low_balance', message: 'too little' });
    });
    expect(await world.job(id), how).toMatchObject({ state: 'PC2Done', ...EXPIRED });
    expect(await world.run((ctx) => effectSigned(ctx, message.id, bytes))).toBe(false);
    await world.run((ctx) => resumeJob(ctx, id, { state: 'Aborted' }, 'test'));
  }
});

test('a chain that refuses the ticket when the message is built is believed', async () => {
  const id = await one();
  const message = await untilSubmit();
  await world.run((ctx) =>
    effectDone(ctx, message.id, { outcome: 'error', category: 'permanent', code: 'ticket_expired', message: 'the ticket is too old' }),
  );
  expect(await world.job(id)).toMatchObject({ state: 'PC2Done', ...EXPIRED });
});

test('auto_fallback draws a fresh one by itself, and the event tells why', async () => {
  world.close();
  await open({ autoFallback: true });
  const id = await one();
  await untilSubmit();
  freshTickets();
  await headAt(LAST + 1);
  await world.finish([own]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished', generation: 2, data: { ticket: { epoch: LAST } } });
  const [back] = (await world.events(id)).filter(({ kind }) => kind === 'went_back');
  expect(back).toMatchObject({ actor: 'engine', to: 'TreeDBuilt', detail: { reason: expect.stringContaining('expired with epoch') } });
});

test('auto_fallback never leaves a live pre-commit, nor goes round where no ticket would last', async () => {
  world.close();
  await open({ autoFallback: true, expectedEpochs: { PC1: 4_000 } });
  const hopeless = await one();
  for (let at = 0; at < 30; at += 1) {
    for (const effect of await world.effects()) await world.perform(effect);
    for (const granted of await world.grant(own)) await world.report(own, world.honest(granted));
  }
  expect(await world.job(hopeless)).toMatchObject({ state: 'TicketAssigned', generation: 1, ...EXPIRED });
  world.close();
  await open({ autoFallback: true });
  const sent = await one();
  const message = await untilSubmit();
  expect(await world.run((ctx) => effectSigned(ctx, message.id, bytes))).toBe(true);
  await headAt(LAST + 1);
  await world.finish([own]);
  expect(await world.job(sent)).toMatchObject({ state: 'Finished', generation: 1, data: { preCommit: { cid: 'bafyx' } } });
});

test.each([true, false])('a pre-commit that landed after its ticket had expired is no riddle: auto_fallback %s', async (autoFallback) => {
  world.close();
  await open({ autoFallback });
  const id = await one();
  const message = await untilSubmit();
  await world.perform(message);
  const [check] = (await world.effects()).filter(({ step }) => step === 'CheckPC');
  freshTickets();
  await headAt(LAST + 5);
  await world.perform(check as EffectRow, { outcome: 'landed', epoch: LAST + 5, exitCode: 16, onChain: false, detail: '' });
  if (!autoFallback) {
    expect(await world.job(id)).toMatchObject({ state: 'PCSubmitted', ...EXPIRED });
    await world.run((ctx) => resumeJob(ctx, id, { state: 'TreeDBuilt' }, 'test'));
  }
  await world.finish([own]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished', generation: 2, data: { ticket: { epoch: LAST } } });
});
