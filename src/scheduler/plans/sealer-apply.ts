/** What an answer means for a sealer job. */
import { keptNames } from '../../schema/artifact.ts';
import type { RunnerId } from '../../schema/ids.ts';
import type { Job } from '../../schema/job.ts';
import type { Stage } from '../../schema/stage.ts';
import type { EffectOutcome } from '../effects.ts';
import { Invariant, type Verdict } from '../plan.ts';
import { foundMessage, made } from './made.ts';
import { CHALLENGE_PROOFS } from './sealer-todo.ts';
import {
  type BoundCommR,
  addPieceResult,
  badResults,
  landedResult,
  ok,
  pc2Result,
  persistResult,
  proofResult,
  treeDResult,
  validResult,
} from './stage-results.ts';

/** Before the deposit is paid: what the challenge C1 found wrong was made in PC1Done, from layers we can make again. */
const badReplica = (reason: string): Verdict => badResults('TicketAssigned', reason);

function boundCommR({ data }: Job): BoundCommR | undefined {
  if (data.boundCommR === undefined) return undefined;
  return {
    cid: data.boundCommR.cid,
    why: 'which the pre-commit on chain names',
    else: 'what was pre-committed was a bad replica and cannot be proven; abort this job with --force (its deposit burns) and pledge anew',
  };
}

/** See `Plan.applyStage`. */
export function sealerApplyStage(job: Job, stage: Stage, result: Readonly<Record<string, unknown>>, by: string): Verdict {
  const { data } = job;
  switch (stage) {
    case 'AddPiece':
      return addPieceResult(result, 'sealed');
    case 'BuildTreeD':
      return treeDResult(result, made(job, data.commD, 'CommD'), { treeD: true });
    case 'PC1':
      return ok({ layers: true });
    case 'PC2': {
      return pc2Result(job, result, boundCommR(job), 'TicketAssigned', by);
    }
    case 'C1':
      return ok({});
    case 'C2':
      return proofResult(result, (proof) => ({ proof, proofBy: by as RunnerId }));
    case 'Persist':
      return persistResult(job, result, keptNames(data.sealProof));
    case 'Verify':
      if (job.state === 'PC2Done') return validResult(result, { challenge: { ...made(job, data.challenge, 'a challenge'), passed: true } });
      if (job.state === 'SeedAssigned') return validResult(result, { vanilla: true });
      return validResult(result, job.state === 'Persisted' ? { storedChecked: true } : { proofChecked: true });
    default:
      throw new Invariant(`the sealer plan has no stage ${stage} in ${job.state}`);
  }
}

/** See `Plan.readFailure`: only answers of `own` runners reach it. */
export function sealerReadFailure(job: Job, stage: Stage, code: string): Verdict | undefined {
  const refused = code === 'proof_invalid' || code === 'input_invalid';
  if (!refused) return undefined;
  if (job.state === 'PC2Done' && (stage === 'Verify' || stage === 'C1')) {
    if (job.data.artifacts[CHALLENGE_PROOFS] === undefined) return badReplica('no vanilla proofs can be made of this replica');
    const reason = 'the vanilla proofs of the challenge do not hold';
    return { verdict: 'bad_results', backTo: 'TicketAssigned', reason, proofsOf: 'C1' };
  }
  if (job.state === 'C1Done' && stage === 'Verify') return badResults('C1Done', 'the proof does not verify');
  if ((job.state === 'SeedAssigned' && stage === 'Verify') || (job.state === 'C1Done' && stage === 'C2')) {
    return badResults('SeedAssigned', 'the vanilla proofs of C1 do not hold');
  }
  if (job.state === 'SeedAssigned' && stage === 'C1') {
    return {
      verdict: 'error',
      category: 'critical',
      code: 'replica_damaged',
      message: 'C1 finds the sealed files inconsistent although the challenge passed; compare the stored files, then resume from PC1Done',
    };
  }
  if (job.state === 'Persisted') return badResults('PCLanded', 'stored files differ from the verified artifacts');
  return undefined;
}

/** See `Plan.applyEffect`. */
export function sealerApplyEffect(job: Job, step: string, outcome: EffectOutcome): Verdict {
  switch (outcome.outcome) {
    case 'number':
      return ok(outcome.taken ? {} : { numberFree: true });
    case 'ticket':
      return ok({ ticket: { value: outcome.value, epoch: outcome.epoch } });
    case 'seed':
      return ok({ seed: { value: outcome.value, epoch: outcome.epoch } });
    case 'proven':
      return provenResult(job, outcome);
    case 'landed':
      return landedResult(job, step === 'CheckPC' ? 'preCommit' : 'proveCommit', outcome);
    case 'declared':
      return ok({ declared: true });
    case 'error':
      return { verdict: 'error', category: outcome.category, code: outcome.code, message: outcome.message };
    default:
      return ok({});
  }
}

/** By a message that this database does not have: of one that was lost, or sent by hand. */
function provenResult(job: Job, { commR, epoch }: Extract<EffectOutcome, { outcome: 'proven' }>): Verdict {
  if (job.data.commR?.cid === commR) return ok({ proveCommit: foundMessage(epoch) });
  return {
    verdict: 'error',
    category: 'permanent',
    code: 'chain_differs',
    message: `sector ${job.number} is proven on the chain with CommR ${commR}, which is not this job's; abort this job with force, then take the files of that replica over with sealpool import`,
  };
}
