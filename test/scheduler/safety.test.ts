/** Each of these once cost a sector, a deposit or everybody's time; found by reading the engine as an attacker would. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { abortJob, pauseJob, resumeJob } from '../../src/scheduler/operate.ts';
import { pledge } from '../../src/scheduler/pledge.ts';
import { effectDone, effectSigned } from '../../src/scheduler/outbox.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import type { Job } from '../../src/schema/job.ts';
import { type Granted, MINER, World } from './world.ts';

let world: World;
let own: RunnerRow;

beforeEach(async () => {
  world = new World();
  await world.start();
  own = await world.register('own-1');
});
afterEach(() => world.close());

const pledgeOne = async (): Promise<Job> =>
  (await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1 }, 'test')))[0] as Job;
const until = (state: string): Promise<Granted> => world.until(state, [own.id]);

const untilMessage = async () => {
  for (let round = 0; round < 100; round += 1) {
    const message = (await world.effects()).find(({ want }) => want.kind === 'message');
    if (message !== undefined) return message;
    for (const effect of await world.effects()) await world.perform(effect);
    for (const one of await world.grant(own.id)) await world.report(own.id, world.honest(one));
  }
  throw new Error('no message was wanted');
};

test('a rented runner is never asked what CommD is', async () => {
  const rented = await world.register('rented-1', 'rented');
  const job = await pledgeOne();
  for (const effect of await world.effects()) await world.perform(effect);
  expect(await world.grant(rented.id)).toEqual([]);
  expect(await world.job(job.id)).toMatchObject({ waiting: { for: 'runner', stage: 'AddPiece' } });
});

test('a paused job signs nothing, and sends its message once it is resumed', async () => {
  const job = await pledgeOne();
  const message = await untilMessage();
  await world.run((ctx) => pauseJob(ctx, job.id, {}, 'test'));
  const signed = { sender: 't3a', nonce: 0, cid: 'bafyearly', signed: '{}', pushed: false };
  expect(await world.run((ctx) => effectSigned(ctx, message.id, signed))).toBe(false);
  await world.run((ctx) => resumeJob(ctx, job.id, {}, 'test'));
  await world.finish([own.id]);
  expect(await world.job(job.id)).toMatchObject({ state: 'Finished' });
});

test('a node that is away for long is waited for; a good answer between makes the waits short again', async () => {
  const job = await pledgeOne();
  const [effect] = await world.effects();
  if (effect === undefined) throw new Error('there is no effect');
  const away = { outcome: 'error', category: 'temporary', code: 'node_away', message: 'the node is away' } as const;
  for (let at = 0; at < 40; at += 1) {
    await world.run((ctx) => effectDone(ctx, effect.id, away));
    await world.tick(900_000);
  }
  expect(await world.job(job.id)).toMatchObject({ paused: false, error: { code: 'node_away' } });
  await world.run((ctx) => effectDone(ctx, effect.id, { outcome: 'wait', forMs: 10, reason: 'not yet' }));
  expect(await world.run((ctx) => ctx.tx.effect(effect.id))).toMatchObject({ failures: 0 });
  await world.finish([own.id]);
  expect(await world.job(job.id)).toMatchObject({ state: 'Finished' });
});

test('a stall of the control plane itself extends the leases by it', async () => {
  const stalled = new World({ stallMs: 15_000 });
  try {
    await stalled.start();
    const runner = await stalled.register('own-1');
    const [job] = await stalled.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1 }, 'test'));
    for (const effect of await stalled.effects()) await stalled.perform(effect);
    expect(await stalled.grant(runner.id)).toHaveLength(1);
    await stalled.tick(600_000);
    expect(await stalled.job((job as Job).id)).toMatchObject({ waiting: { for: 'stage' } });
    for (let at = 0; at < 5; at += 1) await stalled.tick(5_000);
    expect(await stalled.job((job as Job).id)).toMatchObject({ waiting: { for: 'runner' } });
  } finally {
    stalled.close();
  }
});

test("a liar's t_aux goes with its results: PC2 is done again from PC1's own", async () => {
  const job = await pledgeOne();
  const granted = await until('PC1Done');
  const input = granted.grant.inputs.find(({ name }) => name === 'cache/t_aux');
  await world.report(own.id, world.honest(granted));
  await world.run((ctx) => pauseJob(ctx, job.id, { now: true }, 'test'));
  await world.run((ctx) => resumeJob(ctx, job.id, { state: 'PC1Done' }, 'test'));
  const again = await until('PC1Done');
  expect(again.grant.inputs.find(({ name }) => name === 'cache/t_aux')).toEqual(input);
  const deleted = (await world.run((ctx) => ctx.tx.effectsOfJob(job.id))).flatMap(({ want }) => (want.kind === 'delete' ? want.keys : []));
  expect(deleted).not.toContain(input?.key);
});

test('vanilla proofs that do not hold cost their maker, and C1 is done again', async () => {
  const job = await pledgeOne();
  const c1 = await until('SeedAssigned');
  await world.report(own.id, world.honest(c1));
  const check = await until('SeedAssigned');
  expect(check.grant.stage).toBe('Verify');
  await world.report(own.id, world.failure(check, 'proof_invalid'));
  expect(await world.job(job.id)).toMatchObject({ state: 'SeedAssigned', generation: 2, paused: false });
  await world.finish([own.id]);
  expect(await world.job(job.id)).toMatchObject({ state: 'Finished' });
});

test('a job that cannot go on stops alone: the clockwork serves all others', async () => {
  const [odd] = await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 2 }, 'test'));
  await world.run((ctx) => {
    const job = ctx.tx.job((odd as Job).id) as Job;
    ctx.tx.updateJob({
      ...job,
      state: 'PC1Done',
      number: null,
      waiting: { for: 'retry', untilMs: 0 },
      data: { ...job.data, commR: undefined } as Job['data'],
    });
  });
  await world.tick(1_000);
  await world.grant(own.id);
  expect(await world.job((odd as Job).id)).toMatchObject({ paused: true, error: { category: 'critical', code: 'invariant' } });
  await world.run((ctx) => abortJob(ctx, (odd as Job).id, {}, 'test'));
  await world.finish([own.id]);
  expect(await world.run((ctx) => ctx.tx.countJobs())).toContainEqual({ state: 'Finished', paused: false, count: 1 });
});

test('a stage that fails everywhere is tried further and further apart', async () => {
  const job = await pledgeOne();
  const gaps: number[] = [];
  for (let at = 0; at < 8; at += 1) {
    const granted = await until('DealsAcquired');
    await world.report(own.id, world.failure(granted, 'parameters_missing'));
    const { waiting } = await world.job(job.id);
    if (waiting.for === 'retry') gaps.push(waiting.untilMs - world.nowMs);
  }
  expect(gaps.at(-1)).toBeGreaterThan(30_000);
  expect(await world.job(job.id)).toMatchObject({ retries: 0, paused: false });
});
