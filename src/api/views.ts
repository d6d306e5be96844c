/** What the API shows: rows of the database without their secrets. Client, CLI and page share these types. */
import { z } from 'zod';
import { Artifact } from '../schema/artifact.ts';
import { JobId, JoinTokenId, MinerId, PieceId, RunnerId, TokenId } from '../schema/ids.ts';
import { JobEvent } from '../schema/event.ts';
import { Attempt, Job, PlanName } from '../schema/job.ts';
import { Resources, Trust } from '../schema/runner.ts';
import { RunnerTests } from '../schema/self-test.ts';
import { Stage } from '../schema/stage.ts';
import { Decimal, Hash, UnixMs } from '../schema/units.ts';

export const Role = z.enum(['viewer', 'operator', 'admin']);
export type Role = z.infer<typeof Role>;

/** Last epoch in which the chain takes the message that is due; compare it with `epoch` of the answer. */
export const DeadlineView = z.object({ of: z.enum(['pre_commit', 'prove_commit']), epoch: z.number().int() });

/** A job with the name of its sector (null until Allocate), and by when its next message must be on the chain. */
export const SectorView = Job.extend({ sector: z.string().nullable(), deadline: DeadlineView.nullable() });
export type SectorView = z.infer<typeof SectorView>;

/** The job after an action. `notice`: what is out already and cannot be called back; null when nothing is. */
export const ActedView = SectorView.extend({ notice: z.string().nullable() });
export type ActedView = z.infer<typeof ActedView>;

/** The chain's epoch when this was answered; null while no head was seen yet. */
const EpochNow = z.number().int().nullable();

export const SectorPage = z.object({ items: z.array(SectorView), cursor: z.string().nullable(), epoch: EpochNow });
export type SectorPage = z.infer<typeof SectorPage>;

/** A message of the job, newest last. The signed bytes stay inside. */
export const MessageView = z.object({
  step: z.string(),
  generation: z.number().int(),
  try: z.number().int(),
  method: z.string(),
  status: z.enum(['open', 'done', 'failed', 'cancelled']),
  cid: z.string().nullable(),
  nonce: z.number().int().nullable(),
  sender: z.string().nullable(),
  lastError: z.string().nullable(),
});
export type MessageView = z.infer<typeof MessageView>;

export const SectorDetail = z.object({
  job: SectorView,
  epoch: EpochNow,
  events: z.array(JobEvent),
  attempts: z.array(Attempt),
  artifacts: z.array(Artifact.extend({ name: z.string() })),
  messages: z.array(MessageView),
});
export type SectorDetail = z.infer<typeof SectorDetail>;

const seconds = z.number().nonnegative();
/** Rent, and the hours until the stage has ended at `scheduler.waiting_usd_per_hour`. */
export const StageCost = z.object({
  /** Inputs that the runner has to fetch, and how long that takes. */
  lacksBytes: z.number().nonnegative(),
  transferS: seconds,
  stageS: seconds,
  /** `stageS` was measured on this runner. */
  measured: z.boolean(),
  /** Until it has a free place. */
  queueS: seconds,
  /** For which it must be kept after the stage. */
  keptS: seconds,
  rentUsd: z.number().nonnegative(),
  totalUsd: z.number().nonnegative(),
});
export type StageCost = z.infer<typeof StageCost>;

export const Explanation = z.object({
  waitsFor: z.string(),
  sentence: z.string(),
  candidates: z.array(
    z.object({
      runner: z.string(),
      name: z.string(),
      fits: z.boolean(),
      why: z.string(),
      /** The stage would go to this one. */
      gets: z.boolean(),
      /** What the stage would cost there; null where it does not fit. */
      cost: StageCost.nullable(),
    }),
  ),
});
export type Explanation = z.infer<typeof Explanation>;

/** `Off`: switched off and without a job. The other words are damocles'. */
export const ThreadState = z.enum(['Idle', 'Off', 'Paused', 'Running', 'Waiting']);
export type ThreadState = z.infer<typeof ThreadState>;

/** One sealing_thread and the job in it. */
export const ThreadView = z.object({
  index: z.number().int().nonnegative(),
  plan: PlanName,
  miner: MinerId.nullable(),
  auto: z.boolean(),
  enabled: z.boolean(),
  job: JobId.nullable(),
  sector: z.string().nullable(),
  state: z.string().nullable(),
  /** The stage that runs, or that a runner is looked for. */
  stage: Stage.nullable(),
  threadState: ThreadState,
  /** How long it has been paused, has run or waited when this was answered; null without a job. */
  elapsedMs: z.number().int().nonnegative().nullable(),
  paused: z.boolean(),
  error: z.string().nullable(),
});
export type ThreadView = z.infer<typeof ThreadView>;

export const WorkerView = z.object({
  worker: z.string(),
  /** Where it was reached before, as the configuration maps it; null when it does not. */
  address: z.string().nullable(),
  threads: z.array(ThreadView),
});
export type WorkerView = z.infer<typeof WorkerView>;

const ByStage = z.partialRecord(Stage, z.number().int().nonnegative());
/** damocles' `concurrent` and `staggered`: most of a stage at a time, and least time between two starts. */
export const LimitSet = z.object({ concurrent: ByStage.optional(), staggeredMs: ByStage.optional() });
export type LimitSet = z.infer<typeof LimitSet>;

/** What changes while running. `all`: of all sealing_threads together; `workers`: of each worker's besides. */
export const SettingsView = z.object({ limits: z.object({ all: LimitSet, workers: z.record(z.string(), LimitSet) }) });
export type SettingsView = z.infer<typeof SettingsView>;

export const RunnerView = z.object({
  id: RunnerId,
  name: z.string(),
  trust: Trust,
  labels: z.array(z.string()),
  stages: z.array(Stage),
  storage: z.array(z.string()),
  resources: Resources,
  status: z.enum(['ready', 'draining', 'cordoned', 'quarantined', 'banned']),
  reason: z.string().nullable(),
  strikes: z.number().int(),
  lastSeenMs: UnixMs,
  registeredMs: UnixMs,
  /** Outcomes of self-tests by stage; of runners that are held to them. */
  tests: RunnerTests.shape.stages,
  /** Null: it never said. */
  agentVersion: z.string().nullable(),
  running: z.array(z.object({ attempt: z.string(), job: JobId, stage: Stage, fraction: z.number().nullable() })),
});
export type RunnerView = z.infer<typeof RunnerView>;

/** An attempt of a runner with the end of its log. */
export const RunnerLog = Attempt.pick({
  job: true,
  stage: true,
  epoch: true,
  status: true,
  grantedMs: true,
  endedMs: true,
  progressMs: true,
  fraction: true,
  note: true,
  failure: true,
  logTail: true,
}).extend({ attempt: z.string(), sector: z.string().nullable() });
export type RunnerLog = z.infer<typeof RunnerLog>;

export const PieceView = z.object({
  id: PieceId,
  miner: MinerId,
  sizeBytes: Decimal,
  paddedSizeBytes: Decimal,
  hash: z.string(),
  cid: z.string().nullable(),
  job: JobId.nullable(),
  reserved: z.boolean(),
  createdMs: UnixMs,
});
export type PieceView = z.infer<typeof PieceView>;

/** Unsealed data: a GET of `url` (ranges allowed, no token) gives it until `expiresMs`. */
export const UnsealedPiece = z.object({
  job: JobId,
  sector: z.string().nullable(),
  url: z.string(),
  expiresMs: UnixMs,
  sizeBytes: Decimal,
  hash: Hash,
});
export type UnsealedPiece = z.infer<typeof UnsealedPiece>;

export const TokenView = z.object({
  id: TokenId,
  name: z.string(),
  role: Role,
  miners: z.array(MinerId).nullable(),
  createdMs: UnixMs,
  revokedMs: UnixMs.nullable(),
  /** Null: until it is revoked. */
  expiresMs: UnixMs.nullable(),
  /** Until when the secret before the last rotation is good as well. */
  previousUntilMs: UnixMs.nullable(),
});
export type TokenView = z.infer<typeof TokenView>;

/** The secret is answered once, here, and never again: only its hash is kept. */
export const NewToken = TokenView.extend({ token: z.string() });
export type NewToken = z.infer<typeof NewToken>;

/** A join token that nobody has used yet. */
export const JoinTokenView = z.object({ id: JoinTokenId, trust: Trust, labels: z.array(z.string()), expiresMs: UnixMs });
export type JoinTokenView = z.infer<typeof JoinTokenView>;

/** The secret is answered once, here. */
export const JoinToken = JoinTokenView.extend({ token: z.string() });
export type JoinToken = z.infer<typeof JoinToken>;
