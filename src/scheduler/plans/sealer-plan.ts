/** The sealer plan as the engine takes it. */
import type { Job } from '../../schema/job.ts';
import type { SectorRecord } from '../../schema/sector-record.ts';
import type { Plan } from '../plan.ts';
import { knownCid } from './made.ts';
import { sealerApplyEffect, sealerApplyStage, sealerReadFailure } from './sealer-apply.ts';
import { sealerTodo } from './sealer-todo.ts';
import { sealerWork } from './sealer-work.ts';
import { SEALER } from './sealer.ts';

function record({ miner, number, data }: Job): SectorRecord | undefined {
  const { ticket, commD, commR, stored } = data;
  if (number === null || commR === undefined) return undefined;
  return {
    miner,
    number,
    sealProof: data.sealProof,
    ticket: ticket ?? null,
    commD: commD ?? null,
    commR,
    pieces: data.pieces.length === 0 ? [] : (data.layout ?? []),
    update: null,
    files: stored ?? null,
    preCommit: knownCid(data.preCommit),
    proveCommit: knownCid(data.proveCommit),
    replicaUpdate: null,
    source: 'sealed',
  };
}

export const sealerPlan: Plan = {
  name: 'sealer',
  table: SEALER,
  order: Object.keys(SEALER).filter((state) => state !== 'Aborted'),
  madeIn: {
    layout: 'DealsAcquired',
    commD: 'DealsAcquired',
    treeD: 'PieceAdded',
    ticket: 'TreeDBuilt',
    layers: 'TicketAssigned',
    commR: 'PC1Done',
    challenge: 'PC2Done',
    preCommit: 'PC2Done',
    stored: 'PCLanded',
    storedChecked: 'Persisted',
    declared: 'Persisted',
    seed: 'PersistanceSubmitted',
    vanilla: 'SeedAssigned',
    proof: 'C1Done',
    proofBy: 'C1Done',
    proofChecked: 'C1Done',
    proveCommit: 'C2Done',
  },
  messages: {
    SubmitPC: { field: 'preCommit', state: 'PC2Done' },
    SubmitProof: { field: 'proveCommit', state: 'C2Done' },
  },
  existing: null,
  keeps: [],
  todo: sealerTodo,
  work: sealerWork,
  applyStage: sealerApplyStage,
  readFailure: sealerReadFailure,
  applyEffect: sealerApplyEffect,
  record,
};
