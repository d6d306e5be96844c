/** Every fault of a runner at every moment of every stage. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SectorDetail } from '../../src/api/client.ts';
import { Chaos, STRIKES, canMount } from '../e2e/chaos.ts';
import { nothingTwice } from '../e2e/killing.ts';

let chaos: Chaos;
const sealed: SectorDetail[] = [];
beforeAll(async () => {
  if (canMount) chaos = await Chaos.start();
}, 180_000);
afterAll(() => chaos?.end(), 180_000);

test.runIf(canMount).each(STRIKES)('$fault while $moment $stage', { timeout: 300_000 }, async (strike) => {
  const detail = await chaos.seal(strike);
  sealed.push(detail);
  if (strike.fault === 'stop' || strike.fault === 'cut')
    expect(detail.attempts.filter(({ stage, status }) => stage === strike.stage && status === 'lost')).not.toEqual([]);
});

test.runIf(canMount)('of all of them: one message for each step, each result once', async () => {
  expect(sealed).toHaveLength(STRIKES.length);
  await nothingTwice(chaos.deployment, sealed);
});
