/** Steps that snapup, rebuild and unseal share: they begin with a sector that exists. */
import type { Job } from '../../schema/job.ts';
import { sealProofInfo } from '../../schema/seal-proof.ts';
import type { EffectOutcome } from '../effects.ts';
import type { Todo, Verdict } from '../plan.ts';
import { made, numberOf } from './made.ts';
import { ok, permanent } from './stage-results.ts';

/** Look at the sector on the chain. */
export const lookAtSector = (job: Job): Todo => ({
  do: 'effect',
  step: 'LookAtSector',
  want: { kind: 'sector', miner: job.miner, number: numberOf(job) },
});

/** Draw the ticket of a sector that was sealed before once more. */
export function oldTicket(job: Job): Todo {
  const { ticket, preCommit } = made(job, job.data.record, 'a record of the sector');
  const want = { kind: 'oldTicket', miner: job.miner, number: numberOf(job), epoch: ticket?.epoch ?? null, preCommit } as const;
  return { do: 'effect', step: 'OldTicket', want };
}

/** The ticket that the chain gave, or what the operator has to find out. */
export function oldTicketResult(job: Job, outcome: Extract<EffectOutcome, { outcome: 'oldTicket' }>): Verdict {
  if (outcome.ticket !== null) return ok({ ticket: { ...outcome.ticket } });
  return permanent(
    'ticket_unknown',
    `nobody knows the ticket of sector ${job.number}: neither the record, nor its pre-commit message on the chain; abort this job, import the sector again with its ticket's epoch (or its pre-commit's CID), then ask for it anew`,
  );
}

/** The sector on the chain; one that is not there, or is another one, needs a person. */
export function chainSectorResult(job: Job, outcome: Extract<EffectOutcome, { outcome: 'sector' }>): Verdict {
  const record = made(job, job.data.record, 'a record of the sector');
  const { sector } = outcome;
  const name = `sector ${job.number} of ${job.miner}`;
  if (sector === null) {
    return permanent(
      'not_on_chain',
      `the chain has no ${name}: it was never proven, expired or was terminated; abort the job, or look for the sector's number`,
    );
  }
  const key = sector.keyCommR ?? sector.commR;
  if (key !== record.commR.cid) {
    return permanent(
      'chain_differs',
      `the chain has ${name} with CommR ${key}, ours is known as ${record.commR.cid}; abort this job, import the sector again from where it was sealed, then ask for it anew`,
    );
  }
  const { number } = sealProofInfo(record.sealProof);
  // Synthetic and plain PoRep of one size are the same sector on chain once it is proven, but not the same number.
  if (sector.sealProof !== number) {
    return permanent(
      'chain_differs',
      `the chain has ${name} with seal proof ${sector.sealProof}, ours is known with ${number}; abort this job, import the sector again with the right seal proof, then ask for it anew`,
    );
  }
  return ok({ onChain: { ...sector } });
}
