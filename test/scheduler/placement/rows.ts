/** Runners and jobs for tests of placement: plain rows, each with only what the test says of it. */
import { layerNames, TREE_D } from '../../../src/schema/artifact.ts';
import type { Job, JobData } from '../../../src/schema/job.ts';
import type { Resources } from '../../../src/schema/runner.ts';
import { type SealProof, sealProofInfo } from '../../../src/schema/seal-proof.ts';
import { Stage } from '../../../src/schema/stage.ts';
import type { RunnerRow } from '../../../src/scheduler/ports.ts';
import { job, runner } from '../../store/rows.ts';

export const GIB = 2 ** 30;
export const RESOURCES: Resources = {
  cores: 32,
  ramBytes: 256 * GIB,
  diskFreeBytes: 4096 * GIB,
  gpus: [{ model: 'RTX 4090', vramBytes: 24 * GIB }],
};

/** An own machine that can do everything. */
export function machine(n: number, change: Partial<RunnerRow> = {}, resources: Partial<Resources> = {}): RunnerRow {
  const base = runner(n, { trust: 'own', labels: [], stages: [...Stage.options], storage: ['store'], lastSeenMs: 1e12 });
  return { ...base, resources: { ...RESOURCES, ...resources }, ...change };
}

/** A job whose PC2 is next; its layers and tree-d were made by these runners. */
export function sealed(n: number, proof: SealProof, layersBy: string, treeBy: string, change: Partial<Job> = {}): Job {
  const { sectorSizeBytes } = sealProofInfo(proof);
  const file = (name: string, madeBy: string, size: number) => [
    name,
    { key: `jobs/${n}/${name}`, sizeBytes: String(size), hash: `sha256:${'a'.repeat(64)}`, madeIn: 'TicketAssigned', madeBy },
  ];
  const artifacts = Object.fromEntries([
    ...layerNames(proof).map((name) => file(name, layersBy, sectorSizeBytes)),
    file('cache/pc1-t_aux', layersBy, 2_000),
    file(TREE_D, treeBy, 2 * sectorSizeBytes),
  ]) as JobData['artifacts'];
  const base = job(n, { state: 'PC1Done', thread: 'local/0', number: n });
  return { ...base, data: { ...base.data, sealProof: proof, artifacts }, ...change };
}
