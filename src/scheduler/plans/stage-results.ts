/** What answers mean, by stage: shared by the plans. Never trusts; results of rented runners are checked by later steps. */
import type { RunnerId } from '../../schema/ids.ts';
import type { Job, JobData } from '../../schema/job.ts';
import {
  AddPieceResult,
  Pc2Result,
  ProofResult,
  StoredResult,
  TreeDResult,
  UpdateResult,
  ValidResult,
  parseResult,
} from '../../schema/prover-result.ts';
import type { EffectOutcome, MessageField } from '../effects.ts';
import type { Verdict } from '../plan.ts';
import { made } from './made.ts';
import { storedPath } from './stage-work.ts';

export const ok = (data: Partial<JobData>): Verdict => ({ verdict: 'ok', data });
/** The runner's answer is wrong, not just missing. */
export const lied = (reason: string): Verdict => ({ verdict: 'runner_fault', lied: true, reason });
export const badResults = (backTo: string, reason: string): Verdict => ({ verdict: 'bad_results', backTo, reason });
/** What needs a person. */
export const permanent = (code: string, message: string): Verdict => ({ verdict: 'error', category: 'permanent', code, message });

/** The layout and CommD of the data, under the fields they go to. */
export function addPieceResult(result: unknown, fields: 'sealed' | 'update'): Verdict {
  const parsed = parseResult(AddPieceResult, result);
  if (!parsed.ok) return lied(parsed.reason);
  const { pieces, commD } = parsed.value;
  return ok(fields === 'sealed' ? { layout: pieces, commD } : { snapLayout: pieces, snapCommD: commD });
}

/** tree-d must be over the data that add-piece saw. */
export function treeDResult(result: unknown, own: { cid: string; hex: string }, then: Partial<JobData>): Verdict {
  const parsed = parseResult(TreeDResult, result);
  if (!parsed.ok) return lied(parsed.reason);
  return parsed.value.commD.hex === own.hex ? ok(then) : lied(`its tree-d has CommD ${parsed.value.commD.cid} instead of ${own.cid}`);
}

/** The CommR that a replica must have, why, and what to do when it cannot be had. */
export type BoundCommR = { readonly cid: string; readonly why: string; readonly else: string };

/** CommR of the replica, made by runner `by`. Another one than `bound` is a bad replica, made again from `backTo` on, until two makers agree on it. */
export function pc2Result(job: Job, result: unknown, bound: BoundCommR | undefined, backTo: string, by: string): Verdict {
  const parsed = parseResult(Pc2Result, result);
  if (!parsed.ok) return lied(parsed.reason);
  const { commR, commD } = parsed.value;
  const own = made(job, job.data.commD, 'CommD');
  if (commD.hex !== own.hex) return lied(`it sealed other data: CommD ${commD.cid} instead of ${own.cid}`);
  if (bound === undefined || bound.cid === commR.cid) return ok({ commR });
  const reason = `CommR ${commR.cid} differs from ${bound.cid}, ${bound.why}`;
  const agreed = `the replica has CommR ${commR.cid} each time it is made, and not ${bound.cid}, ${bound.why}: ${bound.else}`;
  return { verdict: 'bad_results', backTo, reason, blame: 'fault', other: { cid: commR.cid, by: by as RunnerId, agreed } };
}

/** The update's CommR. `bound`: what the chain has, where it has one. */
export function snapEncodeResult(job: Job, result: unknown, bound: string | undefined, backTo: string): Verdict {
  const parsed = parseResult(UpdateResult, result);
  if (!parsed.ok) return lied(parsed.reason);
  const { commR, commD } = parsed.value;
  const own = made(job, job.data.snapCommD, "the update's CommD");
  if (commD.hex !== own.hex) return lied(`it encoded other data: CommD ${commD.cid} instead of ${own.cid}`);
  if (bound !== undefined && bound !== commR.cid) {
    return badResults(backTo, `the update has CommR ${commR.cid}, the chain has ${bound}: the pieces given are not those of the sector`);
  }
  return ok({ snapCommR: commR });
}

export function proofResult(result: unknown, fields: (proof: string) => Partial<JobData>): Verdict {
  const parsed = parseResult(ProofResult, result);
  return parsed.ok ? ok(fields(parsed.value.proof)) : lied(parsed.reason);
}

export const snapProofResult = (result: unknown, by: string): Verdict =>
  proofResult(result, (snapProof) => ({ snapProof, snapProofBy: by as RunnerId }));

export function validResult(result: unknown, then: Partial<JobData>): Verdict {
  const parsed = parseResult(ValidResult, result);
  return parsed.ok ? ok(then) : lied(parsed.reason);
}

/** Each file must stand where it was asked for, with the hash of the verified artifact. */
export function persistResult(job: Job, result: unknown, names: readonly string[]): Verdict {
  const parsed = parseResult(StoredResult, result);
  if (!parsed.ok) return lied(parsed.reason);
  for (const name of names) {
    const artifact = made(job, job.data.artifacts[name], `artifact ${name}`);
    const file = parsed.value.files.find(({ path }) => path === storedPath(job, name));
    if (file === undefined) return lied(`it did not store ${name}`);
    if (file.hash !== artifact.hash || file.sizeBytes !== artifact.sizeBytes)
      return lied(`what it stored as ${name} differs from the verified artifact`);
  }
  return ok({ stored: parsed.value });
}

const MESSAGE: Readonly<Record<MessageField, string>> = {
  preCommit: 'pre-commit',
  proveCommit: 'prove-commit',
  replicaUpdate: 'replica update',
};
const CODE: Readonly<Record<MessageField, string>> = {
  preCommit: 'pre_commit_failed',
  proveCommit: 'prove_commit_failed',
  replicaUpdate: 'replica_update_failed',
};
/** Exit codes about funds and state that may mend by themselves (chain facts); the rest needs a person. */
const PASSING: ReadonlySet<number> = new Set([6, 7, 19]);

/** A message that landed. `retried`: exit codes of this message, besides those about funds, after which it is sent again. */
export function landedResult(
  job: Job,
  field: MessageField,
  outcome: Extract<EffectOutcome, { outcome: 'landed' }>,
  retried: readonly number[] = [],
): Verdict {
  const message = made(job, job.data[field], `a ${MESSAGE[field]} message`);
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
  const passing = PASSING.has(outcome.exitCode) || retried.includes(outcome.exitCode);
  return {
    verdict: 'error',
    category: passing ? 'temporary' : 'permanent',
    code: CODE[field],
    message: `the ${MESSAGE[field]} failed on chain with exit code ${outcome.exitCode}${outcome.detail === '' ? '' : ` (${outcome.detail})`}; ${passing ? 'it is sent again by itself' : 'mend the cause and resume, the message is then sent again'}`,
    data: { [field]: landed },
  };
}
