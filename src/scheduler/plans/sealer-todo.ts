/** What a sealer job does next: a function of its state and data alone. */
import { VANILLA_PROOFS } from '../../schema/artifact.ts';
import type { Job } from '../../schema/job.ts';
import { sealProofInfo } from '../../schema/seal-proof.ts';
import type { Todo } from '../plan.ts';
import { advance, made, nothing, numberOf, stage } from './made.ts';
import { declareStored } from './stage-work.ts';

/** The artifact that the challenge C1 answers with. */
export const CHALLENGE_PROOFS = 'challenge-proofs.json';

const preCommitWant = (job: Job): Todo => ({
  do: 'effect',
  step: 'SubmitPC',
  want: {
    kind: 'message',
    message: {
      method: 'PreCommitSectorBatch2',
      miner: job.miner,
      number: numberOf(job),
      sealProof: sealProofInfo(job.data.sealProof).number,
      commR: made(job, job.data.commR, 'CommR').cid,
      commD: job.data.pieces.length === 0 ? null : made(job, job.data.commD, 'CommD').cid,
      ticketEpoch: made(job, job.data.ticket, 'a ticket').epoch,
    },
  },
});

const proveCommitWant = (job: Job): Todo => ({
  do: 'effect',
  step: 'SubmitProof',
  want: {
    kind: 'message',
    message: {
      method: 'ProveCommitSectors3',
      miner: job.miner,
      number: numberOf(job),
      pieces:
        job.data.pieces.length === 0
          ? []
          : made(job, job.data.layout, 'a layout of pieces')
              .filter((piece) => piece.filler !== true)
              .map(({ cid, paddedSizeBytes }) => ({ cid, paddedSizeBytes })),
      proofBase64: made(job, job.data.proof, 'a proof'),
    },
  },
});

const landedWant = (job: Job, step: string, what: 'preCommit' | 'proveCommit'): Todo => ({
  do: 'effect',
  step,
  want: {
    kind: 'landed',
    miner: job.miner,
    number: numberOf(job),
    message: made(job, job.data[what], `a ${what} message`).cid,
    what,
    commR: made(job, job.data.commR, 'CommR').cid,
  },
});

const followed = (job: Job, step: string, what: 'preCommit' | 'proveCommit', landed: string, again: string): Todo => {
  const message = job.data[what];
  if (message?.exitCode === 0) return advance(landed);
  // A message that failed on chain, or whose nonce went to another one, is provably dead: only then may the step be tried again.
  if (message === undefined || message.exitCode !== undefined) return { do: 'advance', event: again, clear: [what] };
  return landedWant(job, step, what);
};

/** See `Plan.todo`. */
export function sealerTodo(job: Job): Todo {
  const { data } = job;
  // Found on the chain after a restore, or landed after the job went back: nothing is made for it any more.
  const provenAlready = data.proveCommit?.exitCode === 0;
  switch (job.state) {
    case 'Empty':
      if (job.number === null) return { do: 'allocate' };
      return data.numberFree === true
        ? advance('Allocate')
        : { do: 'effect', step: 'CheckNumber', want: { kind: 'number', miner: job.miner, number: job.number } };
    case 'Allocated':
      return { do: 'acquire' };
    case 'DealsAcquired':
      return data.layout === undefined ? stage('AddPiece') : advance('AddPiece');
    case 'PieceAdded':
      return data.treeD === true ? advance('BuildTreeD') : stage('BuildTreeD');
    case 'TreeDBuilt':
      return data.ticket === undefined
        ? { do: 'reserve', stage: 'PC1', step: 'AssignTicket', want: { kind: 'ticket', miner: job.miner } }
        : advance('AssignTicket');
    case 'TicketAssigned':
      return data.layers === true ? advance('PC1') : stage('PC1');
    case 'PC1Done':
      return data.commR === undefined ? stage('PC2') : advance('PC2');
    case 'PC2Done':
      if (provenAlready) return advance('SubmitPC');
      // Also where the pre-commit is out, and files were made anew for it: Persist puts them over those that are stored.
      if (data.challenge === undefined) return { do: 'challenge' };
      if (data.artifacts[CHALLENGE_PROOFS] === undefined) return stage('C1');
      if (!data.challenge.passed) return stage('Verify');
      return data.preCommit === undefined ? preCommitWant(job) : advance('SubmitPC');
    case 'PCSubmitted':
      return followed(job, 'CheckPC', 'preCommit', 'CheckPC', 'ReSubmitPC');
    case 'PCLanded':
      return data.stored === undefined ? stage('Persist') : advance('Persist');
    case 'Persisted':
      if (data.storedChecked !== true) return stage('Verify');
      return data.declared === undefined ? declareStored(job) : advance('SubmitPersistance');
    case 'PersistanceSubmitted':
      if (provenAlready) return advance('AssignSeed');
      // Out when the job went back: once it lands it takes the pre-commit up, and with it the seed.
      if (data.proveCommit !== undefined) {
        return data.proveCommit.exitCode === undefined
          ? landedWant(job, 'Finish', 'proveCommit')
          : { do: 'forget', fields: ['proveCommit'] };
      }
      if (data.preCommit === undefined || (data.preCommit.exitCode ?? 0) !== 0) {
        return { do: 'back', state: 'PC2Done', reason: 'the pre-commit is not on the chain any more and its message is dead' };
      }
      // It had landed, and the chain did not show it when the seed was asked for.
      if (data.preCommit.landedEpoch === undefined) return landedWant(job, 'CheckPC', 'preCommit');
      return data.seed === undefined
        ? { do: 'effect', step: 'AssignSeed', want: { kind: 'seed', miner: job.miner, number: numberOf(job) } }
        : advance('AssignSeed');
    case 'SeedAssigned':
      if (provenAlready) return advance('C1');
      if (data.artifacts[VANILLA_PROOFS] === undefined) return stage('C1');
      return data.vanilla === true ? advance('C1') : stage('Verify');
    case 'C1Done':
      if (provenAlready) return advance('C2');
      if (data.proof === undefined) return stage('C2');
      return data.proofChecked === true ? advance('C2') : stage('Verify');
    case 'C2Done':
      // It had landed, and must have expired when the prove-commit was refused.
      if (data.proveCommit === undefined && data.preCommit !== undefined && data.preCommit.landedEpoch === undefined) {
        return landedWant(job, 'CheckPC', 'preCommit');
      }
      return data.proveCommit === undefined ? proveCommitWant(job) : advance('SubmitProof');
    case 'ProofSubmitted':
      if (data.asked?.skipOnchainCheck === true) return advance('Finish');
      return followed(job, 'Finish', 'proveCommit', 'Finish', 'ReSubmitProof');
    default:
      return nothing;
  }
}
