/** The proof came too late: the chain has let the pre-commit expire, and says so when the prove-commit is built. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { EffectOutcome, EffectRow } from '../../src/scheduler/effects.ts';
import { setHead } from '../../src/scheduler/head.ts';
import { pledge } from '../../src/scheduler/pledge.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import { TICKET } from './honest.ts';
import { MINER, World } from './world.ts';

const GONE: EffectOutcome = {
  outcome: 'error',
  category: 'permanent',
  code: 'no_pre_commit',
  message: 'sector 1 has no pre-commit on chain',
};
let world: World;
let own: RunnerId;
let id: Job['id'];
let landedEpoch: number;
beforeEach(async () => {
  world = new World();
  await world.start();
  own = (await world.register('own')).id;
  await headAt(TICKET.epoch + 1_000);
  const [job] = await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1 }, 'test'));
  id = (job as Job).id;
});
afterEach(() => world.close());

const headAt = (epoch: number): Promise<void> => world.run((ctx) => setHead(ctx, { epoch, epochMs: 30_000 }));
const effect = async (step: string): Promise<EffectRow | undefined> => (await world.effects()).find((row) => row.step === step);

/** The chain refuses the prove-commit so many epochs after the pre-commit landed. */
const refusedAfter = async (epochs: number): Promise<void> => {
  let submit = await effect('SubmitProof');
  for (; submit === undefined; submit = await effect('SubmitProof')) {
    for (const due of await world.effects()) if (due.step !== 'SubmitProof') await world.perform(due);
    for (const granted of await world.grant(own)) await world.report(own, world.honest(granted));
    await world.tick();
  }
  landedEpoch = (await world.job(id)).data.preCommit?.landedEpoch as number;
  await headAt(landedEpoch + epochs);
  await world.perform(submit, GONE);
};
const landed = (onChain: boolean): EffectOutcome => ({ outcome: 'landed', epoch: landedEpoch, exitCode: 0, onChain, detail: '' });

test('neither pre-commit nor sector is there: the job ends, and its thread goes on', async () => {
  await refusedAfter(86_550 + 901);
  await world.tick(61_000);
  await world.perform((await effect('CheckPC')) as EffectRow, landed(false));
  expect(await world.job(id)).toMatchObject({ state: 'Aborted', error: { category: 'abort', code: 'pre_commit_expired' } });
  expect(await world.run((ctx) => ctx.tx.freeThreads())).toHaveLength(1);
});

test('the sector is there, proven by somebody else: nothing is given up', async () => {
  await refusedAfter(86_550 + 901);
  await world.tick(61_000);
  await world.perform((await effect('CheckPC')) as EffectRow, landed(true));
  expect(await world.job(id)).toMatchObject({ state: 'C2Done', data: { preCommit: { landedEpoch } } });
  await world.perform((await effect('SubmitProof')) as EffectRow);
  await world.finish([own]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished' });
});

test('its time is not over: it is tried again, and nobody decides', async () => {
  await refusedAfter(86_550);
  await world.tick(61_000);
  expect(await effect('CheckPC')).toBeUndefined();
  expect(await world.job(id)).toMatchObject({ state: 'C2Done', paused: false, error: { category: 'temporary', code: 'no_pre_commit' } });
});
