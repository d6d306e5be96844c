/** What a runner is asked for in each state of the sealer plan. */
import { VANILLA_PROOFS, keptNames, treeCNames } from '../../schema/artifact.ts';
import type { Job } from '../../schema/job.ts';
import { sealProofInfo } from '../../schema/seal-proof.ts';
import type { Stage } from '../../schema/stage.ts';
import { Invariant, type StageWork } from '../plan.ts';
import { made } from './made.ts';
import { CHALLENGE_PROOFS } from './sealer-todo.ts';
import {
  UNSEALED,
  addPieceWork,
  base,
  c1Inputs,
  checkStoredWork,
  pc1Work,
  pc2Work,
  persistWork,
  prover,
  same,
  sectorJson,
  treeDWork,
} from './stage-work.ts';

const claim = (job: Job): Record<string, unknown> => ({
  ticket: made(job, job.data.ticket, 'a ticket').value,
  commR: made(job, job.data.commR, 'CommR').cid,
  commD: made(job, job.data.commD, 'CommD').cid,
});

function verify(job: Job): StageWork {
  const { data } = job;
  if (job.state === 'Persisted') return checkStoredWork(job);
  if (job.state === 'PC2Done') {
    const { seed } = made(job, data.challenge, 'a challenge');
    return {
      ...base,
      work: prover(job, 'verify-vanilla', { ...claim(job), seed }),
      inputs: [{ name: VANILLA_PROOFS, artifact: CHALLENGE_PROOFS }],
      trust: 'own',
    };
  }
  const seed = made(job, data.seed, 'a seed').value;
  if (job.state === 'SeedAssigned') {
    return { ...base, work: prover(job, 'verify-vanilla', { ...claim(job), seed }), inputs: same([VANILLA_PROOFS]), trust: 'own' };
  }
  return { ...base, work: prover(job, 'verify-seal', { ...claim(job), seed, proof: made(job, data.proof, 'a proof') }), trust: 'own' };
}

/** See `Plan.work`. */
export function sealerWork(job: Job, stage: Stage): StageWork {
  const { data } = job;
  const deal = data.pieces.length > 0;
  switch (stage) {
    case 'AddPiece':
      return addPieceWork(job, deal, UNSEALED);
    case 'BuildTreeD':
      return treeDWork(job, made(job, data.layout, 'a layout of pieces'), deal ? UNSEALED : undefined, true);
    case 'PC1':
      return pc1Work(job);
    case 'PC2':
      return pc2Work(job, deal);
    case 'C1': {
      const challenge = job.state === 'PC2Done';
      const seed = challenge ? made(job, data.challenge, 'a challenge').seed : made(job, data.seed, 'a seed').value;
      return {
        ...base,
        work: prover(job, 'c1', { ...claim(job), seed }),
        inputs: c1Inputs(job),
        outputs: [{ name: VANILLA_PROOFS, artifact: challenge ? CHALLENGE_PROOFS : VANILLA_PROOFS, required: true }],
        // Synthetic proofs say nothing of the stored file, and its maker may prove from a good copy while it stored garbage.
        trust: deal || sealProofInfo(data.sealProof).synthetic ? 'own' : 'rented',
        notBy: [...keptNames(data.sealProof), ...treeCNames(data.sealProof)].flatMap((name) => data.artifacts[name]?.madeBy ?? []),
      };
    }
    case 'C2':
      return {
        ...base,
        work: prover(job, 'c2', { ...claim(job), seed: made(job, data.seed, 'a seed').value }),
        inputs: same([VANILLA_PROOFS]),
      };
    case 'Verify':
      return verify(job);
    case 'Persist':
      return persistWork(job, keptNames(data.sealProof), null, sectorJson(job));
    default:
      throw new Invariant(`the sealer plan has no stage ${stage} in ${job.state}`);
  }
}
