/** A stage of a job as placement sees it: what it needs, what it reads, and what must be kept after it. */
import type { Job } from '../../schema/job.ts';
import { sealProofInfo, type SealProof } from '../../schema/seal-proof.ts';
import type { Stage } from '../../schema/stage.ts';
import type { StageWork } from '../plan.ts';
import type { Input } from './holdings.ts';
import { type Needs, needsOf } from './needs.ts';

/** From PC2 to the prove-commit on chain: pre-commit, seed (150 epochs and 6), proof, prove-commit and ten epochs more. */
const KEPT_EPOCHS = 10 + 156 + 30 + 10 + 10;

export type Asked = {
  readonly stage: Stage;
  readonly proof: SealProof;
  readonly inputs: readonly Input[];
  readonly needs: Needs;
  /** How long the machine must be kept after the stage for what it holds. */
  readonly keptMs: number;
};

/** `epochMs`: length of an epoch. */
export function askedOf(job: Job, stage: Stage, work: StageWork, epochMs: number): Asked {
  const { artifacts, pieces, sealProof } = job.data;
  const files = work.inputs.flatMap(({ artifact }): Input[] => {
    const file = artifacts[artifact];
    return file === undefined ? [] : [{ key: file.key, sizeBytes: Number(file.sizeBytes), madeBy: file.madeBy }];
  });
  const data = work.pieces ? pieces.map(({ key, sizeBytes }): Input => ({ key, sizeBytes: Number(sizeBytes), madeBy: null })) : [];
  const keptMs = keptAfter(job, stage, epochMs);
  return { stage, proof: sealProof, inputs: [...files, ...data], needs: needsOf(stage, sealProof), keptMs };
}

/** C1 reads the layers until the prove-commit has landed; synthetic proofs let them go as soon as PC2 has ended. */
function keptAfter({ plan, data: { sealProof } }: Job, stage: Stage, epochMs: number): number {
  if (stage !== 'PC1' && stage !== 'PC2') return 0;
  const pc2Ms = stage === 'PC1' ? needsOf('PC2', sealProof).usualMs : 0;
  return pc2Ms + (plan === 'sealer' && !sealProofInfo(sealProof).synthetic ? KEPT_EPOCHS * epochMs : 0);
}
