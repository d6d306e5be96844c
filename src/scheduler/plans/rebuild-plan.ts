/** The rebuild plan: its table's conditions, stages and answers. */
import { P_AUX, keptNames, keptUpdateNames, treeRLastNames } from '../../schema/artifact.ts';
import type { Job } from '../../schema/job.ts';
import { CheckSealedResult, parseResult } from '../../schema/prover-result.ts';
import type { SectorRecord } from '../../schema/sector-record.ts';
import type { Stage } from '../../schema/stage.ts';
import type { EffectOutcome } from '../effects.ts';
import { Invariant, type Plan, type StageWork, type Todo, type Verdict } from '../plan.ts';
import { chainSectorResult, lookAtSector, oldTicket, oldTicketResult } from './existing-sector.ts';
import { advance, made, nothing, stage } from './made.ts';
import { REBUILD } from './rebuild.ts';
import {
  addPieceResult,
  badResults,
  lied,
  ok,
  pc2Result,
  permanent,
  persistResult,
  snapEncodeResult,
  snapProofResult,
  treeDResult,
  validResult,
} from './stage-results.ts';
import {
  SNAP_UNSEALED,
  UNSEALED,
  addPieceWork,
  base,
  checkStoredWork,
  declareStored,
  existingSectorJson,
  pc1Work,
  pc2Work,
  persistWork,
  prover,
  same,
  snapEncodeWork,
  snapProveWork,
  treeDWork,
  verifyUpdateWork,
} from './stage-work.ts';

/** The chain says that the sector was upgraded: its data went into it by a snap, and it was sealed with zeros. */
const upgraded = (job: Job): boolean => made(job, job.data.onChain, 'the sector on the chain').keyCommR !== null;
/** Whether the sealed part itself holds data. */
const sealedData = (job: Job): boolean => job.data.pieces.length > 0 && !upgraded(job) && !onlyInUpdate(job);
/** Data of a snap that the record tells of and the chain may not have: the sealed part was made of zeros. */
function onlyInUpdate(job: Job): boolean {
  const { update, pieces } = made(job, job.data.record, 'a record of the sector');
  return update !== null && pieces.every(({ filler }) => filler === true);
}
const sealedCommR = (job: Job): string => made(job, job.data.record, 'a record of the sector').commR.cid;
const storedNames = (job: Job): string[] => [
  ...keptNames(job.data.sealProof),
  ...(upgraded(job) ? keptUpdateNames(job.data.sealProof) : []),
];

function todo(job: Job): Todo {
  const { data } = job;
  switch (job.state) {
    case 'Empty':
      if (data.record === undefined) return { do: 'pick' };
      if (data.onChain === undefined) return lookAtSector(job);
      return data.ticket === undefined ? oldTicket(job) : advance('AllocatedRebuildSector');
    case 'Allocated':
      return data.layout === undefined ? stage('AddPiece') : advance('AddPiece');
    case 'PieceAdded':
      return data.treeD === true ? advance('BuildTreeD') : stage('BuildTreeD');
    case 'TreeDBuilt':
      return data.layers === true ? advance('PC1') : stage('PC1');
    case 'PC1Done':
      return data.commR === undefined ? stage('PC2') : advance('PC2');
    case 'PC2Done':
      if (data.sealedChecked !== true) return stage('CheckSealed');
      // Hours have gone, and after a restore the first look may be of before an update.
      return data.lookedAgain === true ? advance('CheckSealed') : lookAtSector(job);
    case 'SealedChecked':
      if (!upgraded(job)) return advance('SkipSnap');
      return data.snapLayout === undefined ? stage('AddPiece') : advance('AddPiece');
    case 'SnapPieceAdded':
      return data.snapTreeD === true ? advance('BuildTreeD') : stage('BuildTreeD');
    case 'SnapTreeDBuilt':
      return data.snapCommR === undefined ? stage('SnapEncode') : advance('SnapEncode');
    case 'SnapEncoded':
      if (data.snapProof === undefined) return stage('SnapProve');
      return data.snapProofChecked === true ? advance('SnapProve') : stage('Verify');
    case 'SnapDone':
      return data.stored === undefined ? stage('Persist') : advance('Persist');
    case 'Persisted':
      if (data.storedChecked !== true) return stage('Verify');
      return data.declared === undefined ? declareStored(job) : advance('SubmitPersistance');
    default:
      return nothing;
  }
}

function work(job: Job, name: Stage): StageWork {
  const { data } = job;
  const snap = job.state === 'SealedChecked' || job.state === 'SnapPieceAdded';
  switch (name) {
    case 'AddPiece':
      return snap ? addPieceWork(job, true, SNAP_UNSEALED) : addPieceWork(job, sealedData(job), UNSEALED);
    case 'BuildTreeD':
      return snap
        ? treeDWork(job, made(job, data.snapLayout, 'a layout of pieces'), SNAP_UNSEALED, false)
        : treeDWork(job, made(job, data.layout, 'a layout of pieces'), sealedData(job) ? UNSEALED : undefined, true);
    case 'PC1':
      return pc1Work(job);
    case 'PC2':
      return pc2Work(job, sealedData(job));
    case 'CheckSealed':
      return {
        ...base,
        work: prover(job, 'check-sealed', { commR: sealedCommR(job) }),
        inputs: same(['sealed', P_AUX, ...treeRLastNames(data.sealProof)]),
        trust: 'own',
      };
    case 'SnapEncode':
      return snapEncodeWork(job);
    case 'SnapProve':
      return snapProveWork(job);
    case 'Verify':
      return job.state === 'Persisted' ? checkStoredWork(job) : verifyUpdateWork(job);
    case 'Persist':
      return persistWork(job, storedNames(job), null, existingSectorJson(job));
    default:
      throw new Invariant(`the rebuild plan has no stage ${name} in ${job.state}`);
  }
}

/** CommD of the given pieces against the one that is known: told before PC1 spends hours on other data. */
function addPiece(job: Job, result: unknown): Verdict {
  const snap = job.state === 'SealedChecked';
  const verdict = addPieceResult(result, snap ? 'update' : 'sealed');
  const record = made(job, job.data.record, 'a record of the sector');
  const known = snap ? record.update?.commD : record.commD;
  if (verdict.verdict !== 'ok' || known === undefined || known === null) return verdict;
  const found = snap ? verdict.data.snapCommD : verdict.data.commD;
  if (found?.cid === known.cid) return verdict;
  return permanent(
    'pieces_differ',
    `the pieces given make CommD ${found?.cid}, the sector has ${known.cid}; abort this job and ask for the rebuild with the sector's own pieces, uploaded with --reserved and named in their order`,
  );
}

function applyStage(job: Job, name: Stage, result: Readonly<Record<string, unknown>>, by: string): Verdict {
  const { data } = job;
  switch (name) {
    case 'AddPiece':
      return addPiece(job, result);
    case 'BuildTreeD':
      return job.state === 'SnapPieceAdded'
        ? treeDResult(result, made(job, data.snapCommD, "the update's CommD"), { snapTreeD: true })
        : treeDResult(result, made(job, data.commD, 'CommD'), { treeD: true });
    case 'PC1':
      return ok({ layers: true });
    case 'PC2':
      return pc2Result(
        job,
        result,
        {
          cid: sealedCommR(job),
          why: 'which the chain has',
          else: 'the ticket or the pieces are not those of the sector; abort this job, import the sector again with its own ticket and ask for the rebuild with its own pieces',
        },
        'TreeDBuilt',
        by,
      );
    case 'CheckSealed': {
      const parsed = parseResult(CheckSealedResult, result);
      if (!parsed.ok) return lied(parsed.reason);
      return parsed.value.commR.cid === sealedCommR(job)
        ? ok({ sealedChecked: true })
        : badResults('TreeDBuilt', `the sealed file has CommR ${parsed.value.commR.cid}, the chain has ${sealedCommR(job)}`);
    }
    case 'SnapEncode':
      return snapEncodeResult(job, result, made(job, data.onChain, 'the sector on the chain').commR, 'SnapTreeDBuilt');
    case 'SnapProve':
      return snapProofResult(result, by);
    case 'Persist':
      return persistResult(job, result, storedNames(job));
    case 'Verify':
      return validResult(result, job.state === 'Persisted' ? { storedChecked: true } : { snapProofChecked: true });
    default:
      throw new Invariant(`the rebuild plan has no stage ${name} in ${job.state}`);
  }
}

function readFailure(job: Job, name: Stage, code: string): Verdict | undefined {
  if (code !== 'proof_invalid' && code !== 'input_invalid') return undefined;
  if (name === 'CheckSealed') return badResults('TreeDBuilt', 'the sealed file does not have the CommR that the chain has');
  if (job.state === 'Persisted') return badResults('SnapDone', 'stored files differ from the verified artifacts');
  if (job.state === 'SnapEncoded' && name === 'Verify') return badResults('SnapEncoded', 'the proof of the update does not verify');
  return job.state === 'SnapEncoded' ? badResults('SnapTreeDBuilt', 'the vanilla proofs of the update do not hold') : undefined;
}

/** An upgraded sector needs its data for the second half; whether it is one, only the chain knows. */
function onChain(job: Job, outcome: Extract<EffectOutcome, { outcome: 'sector' }>): Verdict {
  const verdict = chainSectorResult(job, outcome);
  if (verdict.verdict !== 'ok' || outcome.sector?.keyCommR === null || job.data.pieces.length > 0) return verdict;
  const known = (job.data.record?.update?.pieces ?? []).filter(({ filler }) => filler !== true).map(({ cid }) => cid);
  return permanent(
    'pieces_missing',
    `sector ${job.number} of ${job.miner} was upgraded with data${known.length === 0 ? '' : ` (${known.join(', ')})`}; abort this job, upload its pieces (sealpool pieces add --reserved) and ask for the rebuild with --piece`,
  );
}

/** The second look: an update that has come meanwhile is rebuilt too. */
function onChainStill(job: Job, outcome: Extract<EffectOutcome, { outcome: 'sector' }>): Verdict {
  const verdict = onChain(job, outcome);
  if (verdict.verdict !== 'ok') return verdict;
  return ok({ ...(outcome.sector?.keyCommR ? verdict.data : {}), lookedAgain: true });
}

function applyEffect(job: Job, _step: string, outcome: EffectOutcome): Verdict {
  switch (outcome.outcome) {
    case 'sector':
      return job.state === 'PC2Done' ? onChainStill(job, outcome) : onChain(job, outcome);
    case 'oldTicket':
      return oldTicketResult(job, outcome);
    case 'declared':
      return ok({ declared: true });
    case 'error':
      return { verdict: 'error', category: outcome.category, code: outcome.code, message: outcome.message };
    default:
      return ok({});
  }
}

function record(job: Job, before: SectorRecord | undefined): SectorRecord | undefined {
  const { data } = job;
  const known = before ?? data.record;
  if (known === undefined || data.stored === undefined) return undefined;
  const { snapCommR: commR, snapCommD: commD, snapLayout: pieces } = data;
  // The chain has it: what once kept it from snaps is asked again.
  const { unfit: _unfit, ...fit } = known;
  return {
    ...fit,
    ticket: data.ticket ?? known.ticket,
    commD: data.commD ?? known.commD,
    pieces: sealedData(job) ? (data.layout ?? known.pieces) : known.pieces,
    // The chain has said whether there is an update: a record may tell of one that never landed.
    update: commR === undefined || commD === undefined || pieces === undefined ? null : { commR, commD, pieces },
    replicaUpdate: commR === undefined ? null : known.replicaUpdate,
    files: data.stored,
  };
}

export const rebuildPlan: Plan = {
  name: 'rebuild',
  table: REBUILD,
  order: Object.keys(REBUILD).filter((state) => state !== 'Aborted'),
  madeIn: {
    record: 'Empty',
    onChain: 'Empty',
    ticket: 'Empty',
    layout: 'Allocated',
    commD: 'Allocated',
    treeD: 'PieceAdded',
    layers: 'TreeDBuilt',
    commR: 'PC1Done',
    sealedChecked: 'PC2Done',
    lookedAgain: 'PC2Done',
    snapLayout: 'SealedChecked',
    snapCommD: 'SealedChecked',
    snapTreeD: 'SnapPieceAdded',
    snapCommR: 'SnapTreeDBuilt',
    snapProof: 'SnapEncoded',
    snapProofBy: 'SnapEncoded',
    snapProofChecked: 'SnapEncoded',
    stored: 'SnapDone',
    storedChecked: 'Persisted',
    declared: 'Persisted',
  },
  messages: {},
  existing: 'asked',
  keeps: [],
  todo,
  work,
  applyStage,
  readFailure,
  applyEffect,
  record,
};
