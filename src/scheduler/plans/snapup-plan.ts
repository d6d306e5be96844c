/** The snapup plan: its table's conditions, stages and answers. */
import { P_AUX, T_AUX, keptUpdateNames, treeRLastNames } from '../../schema/artifact.ts';
import type { Job } from '../../schema/job.ts';
import { sealProofInfo } from '../../schema/seal-proof.ts';
import type { SectorRecord } from '../../schema/sector-record.ts';
import type { Stage } from '../../schema/stage.ts';
import type { EffectOutcome } from '../effects.ts';
import { Invariant, type Plan, type StageWork, type Todo, type Verdict } from '../plan.ts';
import { chainSectorResult, lookAtSector } from './existing-sector.ts';
import { advance, knownCid, made, nothing, numberOf, stage } from './made.ts';
import { SNAPUP } from './snapup.ts';
import {
  addPieceResult,
  badResults,
  landedResult,
  ok,
  permanent,
  persistResult,
  snapEncodeResult,
  snapProofResult,
  treeDResult,
  validResult,
} from './stage-results.ts';
import {
  SNAP_UNSEALED,
  addPieceWork,
  checkStoredWork,
  declareStored,
  existingSectorJson,
  persistWork,
  publishWork,
  snapEncodeWork,
  snapProveWork,
  treeDWork,
  verifyUpdateWork,
} from './stage-work.ts';

/** What a snap reads of the sector that is there. */
const keyNames = (job: Job): string[] => ['sealed', P_AUX, T_AUX, ...treeRLastNames(job.data.sealProof)];

/** An immutable deadline, or a sector that the chain does not take yet, is often all that this code means (chain facts). */
const OFTEN_PASSING = [16];

function submitUpdate(job: Job): Todo {
  const { data } = job;
  const pieces = made(job, data.snapLayout, 'a layout of pieces').filter(({ filler }) => filler !== true);
  return {
    do: 'effect',
    step: 'SubmitUpdate',
    want: {
      kind: 'message',
      message: {
        method: 'ProveReplicaUpdates3',
        miner: job.miner,
        number: numberOf(job),
        updateProof: sealProofInfo(data.sealProof).updateProof,
        commR: made(job, data.snapCommR, "the update's CommR").cid,
        pieces: pieces.map(({ cid, paddedSizeBytes }) => ({ cid, paddedSizeBytes })),
        proofBase64: made(job, data.snapProof, "the update's proof"),
      },
    },
  };
}

/** In Persisted: files checked, message sent and landed, then Finish. Failed sends are retried within the state. */
function persisted(job: Job): Todo {
  const { data } = job;
  const message = data.replicaUpdate;
  if (message !== undefined) {
    // Where files were stored again after the message was sent, they are checked as the first were.
    if (message.exitCode === 0 || data.asked?.skipOnchainCheck === true) return storedAndTold(job) ?? advance('Finish');
    if (message.exitCode !== undefined) return { do: 'forget', fields: ['replicaUpdate'] };
    const commR = made(job, data.snapCommR, "the update's CommR").cid;
    const want = { kind: 'landed', miner: job.miner, number: numberOf(job), message: message.cid, what: 'replicaUpdate', commR } as const;
    return { do: 'effect', step: 'CheckUpdate', want };
  }
  // Before the message: once that has landed, the next Window PoSt reads the update.
  return storedAndTold(job) ?? submitUpdate(job);
}

/** What is left to do about the stored files; undefined: they are as they should be, and whoever does Window PoSt knows of them. */
function storedAndTold(job: Job): Todo | undefined {
  const { storedChecked, declared } = job.data;
  if (storedChecked === undefined) return stage('Verify');
  if (!storedChecked) return { do: 'advance', event: 'RePersist', clear: ['stored', 'storedChecked', 'declared'] };
  return declared === undefined ? declareStored(job) : undefined;
}

function todo(job: Job): Todo {
  const { data } = job;
  switch (job.state) {
    case 'Empty':
      if (data.record === undefined) return { do: 'pick' };
      return data.onChain === undefined ? lookAtSector(job) : advance('AllocatedSnapUpSector');
    case 'Allocated':
      return data.snapLayout === undefined ? stage('AddPiece') : advance('AddPiece');
    case 'PieceAdded':
      return data.snapTreeD === true ? advance('BuildTreeD') : stage('BuildTreeD');
    case 'TreeDBuilt':
      if (data.snapCommR !== undefined) return advance('SnapEncode');
      return stage(data.artifacts['sealed'] === undefined ? 'Publish' : 'SnapEncode');
    case 'SnapEncoded':
      if (data.snapProof === undefined) return stage('SnapProve');
      return data.snapProofChecked === true ? advance('SnapProve') : stage('Verify');
    case 'SnapProved':
      return data.stored === undefined ? stage('Persist') : advance('Persist');
    case 'Persisted':
      return persisted(job);
    default:
      return nothing;
  }
}

function work(job: Job, name: Stage): StageWork {
  const { data } = job;
  switch (name) {
    case 'AddPiece':
      return addPieceWork(job, true, SNAP_UNSEALED);
    case 'BuildTreeD':
      return treeDWork(job, made(job, data.snapLayout, 'a layout of pieces'), SNAP_UNSEALED, false);
    case 'Publish':
      return publishWork(job, keyNames(job));
    case 'SnapEncode':
      return snapEncodeWork(job);
    case 'SnapProve':
      return snapProveWork(job);
    case 'Verify':
      return job.state === 'Persisted' ? checkStoredWork(job) : verifyUpdateWork(job);
    case 'Persist': {
      // Beside the sealed file, which decoding needs, and its sector.json, which learns of the update.
      const { storage } = made(job, data.record?.files, 'stored files');
      return persistWork(job, keptUpdateNames(data.sealProof), storage, existingSectorJson(job));
    }
    default:
      throw new Invariant(`the snapup plan has no stage ${name} in ${job.state}`);
  }
}

function applyStage(job: Job, name: Stage, result: Readonly<Record<string, unknown>>, by: string): Verdict {
  const { data } = job;
  switch (name) {
    case 'AddPiece':
      return addPieceResult(result, 'update');
    case 'BuildTreeD':
      return treeDResult(result, made(job, data.snapCommD, "the update's CommD"), { snapTreeD: true });
    case 'Publish':
      return ok({});
    case 'SnapEncode':
      // Bound where an update message is out already: the sector becomes what that one says.
      return snapEncodeResult(job, result, data.boundCommR?.cid, 'TreeDBuilt');
    case 'SnapProve':
      return snapProofResult(result, by);
    case 'Persist':
      return persistResult(job, result, keptUpdateNames(data.sealProof));
    case 'Verify':
      return validResult(result, job.state === 'Persisted' ? { storedChecked: true } : { snapProofChecked: true });
    default:
      throw new Invariant(`the snapup plan has no stage ${name} in ${job.state}`);
  }
}

function readFailure(job: Job, name: Stage, code: string): Verdict | undefined {
  if (code !== 'proof_invalid' && code !== 'input_invalid') return undefined;
  if (job.state === 'Persisted') {
    return {
      verdict: 'error',
      category: 'temporary',
      code: 'stored_differs',
      message: 'stored files differ from the verified artifacts; they are stored again by themselves, look at the disk if this comes back',
      data: { storedChecked: false },
    };
  }
  if (job.state === 'SnapEncoded' && name === 'Verify') return badResults('SnapEncoded', 'the proof of the update does not verify');
  if (job.state === 'SnapEncoded') return badResults('TreeDBuilt', 'the vanilla proofs of the update do not hold');
  if (name === 'Publish') {
    return permanent(
      'sector_damaged',
      `the stored files of sector ${job.number} are missing or differ from what was stored; abort this job, rebuild the sector, then ask for it anew`,
    );
  }
  return undefined;
}

/** Only a committed-capacity sector that has passed its first Window PoSt can be snapped. */
function fits(job: Job, outcome: Extract<EffectOutcome, { outcome: 'sector' }>): Verdict {
  const verdict = chainSectorResult(job, outcome);
  const named = job.data.asked?.number !== undefined;
  const passed = (reason: string, forGood = true): Verdict => ({ verdict: 'pass_over', reason, forGood });
  if (verdict.verdict !== 'ok') return named || verdict.verdict !== 'error' ? verdict : passed(verdict.message);
  const name = `sector ${job.number} of ${job.miner}`;
  if (outcome.sector?.keyCommR !== null) {
    const message = `${name} was upgraded before, and a sector is upgraded once; take another one (abort this job)`;
    return named ? permanent('upgraded_already', message) : passed(message);
  }
  if (outcome.sector.proven) return verdict;
  const message = `${name} is not proven yet (its first Window PoSt is still to come, or it is faulty); it is looked at again by itself`;
  return named ? { verdict: 'wait', code: 'sector_unproven', message } : passed(message, false);
}

function applyEffect(job: Job, _step: string, outcome: EffectOutcome): Verdict {
  switch (outcome.outcome) {
    case 'sector':
      return fits(job, outcome);
    case 'landed':
      return landedResult(job, 'replicaUpdate', outcome, OFTEN_PASSING);
    case 'declared':
      return ok({ declared: true });
    case 'error':
      return { verdict: 'error', category: outcome.category, code: outcome.code, message: outcome.message };
    default:
      return ok({});
  }
}

/** The update is told of once the chain has it: a sector that only seems to be upgraded could be neither rebuilt nor snapped. */
function record(job: Job, before: SectorRecord | undefined): SectorRecord | undefined {
  const { data } = job;
  if (data.replicaUpdate?.exitCode !== 0) return undefined;
  const known = before ?? data.record;
  const { stored, snapCommR, snapCommD, snapLayout } = data;
  if (known === undefined || snapCommR === undefined || snapCommD === undefined || stored === undefined) return undefined;
  const fresh = new Set((stored.files ?? []).map(({ path }) => path));
  const kept = known.files?.files?.filter(({ path }) => !fresh.has(path));
  return {
    ...known,
    update: { commR: snapCommR, commD: snapCommD, pieces: snapLayout ?? [] },
    // Of an imported sector nobody knows all files' hashes: then they stay found by the layout.
    files: { ...stored, files: kept === undefined ? null : [...kept, ...(stored.files ?? [])] },
    replicaUpdate: knownCid(data.replicaUpdate),
  };
}

export const snapupPlan: Plan = {
  name: 'snapup',
  table: SNAPUP,
  order: Object.keys(SNAPUP).filter((state) => state !== 'Aborted'),
  madeIn: {
    record: 'Empty',
    onChain: 'Empty',
    commR: 'Empty',
    snapLayout: 'Allocated',
    snapCommD: 'Allocated',
    snapTreeD: 'PieceAdded',
    snapCommR: 'TreeDBuilt',
    snapProof: 'SnapEncoded',
    snapProofBy: 'SnapEncoded',
    snapProofChecked: 'SnapEncoded',
    stored: 'SnapProved',
    storedChecked: 'Persisted',
    declared: 'Persisted',
    replicaUpdate: 'Persisted',
  },
  messages: { SubmitUpdate: { field: 'replicaUpdate', state: 'Persisted' } },
  existing: 'asked_or_next',
  keeps: [],
  todo,
  work,
  applyStage,
  readFailure,
  applyEffect,
  record,
};
