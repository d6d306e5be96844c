/** A job as the database holds it and the API shows it. */
import { z } from 'zod';
import { Artifact } from './artifact.ts';
import { AttemptId, EffectId, JobId, MinerId, PieceId, RunnerId } from './ids.ts';
import { SealProof } from './seal-proof.ts';
import { PlacedPiece, SectorRecord, StoredFiles } from './sector-record.ts';
import { Network, Stage } from './stage.ts';
import { Commitment, Decimal, Epoch, Hex32, UnixMs } from './units.ts';

export const PlanName = z.enum(['sealer', 'snapup', 'rebuild', 'unseal']);
export type PlanName = z.infer<typeof PlanName>;

/** The four categories of `docs/operating.md`; a runner's fault is none of them. */
export const ErrorCategory = z.enum(['temporary', 'permanent', 'critical', 'abort']);
export type ErrorCategory = z.infer<typeof ErrorCategory>;

/** Why a job is retried or paused, and what to do. */
export const JobError = z.object({
  category: ErrorCategory,
  code: z.string(),
  message: z.string(),
  atMs: UnixMs,
});
export type JobError = z.infer<typeof JobError>;

/** A deal's data attached to a sector. */
export const AttachedPiece = z.object({
  id: PieceId,
  cid: z.string(),
  paddedSizeBytes: Decimal,
  sizeBytes: Decimal,
  key: z.string(),
  hash: z.string(),
});
export type AttachedPiece = z.infer<typeof AttachedPiece>;

/** A chain message of this job, by step. */
export const ChainMessage = z.object({
  cid: z.string(),
  nonce: z.number().int(),
  try: z.number().int(),
  landedEpoch: Epoch.optional(),
  exitCode: z.number().int().optional(),
  /** Its work was found on the chain after a restore, sent by a message nobody knows: `cid` is no CID then, and there is no nonce. */
  found: z.literal(true).optional(),
});
export type ChainMessage = z.infer<typeof ChainMessage>;

/** The sector as the chain shows it. Commitments are CIDs. */
export const ChainSector = z.object({
  /** Registered seal proof, 5 … 14. */
  sealProof: z.number().int(),
  /** SealedCID: of the update where the sector was upgraded. */
  commR: z.string(),
  /** SectorKeyCID: CommR of the sector before its upgrade; null when it was not upgraded. */
  keyCommR: z.string().nullable(),
  activationEpoch: Epoch,
  expirationEpoch: Epoch,
  deadline: z.number().int(),
  partition: z.number().int(),
  /** Its first Window PoSt is behind it and it is not faulty. */
  proven: z.boolean(),
});
export type ChainSector = z.infer<typeof ChainSector>;

/** What a request for an existing sector asked for. */
export const Asked = z.object({
  /** Sector number; without one the next that fits is taken (snapup only). */
  number: z.number().int().nonnegative().optional(),
  /** Numbers up to this one were looked at and do not fit. */
  after: z.number().int().nonnegative().optional(),
  /** Unseal: unpadded range of the data; without one the whole. */
  range: z.object({ offsetBytes: Decimal, sizeBytes: Decimal }).optional(),
  /** Finish without looking on the chain whether the last message landed. */
  skipOnchainCheck: z.boolean().optional(),
});
export type Asked = z.infer<typeof Asked>;

/** What the states have made so far. Each field belongs to the state that made it. */
export const JobData = z.object({
  network: Network,
  sealProof: SealProof,
  pieces: z.array(AttachedPiece),
  asked: Asked.optional(),
  /** What the chain had after a restore stopped it: it is looked at again before the job goes on. */
  reconcile: z.literal(true).optional(),
  /** The furthest state of this run: retries start again only beyond it. */
  furthest: z.string().optional(),
  /** The existing sector as it was known when the job took it, and as the chain shows it (snapup, rebuild, unseal). */
  record: SectorRecord.optional(),
  onChain: ChainSector.optional(),
  /** The chain has not given the number to anybody. */
  numberFree: z.boolean().optional(),
  layout: z.array(PlacedPiece).optional(),
  commD: Commitment.optional(),
  treeD: z.boolean().optional(),
  ticket: z.object({ value: Hex32, epoch: Epoch }).optional(),
  layers: z.boolean().optional(),
  commR: Commitment.optional(),
  /** Set when a live pre-commit binds us: a new run must give this CommR again. */
  boundCommR: Commitment.optional(),
  /** CIDs of CommR that PC2 came to where the chain has another one, and by which runner. Two that agree are believed. */
  otherCommRs: z.array(z.object({ cid: z.string(), by: RunnerId })).optional(),
  /** The challenge C1 before the deposit: a seed only the control plane knew, and whether its answer held. */
  challenge: z.object({ seed: Hex32, passed: z.boolean() }).optional(),
  preCommit: ChainMessage.optional(),
  sealedChecked: z.boolean().optional(),
  /** Rebuild: the chain was asked for the sector again once it was sealed. */
  lookedAgain: z.boolean().optional(),
  /** The data that goes into an existing sector: layout, CommD, and what the update became. */
  snapLayout: z.array(PlacedPiece).optional(),
  snapCommD: Commitment.optional(),
  snapTreeD: z.boolean().optional(),
  snapCommR: Commitment.optional(),
  snapProof: z.string().optional(),
  snapProofBy: RunnerId.optional(),
  snapProofChecked: z.boolean().optional(),
  replicaUpdate: ChainMessage.optional(),
  unsealed: z.boolean().optional(),
  stored: StoredFiles.optional(),
  /** False: the stored files differ from what was stored. */
  storedChecked: z.boolean().optional(),
  /** Whoever does Window PoSt sees the stored files; false: nobody is to be told. */
  declared: z.boolean().optional(),
  seed: z.object({ value: Hex32, epoch: Epoch }).optional(),
  vanilla: z.boolean().optional(),
  proof: z.string().optional(),
  /** Who made the proof, to blame when it does not verify. */
  proofBy: RunnerId.optional(),
  proofChecked: z.boolean().optional(),
  proveCommit: ChainMessage.optional(),
  artifacts: z.record(z.string(), Artifact),
});
export type JobData = z.infer<typeof JobData>;

/** What a job waits for now. */
export const Waiting = z.discriminatedUnion('for', [
  z.object({ for: z.literal('thread') }),
  /** `rankMs`: since when it counts as waiting, where a priority or a deadline puts it before others. */
  z.object({ for: z.literal('runner'), stage: Stage, sinceMs: UnixMs, rankMs: z.number().int().optional() }),
  z.object({ for: z.literal('stage'), stage: Stage, attempt: AttemptId }),
  z.object({ for: z.literal('effect'), effect: EffectId }),
  z.object({ for: z.literal('retry'), untilMs: UnixMs }),
  z.object({ for: z.literal('operator') }),
  z.object({ for: z.literal('nothing') }),
]);
export type Waiting = z.infer<typeof Waiting>;

export const Job = z.object({
  id: JobId,
  plan: PlanName,
  miner: MinerId,
  /** Null until Allocate. */
  number: z.number().int().nonnegative().nullable(),
  state: z.string(),
  /** Rises each time the job goes back: late results of the old run are refused. */
  generation: z.number().int().positive(),
  paused: z.boolean(),
  error: JobError.nullable(),
  /** Failures in this state that counted; starts again when the job advances. */
  retries: z.number().int().nonnegative(),
  waiting: Waiting,
  /** `worker/index` of the sealing_thread that took it. */
  thread: z.string().nullable(),
  /** Runner that holds a place for this job's PC1 while the ticket is drawn. */
  reserved: z.object({ runner: RunnerId, untilMs: UnixMs }).nullable(),
  createdMs: UnixMs,
  updatedMs: UnixMs,
  data: JobData,
});
export type Job = z.infer<typeof Job>;

export const AttemptStatus = z.enum(['running', 'done', 'failed', 'lost', 'cancelled', 'refused']);
export type AttemptStatus = z.infer<typeof AttemptStatus>;

/** What was expected of an attempt when it was granted: how long it fetches and works, and what it takes of its machine. */
export const Expected = z.object({ fetchMs: z.number(), stageMs: z.number(), ramBytes: z.number(), diskBytes: z.number() });
export type Expected = z.infer<typeof Expected>;

export const Attempt = z.object({
  id: AttemptId,
  job: JobId,
  stage: Stage,
  /** Job state and generation it was granted in. */
  state: z.string(),
  generation: z.number().int(),
  /** Lease epoch: rises with every grant of this stage of this job. */
  epoch: z.number().int().positive(),
  runner: RunnerId,
  status: AttemptStatus,
  leaseUntilMs: UnixMs,
  grantedMs: UnixMs,
  endedMs: UnixMs.nullable(),
  fraction: z.number().nullable(),
  secondsLeft: z.number().nullable(),
  note: z.string().nullable(),
  logTail: z.string(),
  /** Why it ended when it did not end well. */
  failure: z.string().nullable(),
  /** The request that it was granted to; null: one before requests were written down. */
  request: z.string().nullable(),
  /** When it last got further: its fraction rose, or its note or log changed; null: not since it was granted. */
  progressMs: UnixMs.nullable(),
  /** When it is taken away if it gets no further by then; null: never. */
  dueMs: UnixMs.nullable(),
  /** Absent: it was granted before that was written down. */
  expected: Expected.optional(),
  /** Until then its result is being taken: its files are put together in the object store. Absent: it is not. */
  takingUntilMs: UnixMs.optional(),
});
export type Attempt = z.infer<typeof Attempt>;
