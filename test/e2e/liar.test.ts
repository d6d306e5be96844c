/** A rented host that lies: nothing of it reaches the chain, and the sector finishes on an own runner. */
import { afterEach, expect, test } from 'vitest';
import type { Event } from '../../src/schema/event.ts';
import { Stage } from '../../src/schema/stage.ts';
import { lyingProver } from './lying-program.ts';
import { Deployment } from './processes.ts';

let deployment: Deployment;
afterEach(() => deployment.end());

test.each([
  { mode: 'flipped-proof', stage: 'C2' },
  { mode: 'wrong-comm-r', stage: 'PC2' },
  { mode: 'missing-file', stage: 'PC2' },
  { mode: 'other-sector', stage: 'C2' },
  { mode: 'empty-file', stage: 'PC2' },
] as const)('$mode', { timeout: 180_000 }, async ({ mode, stage }) => {
  // One that lies only once it is trusted with real sectors: its self-tests would have found it out (self-tests.test.ts).
  deployment = await Deployment.start({ settings: { SEALPOOL_SCHEDULER_SELF_TEST: 'off' } });
  const { client } = deployment;
  await deployment.addRunner('rented', { trust: 'rented', stages: [stage], prover: lyingProver(deployment.folder, mode) });
  // The own runner leaves that stage to the rented one, until the lie has been found out.
  await deployment.addRunner('own', { stages: Stage.options.filter((name) => name !== stage) });
  const [job] = await deployment.pledge();
  const rented = () => client.runners().then(({ items }) => items.find(({ name }) => name === 'rented'));
  await deployment.until(job as string, ({ attempts }) =>
    attempts.some((attempt) => attempt.stage === stage && attempt.status !== 'running'),
  );
  const before = await deployment.until(job as string, ({ job: { waiting } }) => waiting.for === 'runner' && waiting.stage === stage);
  const liar = await rented();
  expect(liar?.strikes).toBeGreaterThan(0);
  // A wrong result is a lie and costs the rented runner its place at once; a file that is missing is a fault.
  if (mode !== 'missing-file') expect(liar).toMatchObject({ status: 'quarantined', reason: expect.any(String) });
  // Why is kept: which attempt of which sector, and what it answered.
  const [struck] = (await client.events(0, 1_000, { type: ['runner.struck'] })).items.slice(-1) as [Event];
  const { evidence } = struck.detail as { evidence: { attempt: string; stage: string; sector: string } };
  expect(evidence).toMatchObject({ stage, sector: expect.stringMatching(/^s-t01000-/) });
  expect(before.attempts.map(({ id }) => id)).toContain(evidence.attempt);
  expect((await deployment.messages()).map(({ method }) => method)).toEqual(stage === 'C2' ? [28] : []);
  expect(before.job.data.proveCommit).toBeUndefined();

  await deployment.addRunner('honest', { stages: [stage] });
  const { job: finished, attempts } = await deployment.finished(job as string);
  const honest = (await client.runners()).items.find(({ name }) => name === 'honest');
  expect(attempts.filter((attempt) => attempt.stage === stage && attempt.status === 'done').at(-1)?.runner).toBe(honest?.id);
  const messages = await deployment.messages();
  expect(messages.map(({ method, exitCode }) => [method, exitCode])).toEqual([
    [28, 0],
    [34, 0],
  ]);
  expect(finished.state).toBe('Finished');
});
