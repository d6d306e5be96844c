/** A sealer job of a restored database and what the chain has of its sector: the cases, from the furthest back. */
import { commitmentOfCid } from '../schema/commitment-cid.ts';
import type { ChainSector, Job } from '../schema/job.ts';
import { sealProofInfo } from '../schema/seal-proof.ts';
import { numberTaken } from './allocate.ts';
import { change, goBack, without } from './change.ts';
import type { Context } from './context.ts';
import type { ChainPreCommit } from './effects.ts';
import { isLive } from './live-message.ts';
import { planOf } from './plans/all.ts';
import type { Reconciled } from './reconcile.ts';
import { adopt, differs, pauseCompared } from './takeover.ts';

/** The job as it goes on; paused where somebody has to look. */
export function reconcileSealer(ctx: Context, job: Job, seen: Reconciled): Job {
  if (seen.sector !== null) return proven(ctx, job, seen.sector, seen);
  if (seen.preCommit !== null) return preCommitted(ctx, job, seen.preCommit, seen);
  if (seen.taken && !isLive(job.data.preCommit)) return burnt(ctx, job);
  return job;
}

const at = (job: Job, state: string): number => planOf(job.plan).order.indexOf(state);
const isBefore = (job: Job, state: string): boolean => at(job, job.state) < at(job, state);

/** The lost database finished the sector. With files that this one knows to be stored the job ends by itself. */
function proven(ctx: Context, job: Job, sector: ChainSector, seen: Reconciled): Job {
  const commR = sector.keyCommR ?? sector.commR;
  if (job.data.commR !== undefined && job.data.commR.cid !== commR) return differs(ctx, job, `CommR ${commR}, proven`);
  const committed = adopt(ctx, job, 'preCommit', seen.preCommit?.epoch ?? sector.activationEpoch, seen);
  const finished = adopt(ctx, committed, 'proveCommit', sector.activationEpoch, seen);
  if (finished.data.stored !== undefined && sector.keyCommR === null) return finished;
  const upgraded = sector.keyCommR === null ? '' : ' and upgraded';
  return pauseCompared(
    ctx,
    finished,
    'permanent',
    'proven_already',
    `sector ${job.number} of ${job.miner} is proven${upgraded} on the chain already: it was finished after the backup was made, and its files are in the miner storage; abort this job with force, which deletes nothing there, then check the files by their sector.json and take them over with sealpool import`,
  );
}

/** The sector is pre-committed: from now on only that replica counts. */
function preCommitted(ctx: Context, job: Job, found: ChainPreCommit, seen: Reconciled): Job {
  const { data } = job;
  const content = otherContent(job, found);
  if (content !== undefined) return differs(ctx, job, content);
  if (data.commR?.cid === found.commR) return adopt(ctx, job, 'preCommit', found.epoch, seen);
  const bound = commitmentOfCid('sealed', found.commR);
  const sameTicket = data.ticket?.epoch === found.ticket.epoch && data.ticket.value === found.ticket.value;
  if (bound === undefined || (sameTicket && data.commR !== undefined)) return differs(ctx, job, `a pre-commit with CommR ${found.commR}`);
  // The restored run may have sent one for the other replica: it is on the chain and failed, or its nonce is spent.
  const { preCommit: _other, proveCommit: _proof, ...rest } = data;
  const adopted = adopt(ctx, change(ctx, job, { data: rest }), 'preCommit', found.epoch, seen);
  const binding = change(ctx, adopted, { data: { ...adopted.data, ticket: { ...found.ticket }, boundCommR: bound, numberFree: true } });
  if (sameTicket || isBefore(job, 'TicketAssigned')) return binding;
  return goBack(ctx, binding, 'TicketAssigned', 'engine', `the chain has a pre-commit with the ticket of epoch ${found.ticket.epoch}`);
}

/** What the chain's pre-commit seals, where that is something else than this job. */
function otherContent(job: Job, found: ChainPreCommit): string | undefined {
  const { data } = job;
  if (found.sealProof !== sealProofInfo(data.sealProof).number) return `a pre-commit with seal proof ${found.sealProof}`;
  if (data.pieces.length === 0) return found.commD === null ? undefined : `a pre-commit with client data (CommD ${found.commD})`;
  if (found.commD === null) return 'a pre-commit without client data';
  return data.commD === undefined || data.commD.cid === found.commD ? undefined : `a pre-commit with CommD ${found.commD}`;
}

/** The chain gave the number out and has nothing of it: a pre-commit that expired, or other software's. */
function burnt(ctx: Context, job: Job): Job {
  if (isBefore(job, 'DealsAcquired')) {
    const empty = job.state === 'Empty' ? job : goBack(ctx, job, 'Empty', 'engine', `the chain gave number ${job.number} out already`);
    return numberTaken(ctx, change(ctx, empty, { data: without(empty.data, ['numberFree']) }));
  }
  return pauseCompared(
    ctx,
    job,
    'permanent',
    'number_taken',
    `the chain gave number ${job.number} of ${job.miner} out and has neither a pre-commit nor a sector of it: the pre-commit expired, or other software took the number; abort this job and pledge a new sector`,
  );
}
