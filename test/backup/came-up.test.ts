/** A message of the lost database that comes up after the job was compared with the chain. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { EffectRow } from '../../src/scheduler/effects.ts';
import { abortJob } from '../../src/scheduler/operate.ts';
import type { Job } from '../../src/schema/job.ts';
import { NOTHING, preCommitted, RestoredWorld } from './restored-world.ts';

let world: RestoredWorld;
beforeEach(async () => {
  world = new RestoredWorld();
  await world.start();
});
afterEach(() => world.close());

const LATE = {
  outcome: 'compareAgain',
  sender: 't3a',
  reason: 'message bafy-lost (nonce 4) of t3a for sector 1 is in the mempool',
} as const;

/** A restored job that the chain had nothing of, its pre-commit wanted. */
async function aboutToSend(): Promise<{ id: Job['id']; message: EffectRow }> {
  const { id, running } = await world.backedUpIn('PC1Done');
  await world.restore(NOTHING);
  await world.report(world.own, world.honest(running));
  for (let round = 0; round < 50; round += 1) {
    const message = (await world.effects()).find(({ want }) => want.kind === 'message');
    if (message !== undefined) return { id, message };
    for (const one of await world.grant(world.own)) await world.report(world.own, world.honest(one));
    await world.tick(1_000);
  }
  throw new Error('no message was wanted');
}

test('the job is compared again, takes over what that message did, and sends none of its own', async () => {
  const { id, message } = await aboutToSend();
  await world.perform(message, LATE);
  const held = await world.job(id);
  expect(held).toMatchObject({ state: 'PC2Done', paused: false, waiting: { for: 'effect' } });
  const [compare, ...others] = (await world.effects()).filter(({ job, want }) => job === id && want.kind !== 'delete');
  expect([compare?.want, others]).toEqual([{ kind: 'reconcile', miner: 't01000', number: 1 }, []]);
  expect((await world.events(id)).at(-1)).toMatchObject({
    actor: 'chain',
    kind: 'note',
    detail: { reason: expect.stringContaining('bafy-lost') },
  });
  world.sent.length = 0;
  await world.perform(compare as EffectRow, preCommitted());
  await world.finish([world.own]);
  expect((await world.job(id)).state).toBe('Finished');
  expect(world.sent).toEqual(['SubmitProof']);
});

test('where it did nothing the job sends its own', async () => {
  const { id, message } = await aboutToSend();
  await world.perform(message, LATE);
  const [compare] = await world.comparing();
  world.sent.length = 0;
  await world.perform(compare as EffectRow, NOTHING);
  await world.finish([world.own]);
  expect((await world.job(id)).state).toBe('Finished');
  expect(world.sent).toEqual(['SubmitPC', 'SubmitProof']);
});

test('a job that was given up meanwhile is left alone', async () => {
  const { id, message } = await aboutToSend();
  await world.run((ctx) => abortJob(ctx, id, { force: true }, 'test'));
  const before = await world.job(id);
  await world.perform(message, LATE);
  expect(await world.job(id)).toEqual(before);
  expect(await world.comparing()).toEqual([]);
});
