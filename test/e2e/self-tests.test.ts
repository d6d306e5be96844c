/** Self-tests with real processes: a rented runner seals once it passed them, one that lies in them never gets a grant. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { RunnerView } from '../../src/api/client.ts';
import { Stage } from '../../src/schema/stage.ts';
import { lyingProver } from './lying-program.ts';
import { Deployment } from './processes.ts';

const RENTED: readonly Stage[] = ['BuildTreeD', 'PC1', 'PC2', 'C2', 'SnapProve'];
let deployment: Deployment;
afterEach(() => deployment.end());

const named = async (name: string): Promise<RunnerView> =>
  (await deployment.client.runners()).items.find((runner) => runner.name === name) as RunnerView;

test('an honest rented runner passes, is measured, and gets the stages it passed', { timeout: 400_000 }, async () => {
  deployment = await Deployment.start();
  await deployment.addRunner('own', { stages: Stage.options.filter((stage) => !RENTED.includes(stage)) });
  await deployment.addRunner('rented', { trust: 'rented', stages: RENTED });
  const [job = ''] = await deployment.pledge();
  const { attempts } = await deployment.finished(job, 300_000);
  const rented = await named('rented');
  expect(attempts.filter(({ runner }) => runner === rented.id).map(({ stage }) => stage)).toEqual(['BuildTreeD', 'PC1', 'PC2', 'C2']);
  expect(rented).toMatchObject({ status: 'ready', strikes: 0, resources: { speeds: { hashMbPerSecond: expect.any(Number) } } });
  expect(Object.keys(rented.tests).toSorted()).toEqual(RENTED.toSorted());
  for (const outcome of Object.values(rented.tests)) expect(outcome).toMatchObject({ passed: true, reason: null });
  expect((await named('own')).tests).toEqual({});
  const kept = JSON.parse(readFileSync(join(deployment.folder, 'runner-rented/speeds.json'), 'utf8'));
  expect(kept).toEqual(rented.resources.speeds);
});

test('a rented runner with a wrong CommR is found out before its first grant', { timeout: 400_000 }, async () => {
  deployment = await Deployment.start();
  await deployment.addRunner('own', { stages: Stage.options.filter((stage) => stage !== 'PC2') });
  await deployment.addRunner('liar', { trust: 'rented', stages: ['PC2'], prover: lyingProver(deployment.folder, 'wrong-comm-r') });
  const [job = ''] = await deployment.pledge();
  await deployment.until(job, ({ job: { waiting } }) => waiting.for === 'runner' && waiting.stage === 'PC2');
  await expect.poll(async () => (await named('liar')).status, { timeout: 200_000 }).toBe('quarantined');
  expect((await named('liar')).reason).toMatch(
    /^PC2: self-test PC2-[0-9] came back wrong: commR is bagboea4b5abc[a-z2-7]+, right is bagboea4b5abc[a-z2-7]+$/,
  );
  await deployment.addRunner('honest', { stages: ['PC2'] });
  const { attempts } = await deployment.finished(job, 300_000);
  expect(attempts.filter(({ stage }) => stage === 'PC2').map(({ runner }) => runner)).toEqual([(await named('honest')).id]);
});
