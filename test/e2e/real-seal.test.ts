/** One whole seal with the real prover and a fresh Groth16 proof, verified by the dev chain. Takes minutes. */
import { spawnSync } from 'node:child_process';
import { afterEach, expect, test } from 'vitest';
import { join } from 'node:path';
import { REAL_PROVER } from '../replay-prover/replay-prover.ts';
import { Deployment } from './processes.ts';

let deployment: Deployment;
afterEach(() => deployment.end());

test('sealed, proven, on the chain; the stored files agree with it', { timeout: 20 * 60_000 }, async () => {
  deployment = await Deployment.start({ prover: REAL_PROVER, acceptReplay: false });
  await deployment.addRunner('one');
  const [job] = await deployment.pledge();
  const { job: finished } = await deployment.finished(job as string, 19 * 60_000);
  expect((await deployment.messages()).map(({ method, exitCode }) => [method, exitCode])).toEqual([
    [28, 0],
    [34, 0],
  ]);

  const { stored, commR, commD, ticket, seed, proof, sealProof } = finished.data;
  const { root, files } = stored as NonNullable<typeof stored>;
  const sector = { miner: finished.miner, number: String(finished.number), sealProof };
  const run = (stage: string, params: unknown, inputs: unknown = {}) =>
    JSON.parse(
      spawnSync(REAL_PROVER, ['run'], {
        input: JSON.stringify({ version: 1, stage, network: 'dev', sector, inputs, outputDir: deployment.folder, params }),
        encoding: 'utf8',
      }).stdout,
    );
  const claim = { ticket: ticket?.value, seed: seed?.value, commR: commR?.cid, commD: commD?.cid };
  expect(run('verify-seal', { ...claim, proof })).toMatchObject({ ok: true, result: { valid: true } });
  const input = (ending: string) => {
    const { path, sizeBytes, hash } = files.find((file) => file.path.includes(ending)) as (typeof files)[number];
    return { path: join(root, path), sizeBytes, hash };
  };
  const inputs = { sealed: input('sealed/'), 'cache/p_aux': input('p_aux'), 'cache/sc-02-data-tree-r-last.dat': input('tree-r-last') };
  expect(run('check-sealed', { commR: commR?.cid }, inputs)).toMatchObject({
    ok: true,
    result: { commR: { cid: commR?.cid }, treeRLastMatches: true },
  });
  const flipped = Buffer.from(proof as string, 'base64');
  flipped.writeUInt8(flipped.readUInt8(0) ^ 1, 0);
  expect(run('verify-seal', { ...claim, proof: flipped.toString('base64') })).toMatchObject({
    ok: false,
    error: { code: 'proof_invalid' },
  });
});
