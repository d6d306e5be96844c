/**
 * What the engine needs to know of a plan. A plan is a table and pure functions of a job: what is to be
 * done now (`todo`), what a runner is asked for (`work`), and what an answer means (`applyStage`,
 * `applyEffect`). Answers only ever patch the job's data; the table's events follow from the data, so a
 * result that arrives while the job is paused is kept, and a crash between two steps loses nothing.
 */
import type { RunnerId } from '../schema/ids.ts';
import type { ErrorCategory, Job, JobData, PlanName } from '../schema/job.ts';
import type { Trust } from '../schema/runner.ts';
import type { SectorRecord } from '../schema/sector-record.ts';
import type { Stage, Work } from '../schema/stage.ts';
import type { EffectOutcome, EffectWant, MessageField } from './effects.ts';
import type { AnyTable } from './machine.ts';

/** A rule of our own that does not hold: the job it concerns is paused as critical, all others go on. */
export class Invariant extends Error {}

export type Todo =
  /** The event's condition holds: take it. `clear` drops data that the event makes void. */
  | { readonly do: 'advance'; readonly event: string; readonly clear?: readonly (keyof JobData)[] }
  /** Take a sector number (needs the database). */
  | { readonly do: 'allocate' }
  /** Attach waiting pieces (needs the database). */
  | { readonly do: 'acquire' }
  /** Take an existing sector from the records (needs the database). */
  | { readonly do: 'pick' }
  /** Drop data that came to nothing, such as a message that failed on chain, and look again. */
  | { readonly do: 'forget'; readonly fields: readonly (keyof JobData)[] }
  /** What later states built on is provably gone: start again from there. */
  | { readonly do: 'back'; readonly state: string; readonly reason: string }
  /** Pick the random seed of the challenge. */
  | { readonly do: 'challenge' }
  | { readonly do: 'stage'; readonly stage: Stage }
  /** Hold a place on a runner for `stage` first, then perform the effect. */
  | { readonly do: 'reserve'; readonly stage: Stage; readonly step: string; readonly want: EffectWant }
  | { readonly do: 'effect'; readonly step: string; readonly want: EffectWant }
  | { readonly do: 'nothing' };

/** An input or output: the prover's name for it, and the name it has among the job's artifacts. */
export type NamedFile = { readonly name: string; readonly artifact: string };

/** `early`: it counts as soon as it is whole, while the stage goes on. */
export type OutputFile = NamedFile & { readonly required: boolean; readonly early?: true };

export type StageWork = {
  readonly work: Work;
  /** `required` false: the stage can make it again. */
  readonly inputs: readonly (NamedFile & { readonly required?: false })[];
  /** Client data: fetched by piece, not by artifact. */
  readonly pieces: boolean;
  readonly outputs: readonly OutputFile[];
  /** Least trust of the runner. */
  readonly trust: Trust;
  /** The runner must hold this storage; `any`: one at least. */
  readonly storage: string | 'any' | null;
  /** Rented runners that must not do it: it checks what they made, of which they may hold a better copy. */
  readonly notBy?: readonly string[];
};

export type Verdict =
  /** The answer holds: these fields are new. */
  | { readonly verdict: 'ok'; readonly data: Partial<JobData> }
  /** The runner that answered is at fault; `lied`: its result was wrong, not just missing. */
  | { readonly verdict: 'runner_fault'; readonly lied: boolean; readonly reason: string }
  /**
   * What was made from `backTo` on is bad. Its makers are at fault; where only one can be, `madeBy` names it.
   * `proofsOf`: proofs that this stage made about it do not hold, so that either their maker or it is bad.
   */
  | {
      readonly verdict: 'bad_results';
      readonly backTo: string;
      readonly reason: string;
      readonly madeBy?: string;
      readonly proofsOf?: Stage;
      /** What it costs the rented makers: `lie` (the default) quarantines them, `fault` is a strike, `none` nothing. */
      readonly blame?: 'lie' | 'fault' | 'none';
      /** It came round again with nobody taken out: that is a failure of the job. */
      readonly counted?: true;
      /** The CommR (CID) that this runner came to instead of the one on the chain, and what it means when another one comes to it too. */
      readonly other?: { readonly cid: string; readonly by: RunnerId; readonly agreed: string };
    }
  /** Only time helps: looked at again by itself, not counted. */
  | { readonly verdict: 'wait'; readonly code: string; readonly message: string }
  /** This existing sector does not fit and the request did not name it: the next one is tried. */
  | {
      readonly verdict: 'pass_over';
      readonly reason: string;
      /** It never will fit. */
      readonly forGood: boolean;
    }
  | {
      readonly verdict: 'error';
      readonly category: ErrorCategory;
      readonly code: string;
      readonly message: string;
      /** What is known all the same. */ readonly data?: Partial<JobData>;
    };

export type Plan = {
  readonly name: PlanName;
  readonly table: AnyTable;
  /** States in the order a job goes through them, without Aborted: going back means to an earlier one. */
  readonly order: readonly string[];
  /** The state whose work makes a field: going back to it or before drops the field. */
  readonly madeIn: Readonly<Partial<Record<keyof JobData, string>>>;
  todo(job: Job): Todo;
  work(job: Job, stage: Stage): StageWork;
  applyStage(job: Job, stage: Stage, result: Readonly<Record<string, unknown>>, by: string): Verdict;
  /** What a failed check means; undefined: the usual reading of the code. */
  readFailure(job: Job, stage: Stage, code: string): Verdict | undefined;
  applyEffect(job: Job, step: string, outcome: EffectOutcome): Verdict;
  /** The job's chain messages by the step that sends one: the field of the data that keeps it, and the state it is sent in. */
  readonly messages: Readonly<Record<string, { readonly field: MessageField; readonly state: string }>>;
  /** Whether it works on a sector that exists: one that the request names, or the next that fits. */
  readonly existing: 'asked' | 'asked_or_next' | null;
  /** Artifacts that stay when the job has finished. */
  readonly keeps: readonly string[];
  /** What the sector is known as once the job has finished; `before`: what was known. */
  record(job: Job, before: SectorRecord | undefined): SectorRecord | undefined;
};

/** Data fields that a job still needs when it starts again from `state`. */
export function dataBefore(plan: Plan, data: JobData, state: string): JobData {
  const from = plan.order.indexOf(state);
  const kept: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(data)) {
    const made = plan.madeIn[field as keyof JobData];
    if (made === undefined || plan.order.indexOf(made) < from) kept[field] = value;
  }
  const artifacts = Object.fromEntries(Object.entries(data.artifacts).filter(([, artifact]) => plan.order.indexOf(artifact.madeIn) < from));
  return { ...(kept as JobData), artifacts };
}
