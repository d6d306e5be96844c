/** What an answer means for a sealer job. Never trusts: results of rented runners are checked by later steps. */
import { keptNames } from '../../schema/artifact.ts';
import type { Job, JobData } from '../../schema/job.ts';
import { AddPieceResult, Pc2Result, ProofResult, StoredResult, TreeDResult, ValidResult, parseResult } from '../../schema/prover-result.ts';
import type { Stage } from '../../schema/stage.ts';
import type { EffectOutcome } from '../effects.ts';
import { Invariant, type Verdict } from '../plan.ts';
import { CHALLENGE_PROOFS, made } from './sealer-todo.ts';
import { storedPath } from './sealer-work.ts';

const ok = (data: Partial<JobData>): Verdict => ({ verdict: 'ok', data });
const lied = (reason: string): Verdict => ({ verdict: 'runner_fault', lied: true, reason });

/** Before the deposit is paid: what the challenge C1 found wrong was made in PC1Done, from layers we can make again. */
const badReplica = (reason: string): Verdict => ({ verdict: 'bad_results', backTo: 'TicketAssigned', reason });

function pc2(job: Job, result: unknown): Verdict {
  const parsed = parseResult(Pc2Result, result);
  if (!parsed.ok) return lied(parsed.reason);
  const { commR, commD } = parsed.value;
  const own = made(job, job.data.commD, 'CommD');
  if (commD.hex !== own.hex) return lied(`it sealed other data: CommD ${commD.cid} instead of ${own.cid}`);
  const bound = job.data.boundCommR;
  if (bound !== undefined && bound.hex !== commR.hex) {
    return badReplica(`CommR ${commR.cid} differs from ${bound.cid}, which the pre-commit on chain names`);
  }
  return ok({ commR });
}

function persisted(job: Job, result: unknown): Verdict {
  const parsed = parseResult(StoredResult, result);
  if (!parsed.ok) return lied(parsed.reason);
  for (const name of keptNames(job.data.sealProof)) {
    const artifact = made(job, job.data.artifacts[name], `artifact ${name}`);
    const file = parsed.value.files.find(({ path }) => path === storedPath(job, name));
    if (file === undefined) return lied(`it did not store ${name}`);
    if (file.hash !== artifact.hash || file.sizeBytes !== artifact.sizeBytes)
      return lied(`what it stored as ${name} differs from the verified artifact`);
  }
  return ok({ stored: parsed.value });
}

function addPiece(job: Job, result: unknown): Verdict {
  const parsed = parseResult(AddPieceResult, result);
  if (!parsed.ok) return lied(parsed.reason);
  const { pieces: layout, commD } = parsed.value;
  return ok({ layout, commD });
}

/** See `Plan.applyStage`. */
export function sealerApplyStage(job: Job, stage: Stage, result: Readonly<Record<string, unknown>>, by: string): Verdict {
  switch (stage) {
    case 'AddPiece':
      return addPiece(job, result);
    case 'BuildTreeD': {
      const parsed = parseResult(TreeDResult, result);
      if (!parsed.ok) return lied(parsed.reason);
      const own = made(job, job.data.commD, 'CommD');
      return parsed.value.commD.hex === own.hex
        ? ok({ treeD: true })
        : lied(`its tree-d has CommD ${parsed.value.commD.cid} instead of ${own.cid}`);
    }
    case 'PC1':
      return ok({ layers: true });
    case 'PC2':
      return pc2(job, result);
    case 'C1':
      return ok({});
    case 'C2': {
      const parsed = parseResult(ProofResult, result);
      return parsed.ok ? ok({ proof: parsed.value.proof, proofBy: by as NonNullable<JobData['proofBy']> }) : lied(parsed.reason);
    }
    case 'Persist':
      return persisted(job, result);
    case 'Verify': {
      const parsed = parseResult(ValidResult, result);
      if (!parsed.ok) return lied(parsed.reason);
      if (job.state === 'PC2Done') return ok({ challenge: { ...made(job, job.data.challenge, 'a challenge'), passed: true } });
      if (job.state === 'SeedAssigned') return ok({ vanilla: true });
      return job.state === 'Persisted' ? ok({ storedChecked: true }) : ok({ proofChecked: true });
    }
    default:
      throw new Invariant(`the sealer plan has no stage ${stage} in ${job.state}`);
  }
}

/** See `Plan.readFailure`: only answers of `own` runners reach it. */
export function sealerReadFailure(job: Job, stage: Stage, code: string): Verdict | undefined {
  const refused = code === 'proof_invalid' || code === 'input_invalid';
  if (!refused) return undefined;
  if (job.state === 'PC2Done' && (stage === 'Verify' || stage === 'C1')) {
    const artifact = job.data.artifacts[CHALLENGE_PROOFS];
    return badReplica(
      artifact === undefined ? 'no vanilla proofs can be made of this replica' : 'the vanilla proofs of the challenge do not hold',
    );
  }
  if (job.state === 'C1Done' && stage === 'Verify')
    return { verdict: 'bad_results', backTo: 'C1Done', reason: 'the proof does not verify' };
  if ((job.state === 'SeedAssigned' && stage === 'Verify') || (job.state === 'C1Done' && stage === 'C2')) {
    return { verdict: 'bad_results', backTo: 'SeedAssigned', reason: 'the vanilla proofs of C1 do not hold' };
  }
  if (job.state === 'SeedAssigned' && stage === 'C1') {
    return {
      verdict: 'error',
      category: 'critical',
      code: 'replica_damaged',
      message: 'C1 finds the sealed files inconsistent although the challenge passed; compare the stored files, then resume from PC1Done',
    };
  }
  if (job.state === 'Persisted')
    return { verdict: 'bad_results', backTo: 'PCLanded', reason: 'stored files differ from the verified artifacts' };
  return undefined;
}

const chainFailed = (what: string, exitCode: number, detail: string, data: Partial<JobData>): Verdict => ({
  verdict: 'error',
  // Exit codes 6, 7 and 19 are about funds and state that may mend by itself (chain facts); the rest needs a person.
  category: exitCode === 6 || exitCode === 7 || exitCode === 19 ? 'temporary' : 'permanent',
  code: `${what}_failed`,
  message: `the ${what === 'pre_commit' ? 'pre-commit' : 'prove-commit'} failed on chain with exit code ${exitCode}${detail === '' ? '' : ` (${detail})`}; mend the cause and resume, the message is then sent again`,
  data,
});

/** See `Plan.applyEffect`. */
export function sealerApplyEffect(job: Job, step: string, outcome: EffectOutcome): Verdict {
  switch (outcome.outcome) {
    case 'number':
      return ok(outcome.taken ? {} : { numberFree: true });
    case 'ticket':
      return ok({ ticket: { value: outcome.value, epoch: outcome.epoch } });
    case 'seed':
      return ok({ seed: { value: outcome.value, epoch: outcome.epoch } });
    case 'landed': {
      const field = step === 'CheckPC' ? 'preCommit' : 'proveCommit';
      const message = made(job, job.data[field], `a ${field} message`);
      if (outcome.exitCode === 0 && !outcome.onChain) {
        return {
          verdict: 'error',
          category: 'critical',
          code: 'chain_differs',
          message: `${outcome.detail}; look at the sector on the chain before you resume`,
        };
      }
      const landed = { ...message, landedEpoch: outcome.epoch, exitCode: outcome.exitCode };
      if (outcome.exitCode === 0) return ok({ [field]: landed });
      return chainFailed(field === 'preCommit' ? 'pre_commit' : 'prove_commit', outcome.exitCode, outcome.detail, { [field]: landed });
    }
    case 'error':
      return { verdict: 'error', category: outcome.category, code: outcome.code, message: outcome.message };
    default:
      return ok({});
  }
}
