/**
 * A PC1 whose machine dies after its first layer: that layer is in the object store before PC1 ends, another machine starts at
 * the second one, and the sector is the one that an unbroken run makes. The real prover throughout.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { layerNames } from '../../src/schema/artifact.ts';
import type { SealProof } from '../../src/schema/seal-proof.ts';
import { Stage } from '../../src/schema/stage.ts';
import { type ProverAnswer, REAL_PROVER } from '../replay-prover/replay-prover.ts';
import { Deployment, MINER } from './processes.ts';

/** `withinMs`: longest time of each step. */
export async function layerStory(sealProof: SealProof, withinMs: number): Promise<void> {
  const miners = JSON.stringify([{ id: MINER, seal_proof: sealProof }]);
  const deployment = await Deployment.start({
    prover: REAL_PROVER,
    // So that the ticket does not grow too old meanwhile: a new one drops the layers.
    epochMs: 500,
    settings: { SEALPOOL_MINERS: miners, SEALPOOL_SCHEDULER_SELF_TEST: 'off' },
  });
  const folder = join(deployment.folder, 'stops');
  try {
    mkdirSync(folder);
    await deployment.addRunner('rest', { stages: Stage.options.filter((stage) => stage !== 'PC1') });
    const dying = await deployment.addRunner('dying', { trust: 'rented', stages: ['PC1'], prover: stoppingProver(folder) });
    const [id = ''] = await deployment.pledge();
    const [first = '', ...others] = layerNames(sealProof);

    const kept = await deployment.until(id, ({ job: { data } }) => data.artifacts[first] !== undefined, withinMs);
    expect(kept.attempts.filter(({ stage }) => stage === 'PC1').map(({ status }) => status)).toEqual(['running']);
    const layer = kept.job.data.artifacts[first];
    expect(readFileSync(join(deployment.folder, 'data/objects', layer?.key as string)).length).toBe(Number(layer?.sizeBytes));
    await dying.end('SIGKILL');
    killStopped(folder);

    await deployment.addRunner('heir', { trust: 'rented', stages: ['PC1'] });
    const sealed = await deployment.until(id, ({ job: { data } }) => data.commR !== undefined, withinMs);
    const pc1 = sealed.attempts.filter(({ stage }) => stage === 'PC1');
    expect(pc1.map(({ status }) => status)).toEqual(['lost', 'done']);
    expect(pc1[1]?.logTail).toContain(`skipped ${first}`);
    for (const other of others) expect(pc1[1]?.logTail).toContain(`output ${other}`);
    expect(pc1[1]?.logTail).not.toContain(`output ${first}`);
    const { artifacts } = sealed.job.data;
    expect(artifacts[first]).toEqual(layer);
    expect(new Set(others.map((name) => artifacts[name]?.madeBy))).toEqual(new Set([pc1[1]?.runner]));
    expect(sealed.job.data.commR?.cid).toBe(await unbrokenCommR(sealed.job, join(deployment.folder, 'unbroken')));
  } finally {
    killStopped(folder);
    await deployment.end();
  }
}

function stoppingProver(folder: string): string {
  const path = join(folder, 'sealpool-prover');
  const program = `"${process.execPath}" --disable-warning=ExperimentalWarning "${join(import.meta.dirname, 'stopping-prover.ts')}"`;
  writeFileSync(path, `#!/bin/sh\nexec ${program} "${folder}" "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}

/** What ran on the host that died. */
function killStopped(folder: string): void {
  const file = join(folder, 'stopped');
  if (!existsSync(file)) return;
  for (const pid of JSON.parse(readFileSync(file, 'utf8')) as number[]) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
  }
  rmSync(file);
}

type Sealed = Awaited<ReturnType<Deployment['until']>>['job'];

/** CommR of the same sector by one PC1 and one PC2, without a break, in `folder`. */
async function unbrokenCommR({ miner, number, data }: Sealed, folder: string): Promise<string> {
  const sector = { miner, number: String(number), sealProof: data.sealProof };
  const params = { ticket: data.ticket?.value, commD: data.commD?.cid };
  const run = (stage: string, inputs: ProverAnswer['outputs'], given: object): ProverAnswer => {
    const outputDir = join(folder, stage);
    mkdirSync(outputDir, { recursive: true });
    const paths = Object.entries(inputs).map(([name, sum]) => [name, { ...sum, path: findFile(folder, name) }]);
    const request = { version: 1, stage, network: 'dev', sector, inputs: Object.fromEntries(paths), outputDir, params: given };
    const { stdout } = spawnSync(REAL_PROVER, ['run'], { input: JSON.stringify(request), encoding: 'utf8', maxBuffer: 2 ** 28 });
    const answer = JSON.parse(stdout) as ProverAnswer;
    if (!answer.ok) throw new Error(`${stage} failed: ${answer.error?.message}`);
    return answer;
  };
  const pc1 = run('pc1', {}, params);
  return (run('pc2', pc1.outputs, params).result as { commR: { cid: string } }).commR.cid;
}

function findFile(folder: string, name: string): string {
  const stage = readdirSync(folder).find((one) => existsSync(join(folder, one, name))) as string;
  return join(folder, stage, name);
}
