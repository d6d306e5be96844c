/** What a runner is asked for, by stage: shared by the plans. Files: `flows.md`, "what each stage needs, makes". */
import {
  P_AUX,
  SYNTHETIC_PROOFS,
  TREE_D,
  T_AUX,
  UPDATE_VANILLA_PROOFS,
  keptNames,
  keptUpdateNames,
  layerNames,
  treeCNames,
  treeRLastNames,
} from '../../schema/artifact.ts';
import { sectorName } from '../../schema/ids.ts';
import type { Job } from '../../schema/job.ts';
import { sealProofInfo } from '../../schema/seal-proof.ts';
import type { PlacedPiece } from '../../schema/sector-record.ts';
import type { ProverStage, Work } from '../../schema/stage.ts';
import { pieceInput } from '../piece-input.ts';
import type { NamedFile, OutputFile, StageWork, Todo } from '../plan.ts';
import { knownCid, made, numberOf } from './made.ts';

/** Files under the prover's own names. */
export const same = (names: readonly string[]): NamedFile[] => names.map((name) => ({ name, artifact: name }));
/** Outputs without which the result does not count. */
export const required = (files: readonly NamedFile[]): OutputFile[] => files.map((file) => ({ ...file, required: true }));

export const base = { inputs: [], pieces: false, outputs: [], trust: 'rented', storage: null } as const;

/** A request to sealpool-prover for this sector. */
export function prover(job: Job, stage: ProverStage, params: Record<string, unknown>): Work {
  return {
    kind: 'prover',
    stage,
    network: job.data.network,
    sector: { miner: job.miner, number: String(numberOf(job)), sealProof: job.data.sealProof },
    params,
  };
}

/** PC1's t_aux under a name of its own: PC2 makes one too, and a bad one must not replace its own input. */
const PC1_T_AUX = 'cache/pc1-t_aux';
/** The unsealed file of an update, beside that of the sector itself. */
export const SNAP_UNSEALED: NamedFile = { name: 'unsealed', artifact: 'snap-unsealed' };
export const UNSEALED: NamedFile = { name: 'unsealed', artifact: 'unsealed' };

/** Path below a storage root (`sealed/s-t01000-7`, `cache/s-t01000-7/p_aux`). */
export function storedPath(job: Job, artifact: string): string {
  const sector = sectorName(job.miner, numberOf(job));
  const [folder, file] = artifact.split('/');
  return file === undefined ? `${artifact}/${sector}` : `${folder}/${sector}/${file}`;
}

/** Writes the job's pieces, or zeros, into an unsealed file. */
export function addPieceWork(job: Job, data: boolean, unsealed: NamedFile): StageWork {
  const pieces = data ? job.data.pieces : [];
  return {
    ...base,
    work: prover(job, 'add-piece', {
      pieces: pieces.map((piece, at) => ({
        input: pieceInput(at),
        paddedSizeBytes: piece.paddedSizeBytes,
        cid: piece.cid === '' ? null : piece.cid,
      })),
    }),
    pieces: data,
    outputs: data ? required([unsealed]) : [],
    // CommD is what every later check is made against, so nobody else may say what it is, not even of zeros.
    trust: 'own',
  };
}

/** The Merkle tree over the data. `kept`: whether a later stage reads it. */
export function treeDWork(job: Job, layout: readonly PlacedPiece[], unsealed: NamedFile | undefined, kept: boolean): StageWork {
  return {
    ...base,
    work: prover(job, 'tree-d', { pieces: layout }),
    inputs: unsealed === undefined ? [] : [unsealed],
    outputs: kept ? required(same([TREE_D])) : [],
    trust: unsealed === undefined ? 'rented' : 'own',
  };
}

const ticketAndCommD = (job: Job): Record<string, unknown> => ({
  ticket: made(job, job.data.ticket, 'a ticket').value,
  commD: made(job, job.data.commD, 'CommD').cid,
});

/** The layers of PC1, and how many of them, from the first on, are kept: a later one is of no use without those before it. */
export function keptLayers(job: Job): { readonly layers: readonly string[]; readonly kept: number } {
  const layers = layerNames(job.data.sealProof);
  const missing = layers.findIndex((name) => job.data.artifacts[name] === undefined);
  return { layers, kept: missing < 0 ? layers.length : missing };
}

/** It goes on after the layers that are kept already. One of those that turns out unfit is made again, and then takes its place. */
export function pc1Work(job: Job): StageWork {
  const { layers, kept } = keptLayers(job);
  return {
    ...base,
    work: prover(job, 'pc1', ticketAndCommD(job)),
    inputs: same(layers.slice(0, kept)).map((file) => ({ ...file, required: false as const })),
    outputs: [
      ...same(layers).map((file, at) => ({ ...file, required: at >= kept, early: true as const })),
      ...required([{ name: T_AUX, artifact: PC1_T_AUX }]),
    ],
  };
}

/** `deal`: the sector holds client data. */
export function pc2Work(job: Job, deal: boolean): StageWork {
  const { sealProof } = job.data;
  const { synthetic } = sealProofInfo(sealProof);
  return {
    ...base,
    work: prover(job, 'pc2', ticketAndCommD(job)),
    inputs: [{ name: T_AUX, artifact: PC1_T_AUX }, ...same([...layerNames(sealProof), TREE_D, ...(deal ? ['unsealed'] : [])])],
    outputs: required(same([...keptNames(sealProof), ...(synthetic ? [SYNTHETIC_PROOFS] : treeCNames(sealProof))])),
    trust: deal ? 'own' : 'rented',
  };
}

/** Files that C1 reads: with synthetic proofs neither layers nor tree-c nor tree-d. */
export function c1Inputs(job: Job): NamedFile[] {
  const { sealProof } = job.data;
  const more = sealProofInfo(sealProof).synthetic ? [SYNTHETIC_PROOFS] : [...layerNames(sealProof), ...treeCNames(sealProof), TREE_D];
  return same([...keptNames(sealProof), ...more]);
}

/** Encodes the new data into the sector; the update's vanilla proofs are made here, where its files are. */
export function snapEncodeWork(job: Job): StageWork {
  const { data } = job;
  const key = ['sealed', P_AUX, T_AUX, ...treeRLastNames(data.sealProof)];
  return {
    ...base,
    work: prover(job, 'snap-encode', {
      commR: made(job, data.commR, 'CommR').cid,
      commD: made(job, data.snapCommD, "the update's CommD").cid,
      pieces: made(job, data.snapLayout, 'a layout of pieces'),
    }),
    inputs: [...same(key), SNAP_UNSEALED],
    outputs: required(same([...keptUpdateNames(data.sealProof), UPDATE_VANILLA_PROOFS])),
    trust: 'own',
  };
}

const updateClaim = (job: Job): Record<string, unknown> => ({
  commROld: made(job, job.data.commR, 'CommR').cid,
  commRNew: made(job, job.data.snapCommR, "the update's CommR").cid,
  commDNew: made(job, job.data.snapCommD, "the update's CommD").cid,
});

export function snapProveWork(job: Job): StageWork {
  return { ...base, work: prover(job, 'snap-prove', updateClaim(job)), inputs: same([UPDATE_VANILLA_PROOFS]) };
}

export function verifyUpdateWork(job: Job): StageWork {
  const proof = made(job, job.data.snapProof, "the update's proof");
  return { ...base, work: prover(job, 'verify-update', { ...updateClaim(job), proof }), trust: 'own' };
}

/** Reads stored files again and compares their hashes. */
export function checkStoredWork(job: Job): StageWork {
  const { storage, files } = made(job, job.data.stored, 'stored files');
  return { ...base, work: { kind: 'check-stored', storage, files: files ?? [] }, trust: 'own', storage };
}

/** Tells whoever does Window PoSt of the stored files, and that those of before, which may be bad, are not the sector's any more. */
export function declareStored(job: Job): Todo {
  const { storage, root, files } = made(job, job.data.stored, 'stored files');
  const former = job.data.record?.files?.storage ?? storage;
  const { sectorSizeBytes } = sealProofInfo(job.data.sealProof);
  return {
    do: 'effect',
    step: 'SubmitPersistance',
    want: {
      kind: 'declare',
      miner: job.miner,
      number: numberOf(job),
      sectorSizeBytes,
      storage,
      root,
      files: (files ?? []).map(({ path }) => path),
      dropped: former === storage ? null : former,
    },
  };
}

/** Final files into miner storage. `storage` null: whichever has room. */
export function persistWork(job: Job, artifacts: readonly string[], storage: string | null, content: Record<string, unknown>): StageWork {
  const work: Work = {
    kind: 'persist',
    storage,
    files: artifacts.map((artifact) => ({ artifact, path: storedPath(job, artifact) })),
    sectorJson: { path: storedPath(job, 'cache/sector.json'), content },
  };
  return { ...base, work, inputs: same(artifacts), trust: 'own', storage: storage ?? 'any' };
}

/** Stored files of an existing sector into object storage, for a stage elsewhere. */
export function publishWork(job: Job, artifacts: readonly string[]): StageWork {
  const { storage, files } = made(job, job.data.record?.files, 'stored files');
  const hashes = new Map((files ?? []).map(({ path, hash }) => [path, hash]));
  const work: Work = {
    kind: 'publish',
    storage,
    files: artifacts.map((artifact) => {
      const path = storedPath(job, artifact);
      return { artifact, path, hash: hashes.get(path) ?? null };
    }),
  };
  return { ...base, work, outputs: required(same(artifacts)), trust: 'own', storage };
}

/** What stays beside the sector for good: enough to rebuild it from the storage alone. */
export function sectorJson(job: Job): Record<string, unknown> {
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
    preCommit: data.preCommit === undefined ? null : { cid: knownCid(data.preCommit), epoch: data.preCommit.landedEpoch ?? null },
  };
}

/** The same for a sector that existed before this job; with what the update made of it, if there is one. */
export function existingSectorJson(job: Job): Record<string, unknown> {
  const { data } = job;
  const record = made(job, data.record, 'a record of the sector');
  const update =
    data.snapCommR === undefined ? record.update : { commR: data.snapCommR, commD: data.snapCommD, pieces: data.snapLayout ?? [] };
  return {
    version: 1,
    miner: job.miner,
    number: job.number,
    sealProof: data.sealProof,
    ticket: data.ticket ?? record.ticket,
    commD: data.commD ?? record.commD,
    commR: data.commR,
    pieces: record.pieces,
    preCommit: record.preCommit === null ? null : { cid: record.preCommit, epoch: null },
    update,
  };
}
