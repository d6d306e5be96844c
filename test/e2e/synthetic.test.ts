/** Synthetic PoRep lets a rented machine go as soon as its PC2 is done: what C1 needs is in the object store, and C1 runs elsewhere. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { Stage } from '../../src/schema/stage.ts';
import { Deployment } from './processes.ts';

let deployment: Deployment;
afterEach(() => deployment.end());

const without = (...stages: Stage[]): Stage[] => Stage.options.filter((stage) => !stages.includes(stage));

test('PC2 on a rented machine that is gone before C1: the sector is synthetic and finishes', { timeout: 400_000 }, async () => {
  deployment = await Deployment.start({ settings: { SEALPOOL_SCHEDULER_SELF_TEST: 'off' } });
  const { client } = deployment;
  await deployment.addRunner('own', { stages: without('PC2', 'C1') });
  const gpu = await deployment.addRunner('gpu', { trust: 'rented', stages: ['PC2'] });
  const [id = ''] = await deployment.pledge();
  const sealed = await deployment.until(id, ({ job: { state, waiting } }) => state === 'PC2Done' && waiting.for === 'runner');
  expect(sealed.job.data.sealProof).toBe('StackedDrg2KiBV1_1_Feat_SyntheticPoRep');
  expect(sealed.job.waiting).toMatchObject({ stage: 'C1' });
  // Before the pre-commit its host is gone with all it had.
  expect(await deployment.messages()).toEqual([]);
  await gpu.end('SIGKILL');
  rmSync(join(deployment.folder, 'runner-gpu'), { recursive: true });

  await deployment.addRunner('prover', { stages: ['C1'] });
  const { job, attempts } = await deployment.finished(id, 180_000);
  const runners = new Map((await client.runners()).items.map((runner) => [runner.id, runner.name]));
  const by = (stage: Stage) => attempts.filter((one) => one.stage === stage).map(({ runner, status }) => [runners.get(runner), status]);
  expect(by('PC2')).toEqual([['gpu', 'done']]);
  // The challenge before the deposit, and the proofs after the seed.
  expect(by('C1')).toEqual([
    ['prover', 'done'],
    ['prover', 'done'],
  ]);
  expect((await deployment.messages()).map(({ method, exitCode }) => [method, exitCode])).toEqual([
    [28, 0],
    [34, 0],
  ]);
  expect(job.data.stored?.files?.map(({ path }) => path)).not.toContain(`cache/${job.sector}/syn-porep-vanilla-proofs.dat`);
});

test('with own machines alone, or where it is switched off, a sector stays as it is configured', { timeout: 400_000 }, async () => {
  const miners = JSON.stringify([{ id: 't01000', seal_proof: 'StackedDrg2KiBV1_1', synthetic: 'never' }]);
  deployment = await Deployment.start({ settings: { SEALPOOL_SCHEDULER_SELF_TEST: 'off', SEALPOOL_MINERS: miners } });
  await deployment.addRunner('own');
  await deployment.addRunner('gpu', { trust: 'rented', stages: ['PC2'] });
  const [id = ''] = await deployment.pledge();
  const { job } = await deployment.until(id, ({ job: { state } }) => state === 'PC1Done' || state === 'PC2Done');
  expect(job.data.sealProof).toBe('StackedDrg2KiBV1_1');
});
