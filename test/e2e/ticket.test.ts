/** A ticket that expired while its sector waited. The same with real proofs stands in test/soak. */
import { expect, onTestFinished, test } from 'vitest';
import { FOUND_IN, freshTicket, givenUp, overslept } from './ticket-stories.ts';

const MINUTES = 60_000;

test('it pauses with both ways out; given up, the thread takes the next sector', { timeout: 3 * MINUTES }, async () => {
  const deployment = await givenUp({});
  onTestFinished(() => deployment.end());
});

test('resumed at TreeDBuilt, the same sector gets a fresh ticket and finishes', { timeout: 3 * MINUTES }, async () => {
  const deployment = await freshTicket({});
  onTestFinished(() => deployment.end());
});

test('with auto_fallback it gets the fresh ticket by itself', { timeout: 3 * MINUTES }, async () => {
  const settings = { SEALPOOL_MINERS: '[{ id = "t01000", seal_proof = "StackedDrg2KiBV1_1", auto_fallback = true }]' };
  const { deployment, jobs } = await overslept({ settings }, 1);
  onTestFinished(() => deployment.end());
  const before = (await deployment.client.sector(jobs[0] as string)).job;
  await deployment.addRunner('pc2', { stages: ['PC2'] });
  const { job, events } = await deployment.finished(jobs[0] as string);
  expect(job.generation).toBe(before.generation + 1);
  expect(job.data.ticket?.epoch).toBeGreaterThan(before.data.ticket?.epoch as number);
  expect(events.filter(({ kind }) => kind === 'went_back')).toMatchObject([
    { from: expect.stringMatching(FOUND_IN), to: 'TreeDBuilt', actor: 'engine' },
  ]);
});
