/** `kill -9` of each process at random moments: the sector finishes, nothing happens twice. `SEED` in a failure's title replays its moments. */
import { afterEach, expect, test } from 'vitest';
import { Deployment } from './processes.ts';
import { killAtRandom, nothingTwice, seededRandom } from './killing.ts';

let deployment: Deployment;
afterEach(() => deployment.end());

test.each([1, 2, 3])('seed %i: every process is killed at several moments of one seal', { timeout: 180_000 }, async (seed) => {
  deployment = await Deployment.start();
  await deployment.addRunner('one');
  const [job] = await deployment.pledge();
  const kills = await killAtRandom(deployment, seededRandom(seed), { kills: 6, betweenMs: [100, 1_500] });
  expect(new Set(kills).size).toBe(3);
  const detail = await deployment.finished(job as string);
  await nothingTwice(deployment, [detail]);
});
