/** A pre-commit that had landed and that the chain does not show any more: a deep reorg, or it expired. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { EffectOutcome } from '../../src/scheduler/effects.ts';
import { setHead } from '../../src/scheduler/head.ts';
import { pauseJob, resumeJob } from '../../src/scheduler/operate.ts';
import { pledge } from '../../src/scheduler/pledge.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import { COMM_R, TICKET } from './honest.ts';
import { MINER, World } from './world.ts';

let world: World;
let own: RunnerId;
beforeEach(async () => {
  world = new World();
  await world.start();
  own = (await world.register('own')).id;
  await headAt(TICKET.epoch + 1_000);
});
afterEach(() => world.close());

const headAt = (epoch: number): Promise<void> => world.run((ctx) => setHead(ctx, { epoch, epochMs: 30_000 }));

const GONE: EffectOutcome = {
  outcome: 'error',
  category: 'permanent',
  code: 'no_pre_commit',
  message: 'sector 1 has no pre-commit on chain',
};

/** Answers honestly except for the steps given, each once, until the job stops. */
const play = async (answers: Readonly<Record<string, readonly EffectOutcome[]>>): Promise<Job> => {
  const [job] = await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1 }, 'test'));
  return goOn(job as Job, answers);
};

const goOn = async (job: Job, answers: Readonly<Record<string, readonly EffectOutcome[]>>): Promise<Job> => {
  const left = new Map(Object.entries(answers).map(([step, list]) => [step, [...list]]));
  for (let round = 0; round < 300; round += 1) {
    for (const effect of await world.effects()) await world.perform(effect, left.get(effect.step)?.shift());
    for (const granted of await world.grant(own)) await world.report(own, world.honest(granted));
    await world.tick(61_000);
    const now = await world.job(job.id);
    if (now.paused || now.state === 'Finished' || now.state === 'Aborted') return now;
  }
  throw new Error('it never stopped');
};

const landed = (epoch: number, exitCode = 0, onChain = true): EffectOutcome => ({
  outcome: 'landed',
  epoch,
  exitCode,
  onChain,
  detail: '',
});
const sent = async (job: Job, by = 'SubmitPC'): Promise<number> =>
  (await world.run((ctx) => ctx.tx.effectsOfJob(job.id))).filter(({ step, signed }) => step === by && signed !== null).length;

test('landed again elsewhere after a reorg: the job goes on with it, and sends nothing', async () => {
  const job = await play({ AssignSeed: [GONE], CheckPC: [landed(10_900), landed(10_905)] });
  expect(job).toMatchObject({ state: 'Finished', generation: 1, data: { preCommit: { landedEpoch: 10_905 } } });
  expect(await sent(job)).toBe(1);
});

test('proven by a message that nobody here knows: the job finishes with it, unless it is another replica', async () => {
  const proven = (commR: string): EffectOutcome => ({ outcome: 'proven', commR, epoch: 11_500 });
  const job = await play({ AssignSeed: [GONE, proven(COMM_R.cid)] });
  expect(job).toMatchObject({ state: 'Finished', data: { proveCommit: { found: true, landedEpoch: 11_500 } } });
  expect([await sent(job), await sent(job, 'SubmitProof')]).toEqual([1, 0]);
  expect(await play({ AssignSeed: [proven('another')] })).toMatchObject({
    state: 'PersistanceSubmitted',
    paused: true,
    error: { code: 'chain_differs' },
  });
});

test('failed when it landed anew: it is provably dead, and another is sent with the same ticket', async () => {
  const job = await play({ AssignSeed: [GONE], CheckPC: [landed(10_900), landed(10_905, 7, false)] });
  expect(job).toMatchObject({ state: 'Finished', generation: 2, data: { ticket: TICKET } });
  expect(await sent(job)).toBe(2);
});

test('its nonce went to another message: an operator looks, then it is sent anew', async () => {
  const taken: EffectOutcome = { outcome: 'error', category: 'permanent', code: 'nonce_taken', message: 'nonce 0 went to another message' };
  const job = await play({ AssignSeed: [GONE], CheckPC: [landed(10_900), taken] });
  expect(job).toMatchObject({ state: 'PersistanceSubmitted', paused: true, error: { code: 'nonce_taken' } });
  await world.run((ctx) => resumeJob(ctx, job.id, {}, 'test'));
  await world.finish([own]);
  expect(await world.job(job.id)).toMatchObject({ state: 'Finished' });
  expect(await sent(job)).toBe(2);
});

test('its nonce went to another message before it ever landed: resumed, another is sent', async () => {
  const taken: EffectOutcome = { outcome: 'error', category: 'permanent', code: 'nonce_taken', message: 'nonce 0 went to another message' };
  const job = await play({ CheckPC: [taken] });
  expect(job).toMatchObject({ state: 'PCSubmitted', paused: true });
  await world.run((ctx) => resumeJob(ctx, job.id, {}, 'test'));
  await world.finish([own]);
  expect(await world.job(job.id)).toMatchObject({ state: 'Finished' });
});

test('dead, and the ticket too old for another: it pauses with both repairs', async () => {
  const [made] = await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1 }, 'test'));
  await world.until('PCLanded', [own]);
  await headAt(TICKET.epoch + 3_900);
  expect(await goOn(made as Job, { AssignSeed: [GONE], CheckPC: [landed(10_905, 7, false)] })).toMatchObject({
    state: 'PC2Done',
    paused: true,
    error: { code: 'ticket_expired' },
  });
});

test('expired unproven: nothing is left to give up, the job ends', async () => {
  const now = TICKET.epoch + 100 + 86_550 + 1;
  const job = await play({ CheckPC: [landed(TICKET.epoch + 100, 0, false)] }).then(async (paused) => {
    // Not yet over: somebody has to look.
    expect(paused).toMatchObject({ paused: true, error: { category: 'critical', code: 'chain_differs' } });
    await headAt(now);
    await world.run((ctx) => resumeJob(ctx, paused.id, {}, 'test'));
    for (const effect of await world.effects()) await world.perform(effect, landed(TICKET.epoch + 100, 0, false));
    return world.job(paused.id);
  });
  expect(job).toMatchObject({ state: 'Aborted', error: { category: 'abort', code: 'pre_commit_expired' }, data: { artifacts: {} } });
});

test('a chain that says both for ever is left to an operator', async () => {
  const job = await play({ AssignSeed: Array.from({ length: 40 }, () => GONE) });
  expect(job).toMatchObject({ state: 'PersistanceSubmitted', paused: true, error: { code: 'no_pre_commit' } });
  expect(await sent(job)).toBe(1);
}, 30_000);

/** A job whose prove-commit is out and that an operator takes back to where files are stored. */
const resumedWithProofOut = async (): Promise<Job> => {
  const id = await world.ask();
  while ((await world.job(id)).state !== 'ProofSubmitted') {
    for (const effect of await world.effects()) if (effect.step !== 'Finish') await world.perform(effect);
    for (const granted of await world.grant(own)) await world.report(own, world.honest(granted));
    await world.tick(1_000);
  }
  await world.run((ctx) => pauseJob(ctx, id, {}, 'test'));
  const { job } = await world.run((ctx) => resumeJob(ctx, id, { state: 'PCLanded' }, 'test'));
  expect(job).toMatchObject({ state: 'PCLanded', data: { proveCommit: { nonce: 1 } } });
  return job;
};

test('taken up by a prove-commit that is out when the job goes back: it is followed, no seed is asked for', async () => {
  const job = await goOn(await resumedWithProofOut(), { AssignSeed: Array.from({ length: 40 }, () => GONE) });
  expect(job).toMatchObject({ state: 'Finished', data: { proveCommit: { exitCode: 0 } } });
  expect(await sent(job, 'SubmitProof')).toBe(1);
});

test('a prove-commit that is out when the job goes back, and fails: the pre-commit is still there, and another proof is made', async () => {
  const failed = await goOn(await resumedWithProofOut(), { Finish: [landed(11_200, 16, false)] });
  expect(failed).toMatchObject({ state: 'PersistanceSubmitted', paused: true, error: { code: 'prove_commit_failed' } });
  await world.run((ctx) => resumeJob(ctx, failed.id, {}, 'test'));
  await world.finish([own]);
  expect(await world.job(failed.id)).toMatchObject({ state: 'Finished', data: { proveCommit: { exitCode: 0, nonce: 2 } } });
  expect(await sent(failed, 'SubmitProof')).toBe(2);
});
