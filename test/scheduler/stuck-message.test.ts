/** A message that stays in the mempool is told of once, with what helps; the job waits on, and loses nothing. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { EffectOutcome, EffectRow } from '../../src/scheduler/effects.ts';
import { explain } from '../../src/scheduler/explain.ts';
import { setHead } from '../../src/scheduler/head.ts';
import { effectSigned } from '../../src/scheduler/outbox.ts';
import { pledge } from '../../src/scheduler/pledge.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import { TICKET } from './honest.ts';
import { MINER, World } from './world.ts';

const EPOCH_MS = 30_000;
const PENDING: EffectOutcome = { outcome: 'wait', forMs: EPOCH_MS, reason: 'message bafyx is in the mempool', pending: true };
const IN_A_BLOCK: EffectOutcome = { outcome: 'wait', forMs: EPOCH_MS, reason: 'message bafyx landed at epoch 10911' };
let world: World;
let own: RunnerId;
let id: Job['id'];
beforeEach(async () => {
  world = new World({ threads: [0, 1].map((index) => ({ worker: 'local', index, plan: 'sealer', miner: null, auto: false })) });
  await world.start();
  own = (await world.register('own')).id;
  await world.run((ctx) => setHead(ctx, { epoch: TICKET.epoch + 900, epochMs: EPOCH_MS }));
  const [job] = await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1 }, 'test'));
  id = (job as Job).id;
  while ((await world.job(id)).state !== 'PCSubmitted') {
    for (const effect of await world.effects()) {
      if (effect.step === 'SubmitPC') {
        const signed = '{"Message":{"Value":"15","GasFeeCap":"123456789","GasPremium":"100"}}';
        await world.run((ctx) => effectSigned(ctx, effect.id, { sender: 't3a', nonce: 7, cid: 'bafyx', signed, pushed: false }));
        await world.perform((await world.run((ctx) => ctx.tx.effect(effect.id))) as EffectRow, { outcome: 'pushed' });
      } else await world.perform(effect);
    }
    for (const granted of await world.grant(own)) await world.report(own, world.honest(granted));
  }
});
afterEach(() => world.close());

/** The message is looked for once an epoch, and this is what the chain says. */
const looks = async (times: number, outcome: EffectOutcome): Promise<void> => {
  for (let at = 0; at < times; at += 1) {
    await world.tick(EPOCH_MS);
    for (const effect of await world.effects()) if (effect.step === 'CheckPC') await world.perform(effect, outcome);
  }
};
const told = async () => (await world.events(id)).filter(({ kind, detail }) => kind === 'error' && detail['code'] === 'message_stuck');

test('ten epochs in the mempool: told once with nonce, fee cap and what to do, and counted never', async () => {
  await looks(9, PENDING);
  expect(await world.job(id)).toMatchObject({ error: null });
  await looks(30, PENDING);
  const job = await world.job(id);
  expect(job).toMatchObject({
    state: 'PCSubmitted',
    paused: false,
    retries: 0,
    waiting: { for: 'effect' },
    error: { category: 'temporary', code: 'message_stuck' },
  });
  expect(job.error?.message).toMatch(/bafyx .*nonce 7 .*123456789 attoFIL.*lotus mpool replace --auto t3a 7/);
  expect(await told()).toMatchObject([{ from: 'PCSubmitted', detail: { step: 'CheckPC', pauses: false } }]);
  expect((await world.run((ctx) => explain(ctx, job))).sentence).toContain('lotus mpool replace');
});

test('one that waits behind another of its sender: that one is named, with whose it is, as the one to replace', async () => {
  const behind = { sender: 't3a', nonce: 5, job: id, why: null };
  await looks(12, { ...PENDING, heldBy: behind } as EffectOutcome);
  const { error } = await world.job(id);
  expect(error).toMatchObject({ category: 'temporary', code: 'message_stuck' });
  expect(error?.message).toMatch(/bafyx \(nonce 7 .*nonce 5 of t3a, of job .*s-t01000-1, PCSubmitted\).*lotus mpool replace --auto t3a 5;/);
  // The line gets on, epoch by epoch: that is shown, and no news.
  await looks(1, { ...PENDING, heldBy: { ...behind, nonce: 6, job: null } } as EffectOutcome);
  expect((await world.job(id)).error?.message).toContain('--auto t3a 6;');
  expect(await told()).toHaveLength(1);
});

test('one that waits behind another that the node has lost and does not take: what the node says', async () => {
  await looks(12, { ...PENDING, heldBy: { sender: 't3a', nonce: 5, job: null, why: 'too little money' } } as EffectOutcome);
  expect(await world.job(id)).toMatchObject({
    error: { code: 'message_held', message: expect.stringMatching(/nonce 5 of t3a has to go first.*too little money/) },
  });
});

test('once it is in a block nothing is wrong any more, and the sector goes on', async () => {
  await looks(11, PENDING);
  await looks(1, IN_A_BLOCK);
  expect(await world.job(id)).toMatchObject({ error: null, waiting: { for: 'effect' } });
  await world.finish([own]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished', data: { preCommit: { cid: 'bafyx' } } });
});

test('a message that an earlier one holds up: told once whose that is and what the node says, until it may go', async () => {
  const [held] = await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1 }, 'test'));
  const later = (held as Job).id;
  const sends = async () => (await world.effects()).find(({ job, step }) => job === later && step === 'SubmitPC');
  for (let turn = 0; turn < 50 && (await sends()) === undefined; turn += 1) {
    for (const effect of await world.effects()) if (effect.job === later) await world.perform(effect);
    for (const granted of await world.grant(own)) await world.report(own, world.honest(granted));
  }
  const waits = async (times: number, wait: Partial<Extract<EffectOutcome, { outcome: 'wait' }>>): Promise<void> => {
    for (let at = 0; at < times; at += 1) {
      await world.tick(EPOCH_MS);
      await world.perform((await sends()) as EffectRow, { outcome: 'wait', forMs: EPOCH_MS, reason: 'waits', ...wait });
    }
  };
  const heldBy = { sender: 't3a', nonce: 7, job: id, why: 't3a has too little money for the message' };
  await waits(9, { heldBy });
  expect(await world.job(later)).toMatchObject({ error: null });
  await waits(5, { heldBy });
  const job = await world.job(later);
  expect(job).toMatchObject({ state: 'PC2Done', paused: false, retries: 0, error: { category: 'temporary', code: 'message_held' } });
  expect(job.error?.message).toMatch(/nonce 7 of t3a, of job .* \(s-t01000-\d+, PCSubmitted\) has to go first.*too little money/);
  const events = async () => (await world.events(later)).filter(({ detail }) => detail['code'] === 'message_held');
  expect(await events()).toHaveLength(1);
  // What the node says changes: no news, but what the job shows follows.
  await waits(2, { heldBy: { ...heldBy, why: 'no answer in time' } });
  expect((await world.job(later)).error?.message).toContain('no answer in time');
  expect(await events()).toHaveLength(1);
  // That one went, and the next holds it up.
  await waits(3, { heldBy: { ...heldBy, nonce: 8, job: null } });
  expect((await world.job(later)).error?.message).toMatch(/nonce 8 of t3a has to go first/);
  expect((await events()).map(({ detail }) => /nonce \d+/.exec(String(detail['message']))?.[0])).toEqual(['nonce 7', 'nonce 8']);
  await waits(1, {});
  expect(await world.job(later)).toMatchObject({ error: null });
});

/** A job that waits for the effect of this step, and what is told of it. */
const waitingFor = async (step: string) => {
  const job = await world.ask();
  const due = async () => (await world.effects()).find((effect) => effect.job === job && effect.step === step);
  for (let turn = 0; turn < 50 && (await due()) === undefined; turn += 1) {
    for (const effect of await world.effects()) if (effect.job === job) await world.perform(effect);
    for (const granted of await world.grant(own)) await world.report(own, world.honest(granted));
  }
  return {
    say: async (times: number, outcome: EffectOutcome): Promise<Job> => {
      for (let at = 0; at < times; at += 1) {
        await world.perform((await due()) as EffectRow, outcome);
        await world.tick(EPOCH_MS);
      }
      return world.job(job);
    },
    told: async () => (await world.events(job)).flatMap(({ kind, detail }) => (kind === 'error' ? [detail['code']] : [])),
  };
};
const coded = (code: string, reason = `${code}; it goes on by itself`): EffectOutcome => ({
  outcome: 'wait',
  forMs: EPOCH_MS,
  reason,
  code,
});
const PLAIN: EffectOutcome = { outcome: 'wait', forMs: EPOCH_MS, reason: 'the seed exists in 100 epochs' };
const AWAY: EffectOutcome = { outcome: 'error', category: 'temporary', code: 'rpc_unreachable', message: 'the node is away; look at it' };

test('money that is missing is told at once and once, and shown as it changes, until there is enough', async () => {
  const { say, told: codes } = await waitingFor('SubmitPC');
  expect(await say(1, coded('insufficient_funds', '7 are missing; send FIL'))).toMatchObject({
    state: 'PC2Done',
    paused: false,
    retries: 0,
    waiting: { for: 'effect' },
    error: { category: 'temporary', code: 'insufficient_funds', message: '7 are missing; send FIL' },
  });
  expect(await say(20, coded('insufficient_funds', '5 are missing; send FIL'))).toMatchObject({
    error: { message: '5 are missing; send FIL' },
  });
  expect(await codes()).toEqual(['insufficient_funds']);
  expect(await say(1, PLAIN)).toMatchObject({ error: null });
});

test('a node that is behind is told of after ten epochs, once', async () => {
  const { say, told: codes } = await waitingFor('AssignTicket');
  expect(await say(10, coded('node_behind'))).toMatchObject({ error: null });
  expect(await say(30, coded('node_behind'))).toMatchObject({ paused: false, error: { category: 'temporary', code: 'node_behind' } });
  expect(await codes()).toEqual(['node_behind']);
});

test('an error of the node is over once it answers that only time is wanted', async () => {
  const { say, told: codes } = await waitingFor('AssignSeed');
  expect(await say(1, AWAY)).toMatchObject({ error: { code: 'rpc_unreachable' } });
  expect(await say(1, PLAIN)).toMatchObject({ state: 'PersistanceSubmitted', error: null });
  expect(await codes()).toEqual(['rpc_unreachable']);
});

test('any other wait is no stuck message, however long', async () => {
  await looks(40, IN_A_BLOCK);
  expect(await world.job(id)).toMatchObject({ error: null });
  expect(await told()).toEqual([]);
});
