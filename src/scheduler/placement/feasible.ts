/**
 * Which runner may take which stage: by its health, stages, trust, labels, storage and cards. Pure; used by grants and by
 * `explain`. Memory and disk depend on what else it has in hand: `load.ts`.
 */
import type { Attempt, Job } from '../../schema/job.ts';
import { termsOf } from '../../schema/runner-label.ts';
import type { Stage } from '../../schema/stage.ts';
import { wasInterrupted } from '../held-attempt.ts';
import type { StageWork } from '../plan.ts';
import type { RunnerRow } from '../ports.ts';
import { needsOf } from './needs.ts';

/** What PC1 asks of a runner, known before there is a ticket to put into its request. */
export const RESERVING: StageWork = {
  work: { kind: 'check-stored', storage: '', files: [] },
  inputs: [],
  pieces: false,
  outputs: [],
  trust: 'rented',
  storage: null,
};

/** Why this runner cannot take the stage now, as a clause; undefined: it can. */
export function misfit(runner: RunnerRow, stage: Stage, work: StageWork, job: Job, nowMs: number): string | undefined {
  if (runner.status !== 'ready') return `it is ${runner.status}${runner.reason === null ? '' : ` (${runner.reason})`}`;
  if (!runner.stages.includes(stage)) return `it does not do ${stage}`;
  const terms = termsOf(runner.labels);
  if (terms.stages?.includes(stage) === false) return `its labels allow only ${terms.stages.join(', ')}`;
  if (work.trust === 'own' && runner.trust !== 'own') return 'it is rented, and this step runs on own runners only';
  if (runner.trust === 'rented' && work.notBy?.includes(runner.id) === true)
    return 'it is rented and made the replica that this step checks';
  if (work.storage === 'any' && runner.storage.length === 0) return 'it has no miner storage';
  if (work.storage !== null && work.storage !== 'any' && !runner.storage.includes(work.storage))
    return `it does not have storage ${work.storage}`;
  const card = terms.unchecked ? undefined : withoutCard(runner, stage, job);
  if (card !== undefined) return card;
  const { reserved } = job;
  if (stage === 'PC1' && reserved !== null && reserved.untilMs > nowMs && reserved.runner !== runner.id) {
    return `a place on ${reserved.runner} is held for it`;
  }
  return undefined;
}

/** Why its cards do not do for the stage; one whose tool tells no memory is taken at its word. */
function withoutCard(runner: RunnerRow, stage: Stage, { data: { sealProof } }: Job): string | undefined {
  const { vramBytes } = needsOf(stage, sealProof);
  const { gpus } = runner.resources;
  if (vramBytes === null || gpus.some((gpu) => gpu.vramBytes === 0 || gpu.vramBytes >= vramBytes)) return undefined;
  if (gpus.length === 0) return `it has no GPU, and ${stage} of such a sector needs one`;
  return `none of its GPUs has the ${(vramBytes / 2 ** 30).toFixed(1)} GiB that ${stage} needs`;
}

/** `lost`: once, by its network, a restart or an operator's hand; nothing is held against it. */
export type Fault = 'lost' | 'failed';

/** Runners that failed this stage, or were lost in it, in this state and generation: others go first. */
export function failedOn(attempts: readonly Attempt[], job: Job, stage: Stage): ReadonlyMap<string, Fault> {
  const faults = new Map<string, Fault>();
  for (const attempt of attempts) {
    if (attempt.stage !== stage || attempt.state !== job.state || attempt.generation !== job.generation) continue;
    const { runner, status } = attempt;
    if (status !== 'failed' && status !== 'refused' && status !== 'lost') continue;
    const once = !faults.has(runner) && (status === 'lost' || wasInterrupted(attempt));
    faults.set(runner, once ? 'lost' : 'failed');
  }
  return faults;
}
