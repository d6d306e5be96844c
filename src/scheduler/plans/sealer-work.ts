/** What a runner is asked for in each state of the sealer plan. Files: `flows.md`, "what each stage needs, makes". */
import {
  P_AUX,
  SYNTHETIC_PROOFS,
  TREE_D,
  T_AUX,
  VANILLA_PROOFS,
  keptNames,
  layerNames,
  treeCNames,
  treeRLastNames,
} from '../../schema/artifact.ts';
import { sectorName } from '../../schema/ids.ts';
import type { Job } from '../../schema/job.ts';
import { sealProofInfo } from '../../schema/seal-proof.ts';
import type { ProverStage, Stage, Work } from '../../schema/stage.ts';
import { Invariant, type NamedFile, type StageWork } from '../plan.ts';
import { CHALLENGE_PROOFS, made } from './sealer-todo.ts';

const same = (names: readonly string[]): NamedFile[] => names.map((name) => ({ name, artifact: name }));
const required = (files: readonly NamedFile[]): (NamedFile & { required: boolean })[] => files.map((file) => ({ ...file, required: true }));

function prover(job: Job, stage: ProverStage, params: Record<string, unknown>): Work {
  const number = made(job, job.number, 'a number');
  return {
    kind: 'prover',
    stage,
    network: job.data.network,
    sector: { miner: job.miner, number: String(number), sealProof: job.data.sealProof },
    params,
  };
}

/** PC1's t_aux under a name of its own: PC2 makes one too, and a bad one must not replace its own input. */
const PC1_T_AUX = 'cache/pc1-t_aux';

/** Files that C1 reads: with synthetic proofs neither layers nor tree-c nor tree-d. */
function c1Inputs(job: Job): NamedFile[] {
  const { sealProof } = job.data;
  const always = ['sealed', P_AUX, T_AUX, ...treeRLastNames(sealProof)];
  const more = sealProofInfo(sealProof).synthetic ? [SYNTHETIC_PROOFS] : [...layerNames(sealProof), ...treeCNames(sealProof), TREE_D];
  return same([...always, ...more]);
}

const claim = (job: Job): Record<string, unknown> => ({
  ticket: made(job, job.data.ticket, 'a ticket').value,
  commR: made(job, job.data.commR, 'CommR').cid,
  commD: made(job, job.data.commD, 'CommD').cid,
});

const base = { inputs: [], pieces: false, outputs: [], trust: 'rented', storage: null } as const;

/** What stays beside the sector for good: enough to rebuild it from the storage alone. */
function sectorJson(job: Job): Record<string, unknown> {
  const { data } = job;
  return {
    version: 1,
    miner: job.miner,
    number: job.number,
    sealProof: data.sealProof,
    ticket: data.ticket,
    commD: data.commD,
    commR: data.commR,
    pieces: data.pieces.length === 0 ? [] : data.layout,
    preCommit: data.preCommit === undefined ? null : { cid: data.preCommit.cid, epoch: data.preCommit.landedEpoch ?? null },
  };
}

/** Path below a storage root (`sealed/s-t01000-7`, `cache/s-t01000-7/p_aux`). */
export function storedPath(job: Job, artifact: string): string {
  const sector = sectorName(job.miner, made(job, job.number, 'a number'));
  const [folder, file] = artifact.split('/');
  return file === undefined ? `${artifact}/${sector}` : `${folder}/${sector}/${file}`;
}

function pc2(job: Job): StageWork {
  const { data } = job;
  const { synthetic } = sealProofInfo(data.sealProof);
  const deal = data.pieces.length > 0;
  const outputs = [
    'sealed',
    P_AUX,
    T_AUX,
    ...treeRLastNames(data.sealProof),
    ...(synthetic ? [SYNTHETIC_PROOFS] : treeCNames(data.sealProof)),
  ];
  return {
    ...base,
    work: prover(job, 'pc2', { ticket: made(job, data.ticket, 'a ticket').value, commD: made(job, data.commD, 'CommD').cid }),
    inputs: [{ name: T_AUX, artifact: PC1_T_AUX }, ...same([...layerNames(data.sealProof), TREE_D, ...(deal ? ['unsealed'] : [])])],
    outputs: required(same(outputs)),
    trust: deal ? 'own' : 'rented',
  };
}

function verify(job: Job): StageWork {
  const { data } = job;
  if (job.state === 'Persisted') {
    const stored = made(job, data.stored, 'stored files');
    const work: Work = { kind: 'check-stored', storage: stored.storage, files: stored.files };
    return { ...base, work, trust: 'own', storage: stored.storage };
  }
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
      return {
        ...base,
        work: prover(job, 'add-piece', {
          pieces: data.pieces.map((piece, at) => ({
            input: `piece-${at}`,
            paddedSizeBytes: piece.paddedSizeBytes,
            cid: piece.cid === '' ? null : piece.cid,
          })),
        }),
        pieces: deal,
        outputs: deal ? required(same(['unsealed'])) : [],
        // CommD is what every later check is made against, so nobody else may say what it is, not even of zeros.
        trust: 'own',
      };
    case 'BuildTreeD':
      return {
        ...base,
        work: prover(job, 'tree-d', { pieces: made(job, data.layout, 'a layout of pieces') }),
        inputs: deal ? same(['unsealed']) : [],
        outputs: required(same([TREE_D])),
        trust: deal ? 'own' : 'rented',
      };
    case 'PC1':
      return {
        ...base,
        work: prover(job, 'pc1', { ticket: made(job, data.ticket, 'a ticket').value, commD: made(job, data.commD, 'CommD').cid }),
        outputs: required([...same(layerNames(data.sealProof)), { name: T_AUX, artifact: PC1_T_AUX }]),
      };
    case 'PC2':
      return pc2(job);
    case 'C1': {
      const challenge = job.state === 'PC2Done';
      const seed = challenge ? made(job, data.challenge, 'a challenge').seed : made(job, data.seed, 'a seed').value;
      return {
        ...base,
        work: prover(job, 'c1', { ...claim(job), seed }),
        inputs: c1Inputs(job),
        outputs: [{ name: VANILLA_PROOFS, artifact: challenge ? CHALLENGE_PROOFS : VANILLA_PROOFS, required: true }],
        trust: deal ? 'own' : 'rented',
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
    case 'Persist': {
      const kept = keptNames(data.sealProof);
      const work: Work = {
        kind: 'persist',
        files: kept.map((artifact) => ({ artifact, path: storedPath(job, artifact) })),
        sectorJson: { path: storedPath(job, 'cache/sector.json'), content: sectorJson(job) },
      };
      return { ...base, work, inputs: same(kept), trust: 'own', storage: 'any' };
    }
    default:
      throw new Invariant(`the sealer plan has no stage ${stage} in ${job.state}`);
  }
}
