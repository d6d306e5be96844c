/** By when a job's next message must be on the chain, along a whole sealing. */
import { afterEach, expect, test } from 'vitest';
import { deadlineOf } from '../../src/scheduler/deadlines.ts';
import { setHead } from '../../src/scheduler/head.ts';
import { abortJob } from '../../src/scheduler/operate.ts';
import { pledge } from '../../src/scheduler/pledge.ts';
import type { Job } from '../../src/schema/job.ts';
import { TICKET } from './honest.ts';
import { MINER, World } from './world.ts';

let world: World;
afterEach(() => world.close());

/** Goes on step by step until the job is in the state. */
async function sealedUntil(state: string): Promise<Job> {
  world = new World();
  await world.start();
  const own = (await world.register('own')).id;
  await world.run((ctx) => setHead(ctx, { epoch: TICKET.epoch + 1_000, epochMs: 30_000 }));
  const [{ id }] = (await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1 }, 'test'))) as [Job];
  for (let job = await world.job(id); ; job = await world.job(id)) {
    if (job.state === state) return job;
    if (job.state === 'Finished') throw new Error(`it never was in ${state}`);
    const [due] = await world.effects();
    const [granted] = due === undefined ? await world.grant(own) : [];
    if (due !== undefined) await world.perform(due);
    if (granted !== undefined) await world.report(own, world.honest(granted));
    await world.tick();
  }
}

test.each([
  ['Empty', () => null],
  ['PC1Done', () => ({ of: 'pre_commit', epoch: TICKET.epoch + 3_780 })],
  ['PCLanded', ({ data }: Job) => ({ of: 'prove_commit', epoch: (data.preCommit?.landedEpoch as number) + 30 * 2_880 + 150 })],
  ['C1Done', ({ data }: Job) => ({ of: 'prove_commit', epoch: (data.preCommit?.landedEpoch as number) + 30 * 2_880 + 150 })],
  ['Finished', () => null],
] as const)('in %s', async (state, expected) => {
  const job = await sealedUntil(state);
  expect(deadlineOf(job)).toEqual(expected(job));
});

test('a job that was given up has none', async () => {
  const { id } = await sealedUntil('PC1Done');
  await world.run((ctx) => abortJob(ctx, id, {}, 'test'));
  expect(deadlineOf(await world.job(id))).toBeNull();
});
