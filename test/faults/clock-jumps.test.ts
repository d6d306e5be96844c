/**
 * Clocks that jump while sectors are sealed: an hour forward, and forward and back again and again, on the control
 * plane and on the runner; an hour either way while the control plane was away. Real: every process and every stage but C2;
 * the wall clock is libfaketime's, timers are the kernel's. No lease may be lost by it, nothing may wait for an hour
 * that was taken back.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { nothingTwice, seededRandom } from '../e2e/killing.ts';
import { Deployment } from '../e2e/processes.ts';
import { JumpingClock, hasFaketime } from './jumping-clock.ts';

const WITHIN_MS = 180_000;
const HOUR_S = 3_600;
const SECTORS = 2;
/** In this order, over and over; one way is one jump. The last comes early: from there on the clock goes as it should. */
const JUMPS = { forward: [HOUR_S], 'back and forth': [HOUR_S, -HOUR_S, 2 * HOUR_S, 0, -2 * HOUR_S, 0] };
const ROUNDS = 2;
/** While nothing is sealed yet a minute goes by until a ticket counts as old and is drawn anew, however long a start takes; then it goes fast. */
const EPOCH_MS = { slow: 500, usual: 50 };

type Party = 'control plane' | 'runner';

async function deployed(whose: readonly Party[], epochMs = EPOCH_MS.usual): Promise<{ deployment: Deployment; clock: JumpingClock }> {
  const folder = mkdtempSync(join(tmpdir(), 'sealpool-clock-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const clock = new JumpingClock(join(folder, 'clock'));
  const of = (party: Party): Record<string, string> => (whose.includes(party) ? clock.environment : {});
  const deployment = await Deployment.start({
    epochMs,
    settings: { SEALPOOL_WORKERS: `[{ name = "local", threads = ${SECTORS} }]`, ...of('control plane') },
  });
  onTestFinished(() => deployment.end());
  await deployment.addRunner('one', { environment: of('runner') });
  return { deployment, clock };
}

/** All finish, nothing twice, and no attempt was given up. */
async function finishUnharmed(deployment: Deployment, jobs: readonly string[], lost: number): Promise<void> {
  const details = await Promise.all(jobs.map((job) => deployment.finished(job, 90_000)));
  await nothingTwice(deployment, details);
  const ended = details.flatMap(({ attempts }) => attempts).filter(({ status }) => status !== 'done');
  expect(ended.length, JSON.stringify(ended.map(({ stage, failure }) => [stage, failure]))).toBeLessThanOrEqual(lost);
}

test.runIf(hasFaketime).each<[jumps: keyof typeof JUMPS, whose: readonly Party[]]>([
  ['forward', ['control plane']],
  ['back and forth', ['control plane', 'runner']],
])('the clock jumps %s: of %s', { timeout: WITHIN_MS }, async (jumps, whose) => {
  const { deployment, clock } = await deployed(whose);
  const jobs = await deployment.pledge(SECTORS);
  const random = seededRandom(jumps.length);
  for (let round = 0; round < (jumps === 'back and forth' ? ROUNDS : 1); round += 1) {
    for (const offset of JUMPS[jumps]) {
      await new Promise((resolve) => setTimeout(resolve, 300 + random() * 900));
      clock.set(offset);
    }
  }
  await finishUnharmed(deployment, jobs, 0);
});

test.runIf(hasFaketime).each([
  ['back', HOUR_S, 0],
  ['forward', 0, HOUR_S],
])('the clock was put %s by an hour while the control plane was away', { timeout: WITHIN_MS }, async (_, before, after) => {
  const { deployment, clock } = await deployed(['control plane'], EPOCH_MS.slow);
  await deployment.controlPlane.end('SIGTERM');
  clock.set(before);
  await deployment.controlPlane.start();
  const jobs = await deployment.pledge(SECTORS);
  // A state that lasts a moment: a poll may come after it.
  await deployment.until(jobs[0] as string, ({ events }) => events.some(({ to }) => to === 'TicketAssigned'));
  await deployment.controlPlane.end('SIGKILL');
  clock.set(after);
  await deployment.controlPlane.start();
  for (const job of jobs) await deployment.until(job, ({ events }) => events.some(({ to }) => to === 'PC1Done'));
  await deployment.control({ epochMs: EPOCH_MS.usual });
  // A grant that was on its way when it was killed is made again, one per sector.
  await finishUnharmed(deployment, jobs, SECTORS);
});
