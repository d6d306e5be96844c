/** `kill -9` at hundreds of moments: sector after sector, each process killed several times in each. */
import { afterEach, expect, test } from 'vitest';
import { killAtRandom, nothingTwice, seededRandom } from '../e2e/killing.ts';
import { Deployment } from '../e2e/processes.ts';

/** Nine kills each: 540 in all. */
const SECTORS = 60;

let deployment: Deployment;
afterEach(() => deployment.end());

test('hundreds of kills over sixty sectors: each finishes, nothing happens twice', async () => {
  deployment = await Deployment.start();
  await deployment.addRunner('one');
  const random = seededRandom(2_026);
  const details = [];
  for (let at = 0; at < SECTORS; at += 1) {
    const [job] = await deployment.pledge();
    const kills = await killAtRandom(deployment, random, { kills: 9, betweenMs: [20, 1_200] });
    expect(kills).toHaveLength(9);
    details.push(await deployment.finished(job as string, 300_000));
  }
  await nothingTwice(deployment, details);
});
