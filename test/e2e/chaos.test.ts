/** Faults of runners in the middle of stages: a seeded choice of them; `test/soak/chaos.test.ts` has them all. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Chaos, STRIKES, type Strike, canMount } from './chaos.ts';
import { seededRandom } from './killing.ts';

const SEED = Number(process.env['SEED'] ?? 8);

/** Two of each fault, of stages and moments as the seed has it. */
function chosen(): Strike[] {
  const random = seededRandom(SEED);
  const left = [...STRIKES].sort(() => random() - 0.5);
  return ['kill', 'stop', 'cut', 'full'].flatMap((fault) => left.filter((strike) => strike.fault === fault).slice(0, 2));
}

let chaos: Chaos;
beforeAll(async () => {
  if (canMount) chaos = await Chaos.start();
}, 180_000);
afterAll(() => chaos?.end(), 180_000);

test.runIf(canMount).each(chosen())(`seed ${SEED}: $fault while $moment $stage`, { timeout: 240_000 }, async (strike) => {
  const detail = await chaos.seal(strike);
  expect(detail.job).toMatchObject({ state: 'Finished', generation: 1 });
  const done = detail.attempts.filter(({ status }) => status === 'done').map(({ stage, state }) => `${stage} in ${state}`);
  expect(done).toEqual([...new Set(done)]);
  if (strike.fault === 'stop' || strike.fault === 'cut')
    expect(detail.attempts.filter(({ stage, status }) => stage === strike.stage && status === 'lost')).not.toEqual([]);
});
