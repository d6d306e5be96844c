/** The protocol between control plane and runner: register, next, heartbeat. */
import { z } from 'zod';
import { ArtifactName } from './artifact.ts';
import { AttemptId, RunnerId } from './ids.ts';
import { StoragePath } from './miner-storage.ts';
import { printable } from './printable.ts';
import { Manifest } from './manifest.ts';
import { SelfTest, SelfTestAnswer } from './self-test.ts';
import { Stage, Work } from './stage.ts';
import { StoredCheck, StoredCheckAnswer } from './stored-check.ts';
import { StoredMove, StoredMoveAnswer } from './stored-move.ts';
import { Decimal, Hash } from './units.ts';

export const Trust = z.enum(['own', 'rented']);
export type Trust = z.infer<typeof Trust>;

const megabytes = z.number().nonnegative().max(1e7);
/** How fast it hashes (SHA-256), writes and reads, in megabytes a second, and when that was measured. */
export const Speeds = z.object({
  measuredMs: z.number().int().nonnegative(),
  hashMbPerSecond: megabytes,
  diskWriteMbPerSecond: megabytes.optional(),
  diskReadMbPerSecond: megabytes.optional(),
});
export type Speeds = z.infer<typeof Speeds>;

/** How a runner runs its stages, and what it keeps them from: `network`, `memory`, `processes`, `disk`, `capabilities`, `user`, `root`, `daemons`. */
export const Isolation = z.object({
  executor: z.enum(['process', 'container']),
  contains: z.array(z.string().regex(/^[a-z-]{1,40}$/)).max(20),
});
export type Isolation = z.infer<typeof Isolation>;

const count = z.number().int().nonnegative();

/** One card, or one MIG part of it. `vramBytes` 0: its tool does not tell. */
export const Gpu = z.object({ model: printable(80), vramBytes: count, driver: printable(40).optional() });
export type Gpu = z.infer<typeof Gpu>;

/** What the machine has, as the agent measured it: where a control group allows less than there is, that. */
export const Resources = z.object({
  cores: z.number().int().positive(),
  ramBytes: z.number().int().positive(),
  diskFreeBytes: count,
  gpus: z.array(Gpu).max(64),
  numaNodes: z.number().int().positive().optional(),
  /** Sizes of which there are none are left out. */
  hugepages: z
    .array(z.object({ sizeBytes: count, total: count, free: count }))
    .max(16)
    .optional(),
  /** Of runners that were asked for self-tests. */
  speeds: Speeds.optional(),
  isolation: Isolation.optional(),
  /** To and from the object store, as it was last measured. */
  network: z.object({ downBytesPerS: count, upBytesPerS: count, measuredMs: count }).optional(),
});
export type Resources = z.infer<typeof Resources>;

/** What the agent runs: its version, and the hash of each file that the control plane would replace (absent: of its own). */
export const Software = z.strictObject({
  version: printable(40),
  /** As Node names it: `x64`, `arm64`. */
  arch: z.string().max(20),
  agent: Hash.optional(),
  prover: Hash.optional(),
  /** Whatever started it starts it anew with other files. */
  upgrades: z.boolean(),
});
export type Software = z.infer<typeof Software>;

export const RegisterRequest = z.strictObject({
  token: z.string().min(16).max(200),
  name: printable(60),
  bootId: z.string().min(8).max(64),
  agentVersion: printable(40),
  stages: z.array(Stage).min(1),
  /** Ids of the miner-storage roots this runner can write; only an `own` runner may have any. */
  storage: z.array(printable(60)).max(64),
  resources: Resources,
});
export type RegisterRequest = z.infer<typeof RegisterRequest>;

export const RegisterAnswer = z.object({
  runnerId: RunnerId,
  credential: z.string(),
  heartbeatMs: z.number(),
  leaseMs: z.number(),
  pollMs: z.number(),
  /** Labels of its join token: what of the runner's own configuration is for it; absent from older control planes. */
  labels: z.array(z.string()).optional(),
});
export type RegisterAnswer = z.infer<typeof RegisterAnswer>;

/** A finished part of an upload. */
export const UploadedPart = z.strictObject({ number: z.number().int().min(1).max(10_000), etag: z.string().max(200) });
export type UploadedPart = z.infer<typeof UploadedPart>;

export const ReportedOutput = z.strictObject({
  name: ArtifactName,
  sizeBytes: Decimal,
  hash: Hash,
  parts: z.array(UploadedPart).max(10_000),
  /** For those who read it later; absent from older agents. */
  manifest: Manifest.optional(),
});
export type ReportedOutput = z.infer<typeof ReportedOutput>;

/** Why an attempt failed, in the prover's codes plus the agent's own. */
export const FailureCode = z.enum([
  'bad_request',
  'input_differs',
  'input_missing',
  'input_invalid',
  'proof_invalid',
  'parameters_missing',
  'out_of_memory',
  'out_of_disk',
  'too_many_processes',
  'interrupted',
  'internal',
  'program_missing',
  'transfer_failed',
  'storage_full',
]);
export type FailureCode = z.infer<typeof FailureCode>;

export const Report = z.discriminatedUnion('outcome', [
  z.strictObject({
    outcome: z.literal('done'),
    attempt: AttemptId,
    epoch: z.number().int().positive(),
    outputs: z.array(ReportedOutput).max(200),
    result: z.record(z.string(), z.unknown()),
  }),
  z.strictObject({
    outcome: z.literal('failed'),
    attempt: AttemptId,
    epoch: z.number().int().positive(),
    code: FailureCode,
    message: printable(2000),
    input: z.string().max(100).optional(),
  }),
]);
export type Report = z.infer<typeof Report>;

/** A file that is whole and sent before its stage has ended: a layer of PC1. */
export const Checkpoint = z.strictObject({ attempt: AttemptId, epoch: z.number().int().positive(), output: ReportedOutput });
export type Checkpoint = z.infer<typeof Checkpoint>;

/** Key of an artifact, as grants name it. */
const ArtifactKey = z.string().min(1).max(300);

export const NextRequest = z.strictObject({
  bootId: z.string().min(8).max(64),
  /** How many more stages the runner would take now. */
  freeSlots: z.number().int().min(0).max(64),
  /** Attempts it is working on: one that the control plane does not know is cancelled. */
  running: z.array(z.strictObject({ attempt: AttemptId, epoch: z.number().int() })).max(64),
  reports: z.array(Report).max(64),
  /** Of attempts that go on: kept at once, so that they outlive the attempt. */
  checkpoints: z.array(Checkpoint).max(64).optional(),
  /** Answers to self-tests. */
  tests: z.array(SelfTestAnswer).max(16).optional(),
  resources: Resources,
  /** Its paths of miner storage as they stand now; only an `own` runner has any. Absent from older agents. */
  storage: z.array(StoragePath).max(64).optional(),
  /** What came of checks of stored files. */
  checked: z.array(StoredCheckAnswer).max(64).optional(),
  /** What came of moves of stored files. */
  moved: z.array(StoredMoveAnswer).max(64).optional(),
  /** How long the answer may be held back when there is nothing to grant. */
  waitMs: z.number().int().min(0).max(60_000),
  /** Absent from agents of a checkout's own. */
  software: Software.optional(),
  /** Artifacts on its disk that it needs not fetch, last used first; absent: as it said last. */
  cached: z.array(ArtifactKey).max(500).optional(),
  /** Asks for URLs to measure the network with. */
  probe: z.boolean().optional(),
});
export type NextRequest = z.infer<typeof NextRequest>;

/** Where an input comes from. */
export const InputFile = z.object({
  name: ArtifactName,
  url: z.string(),
  sizeBytes: Decimal,
  hash: Hash,
  /** What it is kept under in a cache; absent: not to be kept. */
  key: ArtifactKey.optional(),
  /** False for files that the stage can make again: it goes on without one that cannot be had. */
  required: z.boolean().optional(),
  /** Absent where nobody made one: pieces, and what older agents made. */
  manifest: Manifest.optional(),
});
export type InputFile = z.infer<typeof InputFile>;

/** Where an output goes: parts of `partSizeBytes` each, the last one shorter; part n to `partUrls[n-1]`. */
export const OutputSlot = z.object({
  name: ArtifactName,
  maxSizeBytes: Decimal,
  partSizeBytes: z.number().int().positive(),
  partUrls: z.array(z.string()).min(1),
  /** The header that each part's checksum goes into: `x-amz-checksum-crc32` (also where it is left out) or `content-md5`. */
  checksum: z.enum(['crc32', 'md5']).optional(),
  /** False for files that the stage may leave out. */
  required: z.boolean(),
  /** As `InputFile.key`. */
  key: ArtifactKey.optional(),
  /** It may be sent and told of (`checkpoints`) as soon as it is whole, while the stage goes on. */
  early: z.boolean().optional(),
});
export type OutputSlot = z.infer<typeof OutputSlot>;

export const Grant = z.object({
  attempt: AttemptId,
  epoch: z.number().int().positive(),
  stage: Stage,
  work: Work,
  inputs: z.array(InputFile),
  outputs: z.array(OutputSlot),
  leaseMs: z.number(),
  /** How long its URLs are good for from now on; new ones come with heartbeats that ask. Absent: there are none but these. */
  urlTtlMs: z.number().positive().optional(),
  /** Goes into every log line about this attempt; absent from older control planes. */
  requestId: z.string().max(100).optional(),
  /** `s-t01000-7`, for the log. */
  sector: z.string().max(100).optional(),
});
export type Grant = z.infer<typeof Grant>;

/** `accepted`: applied. `duplicate`: applied before. `lease_lost`: another grant holds it. `refused`: not what was asked for. */
export const ReportStatus = z.enum(['accepted', 'duplicate', 'lease_lost', 'refused', 'unknown_attempt', 'retry_later']);
export type ReportStatus = z.infer<typeof ReportStatus>;

/** An object to fetch, and a place to put as many bytes. */
export const Probe = z.object({ getUrl: z.string(), putUrl: z.string(), sizeBytes: z.number().int().positive() });
export type Probe = z.infer<typeof Probe>;

export const NextAnswer = z.object({
  reports: z.array(z.object({ attempt: AttemptId, status: ReportStatus, message: z.string() })),
  grants: z.array(Grant),
  /** One for each that was told of: `accepted` and `duplicate` need not be in the report. */
  checkpoints: z.array(z.object({ attempt: AttemptId, name: ArtifactName, status: ReportStatus })).optional(),
  /** Cached artifacts that no job needs any more. */
  forget: z.array(z.string()).optional(),
  /** Attempts the runner named as running but must stop. */
  cancel: z.array(AttemptId),
  /** Self-tests to run now; agents that know none of them read over it. */
  tests: z.array(SelfTest).optional(),
  /** Stored files to read against their hashes, beside everything else. */
  checks: z.array(StoredCheck).optional(),
  /** Steps of moves of stored files from one path to another. */
  moves: z.array(StoredMove).optional(),
  /** The control plane hands out other files than the runner runs: it is to finish what it has and start anew with them. */
  upgrade: z.object({ agent: Hash, prover: Hash }).optional(),
  probe: Probe.optional(),
});
export type NextAnswer = z.infer<typeof NextAnswer>;

/** New URLs that an attempt asks for: of inputs by name, of parts (from 1 on) of outputs. */
export const HeartbeatUrls = z.strictObject({
  inputs: z.array(ArtifactName).max(200),
  parts: z.array(z.strictObject({ name: ArtifactName, numbers: z.array(z.number().int().min(1).max(10_000)).max(64) })).max(64),
});
export type HeartbeatUrls = z.infer<typeof HeartbeatUrls>;

/** New URLs, as good as those of the grant. What the attempt does not have is left out. */
export const RenewedUrls = z.object({
  inputs: z.array(z.object({ name: ArtifactName, url: z.string() })),
  parts: z.array(z.object({ name: ArtifactName, part: z.number().int(), url: z.string() })),
});
export type RenewedUrls = z.infer<typeof RenewedUrls>;

export const HeartbeatRequest = z.strictObject({
  bootId: z.string().min(8).max(64),
  attempts: z
    .array(
      z.strictObject({
        attempt: AttemptId,
        epoch: z.number().int(),
        fraction: z.number().min(0).max(1).optional(),
        secondsLeft: z.number().nonnegative().optional(),
        note: printable(200).optional(),
        logTail: printable(8000).optional(),
        /** Asked only of control planes whose grants say how long URLs are good for. */
        urls: HeartbeatUrls.optional(),
      }),
    )
    .max(64),
});
export type HeartbeatRequest = z.infer<typeof HeartbeatRequest>;

export const HeartbeatAnswer = z.object({
  attempts: z.array(
    z.object({ attempt: AttemptId, order: z.enum(['continue', 'cancel']), message: z.string(), urls: RenewedUrls.optional() }),
  ),
  /** The next credential: the present one is good until this one is first used. Keep it durably, then use it. */
  credential: z.string().max(200).optional(),
});
export type HeartbeatAnswer = z.infer<typeof HeartbeatAnswer>;
