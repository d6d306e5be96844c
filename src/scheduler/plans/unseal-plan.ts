/** The unseal plan: its table's conditions, stages and answers. The piece stays in object storage for its owner to fetch. */
import { PIECE } from '../../schema/artifact.ts';
import type { Job } from '../../schema/job.ts';
import { payloadBytes } from '../../schema/seal-proof.ts';
import type { SectorRecord } from '../../schema/sector-record.ts';
import type { Stage } from '../../schema/stage.ts';
import type { EffectOutcome } from '../effects.ts';
import { Invariant, type Plan, type StageWork, type Todo, type Verdict } from '../plan.ts';
import { oldTicket, oldTicketResult } from './existing-sector.ts';
import { advance, made, nothing, stage } from './made.ts';
import { ok, permanent } from './stage-results.ts';
import { base, prover, publishWork, required, same } from './stage-work.ts';
import { UNSEAL } from './unseal.ts';

const recordOf = (job: Job): SectorRecord => made(job, job.data.record, 'a record of the sector');
/** Files that the data is decoded from. */
const sources = (job: Job): string[] => (recordOf(job).update === null ? ['sealed'] : ['sealed', 'update']);

function todo(job: Job): Todo {
  const { data } = job;
  switch (job.state) {
    case 'Empty':
      if (data.record === undefined) return { do: 'pick' };
      // Data that a snap brought is decoded with the sector key; only the sealed file itself needs the ticket.
      return data.ticket === undefined && data.record.update === null ? oldTicket(job) : advance('AllocatedUnsealSector');
    case 'Allocated':
      if (data.unsealed === true) return advance('UnsealDone');
      return stage(data.artifacts['sealed'] === undefined ? 'Publish' : 'Unseal');
    case 'Unsealed':
      return data.artifacts[PIECE] === undefined ? nothing : advance('UploadPieceDone');
    default:
      return nothing;
  }
}

function unsealWork(job: Job): StageWork {
  const { data } = job;
  const { update, commD, commR } = recordOf(job);
  const range = data.asked?.range ?? { offsetBytes: '0', sizeBytes: String(payloadBytes(data.sealProof)) };
  const of =
    update === null
      ? { commD: made(job, commD, 'CommD').cid, ticket: made(job, data.ticket, 'a ticket').value }
      : { commD: update.commD.cid, commROld: commR.cid };
  return {
    ...base,
    work: prover(job, 'unseal-piece', { ...of, offsetBytes: range.offsetBytes, sizeBytes: range.sizeBytes }),
    inputs: same(sources(job)),
    outputs: required(same([PIECE])),
    trust: 'own',
  };
}

function work(job: Job, name: Stage): StageWork {
  if (name === 'Publish') return publishWork(job, sources(job));
  if (name === 'Unseal') return unsealWork(job);
  throw new Invariant(`the unseal plan has no stage ${name} in ${job.state}`);
}

function readFailure(job: Job, _name: Stage, code: string): Verdict | undefined {
  if (code !== 'proof_invalid' && code !== 'input_invalid') return undefined;
  return permanent(
    'sector_damaged',
    `the stored files of sector ${job.number} are missing, or do not hold the data that its CommD names; abort this job, rebuild the sector, then ask for it anew`,
  );
}

function applyEffect(job: Job, _step: string, outcome: EffectOutcome): Verdict {
  if (outcome.outcome === 'oldTicket') return oldTicketResult(job, outcome);
  return outcome.outcome === 'error'
    ? { verdict: 'error', category: outcome.category, code: outcome.code, message: outcome.message }
    : ok({});
}

export const unsealPlan: Plan = {
  name: 'unseal',
  table: UNSEAL,
  order: Object.keys(UNSEAL).filter((state) => state !== 'Aborted'),
  madeIn: { record: 'Empty', ticket: 'Empty', unsealed: 'Allocated' },
  messages: {},
  existing: 'asked',
  keeps: [PIECE],
  todo,
  work,
  applyStage: (_job, name) => ok(name === 'Unseal' ? { unsealed: true } : {}),
  readFailure,
  applyEffect,
  record: () => undefined,
};
