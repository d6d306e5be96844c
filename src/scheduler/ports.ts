/**
 * What the core needs from the world. Everything below is implemented by an adapter that passes the
 * port's conformance suite. `Tx` is synchronous: the engine reads, decides and writes in one go.
 */
import type { AttemptId, DeliveryId, EffectId, JobId, MinerId, PieceId, RunnerId, TokenId, WebhookId } from '../schema/ids.ts';
import type { Event, EventKind, JobEvent, NewEvent } from '../schema/event.ts';
import type { Attempt, Expected, Job, PlanName } from '../schema/job.ts';
import type { Manifest } from '../schema/manifest.ts';
import type { Resources, Trust } from '../schema/runner.ts';
import type { SectorRecord } from '../schema/sector-record.ts';
import type { RunnerTests } from '../schema/self-test.ts';
import type { Stage } from '../schema/stage.ts';
import type { EffectRow, EffectWant } from './effects.ts';
import type { StorageTx } from './storage-rows.ts';
import type { DeliveryRow, WebhookRow } from './webhook-rows.ts';

export type { Chain, MessageState, PendingMessage } from './chain-port.ts';
export type { ListedObject, ListedUpload, ObjectStore, OpenedUpload, Upload } from './object-store-port.ts';

/** Unix milliseconds now. */
export type Clock = { now(): number };

/** Fresh ids and random bytes: an argument, so that a replay makes the same ones. */
export type Ids = {
  /** `prefix-` and enough random base-36 digits never to meet again. */
  next(prefix: 'j' | 'a' | 'r' | 'e' | 'p' | 't' | 'w' | 'd'): string;
  /** `bytes` random bytes in hex. */
  hex(bytes: number): string;
};

/** A process of a runner that a newer one has taken the place of. */
export type EarlierBoot = { readonly id: string; readonly untilMs: number };

export type RunnerRow = {
  readonly id: RunnerId;
  readonly name: string;
  readonly trust: Trust;
  readonly labels: readonly string[];
  readonly stages: readonly Stage[];
  readonly storage: readonly string[];
  readonly resources: Resources;
  /** SHA-256 of the credential, hex. */
  readonly credentialHash: string;
  /** Since when that is its credential; null: since it registered. */
  readonly credentialMs: number | null;
  /** What the next credential is made of, beside the present one, and its hash; null until it is prepared. */
  readonly nextCredentialSeed: string | null;
  readonly nextCredentialHash: string | null;
  /** Hash of the one before, which is dead. */
  readonly previousCredentialHash: string | null;
  /** Of the process that registered or started last. */
  readonly bootId: string;
  /** Those before it, oldest first, each until the next one spoke. */
  readonly earlierBoots: readonly EarlierBoot[];
  readonly status: 'ready' | 'draining' | 'cordoned' | 'quarantined' | 'banned';
  /** Evidence when quarantined. */
  readonly reason: string | null;
  /** Strikes in a row: a good result clears them. */
  readonly strikes: number;
  readonly lastSeenMs: number;
  /** One of its leases ran out then, and it has said nothing since; absent: it is heard of. */
  readonly silentSinceMs?: number | undefined;
  readonly registeredMs: number;
  /** Self-tests that are out, and what came of the last ones; none was ever asked for where it is missing. */
  readonly tests?: RunnerTests | undefined;
  /** Keys of artifacts that it has on its disk, last used first; absent while it did not say. */
  readonly cached?: readonly string[] | undefined;
  /** As the agent said; absent while it did not. */
  readonly agentVersion?: string | undefined;
  /** How many stages it takes at a time; absent: it never said. */
  readonly slots?: number | undefined;
  /** How long stages took it, by `stage/sector size in bytes`: milliseconds without fetching inputs. */
  readonly stageMs?: Readonly<Record<string, number>> | undefined;
};

/** A running attempt, as far as it tells when its runner has room again. */
export type RunningStage = {
  readonly runner: RunnerId;
  readonly stage: Stage;
  readonly grantedMs: number;
  readonly secondsLeft: number | null;
  readonly fraction: number | null;
  readonly expected?: Expected | undefined;
};

export type JoinTokenRow = {
  readonly hash: string;
  readonly trust: Trust;
  readonly labels: readonly string[];
  readonly expiresMs: number;
  readonly usedBy: RunnerId | null;
};

export type ApiTokenRow = {
  readonly id: TokenId;
  readonly hash: string;
  readonly name: string;
  readonly role: 'admin' | 'operator' | 'viewer';
  /** Null: all miners. */
  readonly miners: readonly MinerId[] | null;
  readonly createdMs: number;
  readonly revokedMs: number | null;
  /** Null: until it is revoked. */
  readonly expiresMs: number | null;
  /** Hash of the secret before the last rotation, good until `previousUntilMs`. */
  readonly previousHash: string | null;
  readonly previousUntilMs: number | null;
};

/** What was answered to a request with an Idempotency-Key. */
export type AnswerRow = {
  readonly token: TokenId;
  readonly key: string;
  /** SHA-256 of method, path and body, hex. */
  readonly request: string;
  /** JSON, without the secret where it had one: that is told once. */
  readonly answer: string | null;
  readonly createdMs: number;
};

export type EventFilter = {
  readonly kinds?: readonly EventKind[] | undefined;
  readonly job?: JobId | undefined;
  readonly runner?: RunnerId | undefined;
  /** Only events of these miners. */
  readonly miners?: readonly MinerId[] | undefined;
};

export type PieceRow = {
  readonly id: PieceId;
  readonly miner: MinerId;
  readonly key: string;
  readonly sizeBytes: string;
  readonly hash: string;
  readonly paddedSizeBytes: string;
  /** Null until add-piece has computed it. */
  readonly cid: string | null;
  /** The job that took it. */
  readonly job: JobId | null;
  /** Only a request that names it takes it, also after a job that had it was given up. */
  readonly reserved: boolean;
  readonly createdMs: number;
};

export type ThreadRow = {
  /** `worker/index`. */
  readonly id: string;
  readonly worker: string;
  readonly index: number;
  readonly plan: PlanName;
  readonly miner: MinerId | null;
  readonly auto: boolean;
  readonly enabled: boolean;
  readonly job: JobId | null;
};

/** A thread and what it has: the job without its data, and when the stage that runs was granted. */
export type ThreadWithJob = {
  readonly thread: ThreadRow;
  readonly job: Omit<Job, 'data'> | undefined;
  readonly grantedMs: number | undefined;
};

/** A multipart upload that was opened for an attempt's output. */
export type UploadRow = {
  readonly attempt: AttemptId;
  readonly name: string;
  readonly key: string;
  readonly uploadId: string;
};

/** A page of a listing; `cursor` goes into the next call, null at the end. */
export type Page<T> = { readonly items: readonly T[]; readonly cursor: string | null };

export type JobFilter = {
  readonly state?: string | undefined;
  readonly plan?: string | undefined;
  readonly miner?: MinerId | undefined;
  readonly miners?: readonly MinerId[] | undefined;
  /** Of the sector. */
  readonly number?: number | undefined;
  readonly paused?: boolean | undefined;
  /** An error code. */
  readonly error?: string | undefined;
};

export type SectorRecordFilter = { readonly miner?: MinerId | undefined; readonly miners?: readonly MinerId[] | undefined };

/** Everything one transaction may read and write. All rows go in and out whole. */
export type Tx = StorageTx & {
  /** Runs `step` in a savepoint: when it throws, nothing it wrote stays, and what was written before does. */
  savepoint(step: () => void): void;

  meta(key: string): string | undefined;
  setMeta(key: string, value: string): void;

  job(id: JobId): Job | undefined;
  /** The sector's live job, else its last. */
  jobOfSector(miner: MinerId, number: number): Job | undefined;
  /** A job of the sector that has ended while an effect of it is open that is no deletion: its message is still followed. */
  followedJob(miner: MinerId, number: number): Job | undefined;
  insertJob(job: Job): void;
  updateJob(job: Job): void;
  /** Newest first. */
  jobs(filter: JobFilter, limit: number, cursor: string | null): Page<Job>;
  /** Live jobs (not final) waiting for a thread: oldest first. */
  jobsForThread(plan: PlanName, miner: MinerId | null, limit: number): readonly Job[];
  /** Whether any job waits for a thread. */
  threadWanted(): boolean;
  /** Jobs waiting for a runner for one of these stages, by their rank, then longest waiting first; the first `skip` are left out. */
  jobsForRunner(stages: readonly Stage[], limit: number, skip?: number): readonly Job[];
  /** How many jobs wait for a runner for this stage, counted up to `most`. */
  countForRunner(stage: Stage, most: number): number;
  /** Jobs whose retry time has come. */
  jobsDue(nowMs: number, limit: number): readonly Job[];
  /** Jobs that hold a place on this runner, or on any, whose reservation has not run out. */
  reservedOn(runner: RunnerId, nowMs: number): readonly JobId[];
  reserved(nowMs: number): readonly JobId[];
  /** Jobs by plan, state and whether they are paused: reads all of an index, so not to be asked at every turn. */
  countSectors(): readonly { plan: PlanName; state: string; paused: boolean; count: number }[];
  /** The epoch at which the first of the pre-commits landed whose live jobs have no prove-commit on chain; undefined: there is none. */
  firstUnproven(): number | undefined;
  /** Jobs that wait for a runner, by stage. */
  countQueued(): readonly { stage: Stage; count: number }[];
  countJobs(): readonly { state: string; paused: boolean; count: number }[];
  /**
   * The number after the highest in `first` … `last` that a job or a record of ours has, `first` when there is none. Where
   * that is past `last`, the lowest of the range that none has; `last` + 1 when all are used.
   */
  nextSectorNumber(miner: MinerId, first: number, last: number): number;
  /** Sealer jobs etc. that are not final, newest first: what a restore reconciles with the chain. */
  liveJobs(limit: number, cursor: string | null): Page<Job>;

  sectorRecord(miner: MinerId, number: number): SectorRecord | undefined;
  /** Inserts or replaces. */
  putSectorRecord(record: SectorRecord): void;
  /** By miner and number. */
  sectorRecords(filter: SectorRecordFilter, limit: number, cursor: string | null): Page<SectorRecord>;
  /**
   * Sectors of committed capacity of this miner whose files are in a known storage, that no live job has and no ended one
   * follows a message of, from number `from` on, rising.
   */
  snapCandidates(miner: MinerId, from: number, limit: number): readonly SectorRecord[];

  appendEvent(event: NewEvent): Event;
  /** The newest so many, in order. */
  eventsOfJob(job: JobId, limit: number): readonly JobEvent[];
  /** Events after this number that the filter lets through, in order. */
  eventsAfter(seq: number, limit: number, filter?: EventFilter): readonly Event[];
  event(seq: number): Event | undefined;
  /** Number of the newest event; 0 without any. */
  lastEventSeq(): number;

  /** What was answered to this token's request with this key. */
  answer(token: TokenId, key: string): AnswerRow | undefined;
  /** Throws when the key has an answer. */
  insertAnswer(answer: AnswerRow): void;
  /** Drops answers older than that, at most `limit`; answers how many. */
  dropAnswers(beforeMs: number, limit: number): number;

  insertWebhook(webhook: WebhookRow): void;
  updateWebhook(webhook: WebhookRow): void;
  webhook(id: WebhookId): WebhookRow | undefined;
  webhooks(): readonly WebhookRow[];
  /** Deletes it with its deliveries. */
  deleteWebhook(id: WebhookId): void;
  insertDelivery(delivery: DeliveryRow): void;
  updateDelivery(delivery: DeliveryRow): void;
  /** All open deliveries of the webhook begin their tries anew and are due then. */
  renewOpenDeliveries(webhook: WebhookId, dueMs: number): void;
  delivery(id: DeliveryId): DeliveryRow | undefined;
  /** Open deliveries of the webhook whose time has come, oldest first. */
  deliveriesDue(webhook: WebhookId, nowMs: number, limit: number): readonly DeliveryRow[];
  /** The earliest due time of an open delivery of the webhook; undefined without one. */
  nextDeliveryMs(webhook: WebhookId): number | undefined;
  /** The log, newest first. */
  deliveries(webhook: WebhookId, limit: number, cursor: string | null): Page<DeliveryRow>;
  /** Open deliveries by webhook. */
  countOpenDeliveries(): readonly { webhook: WebhookId; count: number; oldestMs: number }[];
  /** Drops ended deliveries older than that, at most `limit`; answers how many. */
  dropDeliveries(beforeMs: number, limit: number): number;

  attempt(id: AttemptId): Attempt | undefined;
  insertAttempt(attempt: Attempt): void;
  updateAttempt(attempt: Attempt): void;
  attemptsOfJob(job: JobId): readonly Attempt[];
  runningAttempts(runner: RunnerId): readonly Attempt[];
  /** Running attempts of all these runners, in one question. */
  runningOn(runners: readonly RunnerId[]): readonly RunningStage[];
  /** Running attempts whose result was being taken. */
  takingAttempts(): readonly Attempt[];
  /** The runner's attempts, running and ended, newest first. */
  attemptsOfRunner(runner: RunnerId, limit: number): readonly Attempt[];
  /** Running attempts by stage and by the thread (`worker/index`) of their job. */
  runningByThread(): readonly { stage: Stage; thread: string | null; count: number }[];
  /** The highest lease epoch ever granted for this stage of this job; 0 when none. */
  lastEpoch(job: JobId, stage: Stage): number;
  /** Running attempts whose lease ended before `nowMs`. */
  expiredAttempts(nowMs: number, limit: number): readonly Attempt[];
  /** Running attempts whose time to get further has ended before `nowMs`. */
  overdueAttempts(nowMs: number, limit: number): readonly Attempt[];
  /** Adds to every running attempt's lease and time to get further: the control plane itself was away. */
  extendLeases(byMs: number, nowMs: number): void;

  runner(id: RunnerId): RunnerRow | undefined;
  /** By the hash of its credential, of the next one or of the one before. */
  runnerByCredential(hash: string): RunnerRow | undefined;
  insertRunner(runner: RunnerRow): void;
  updateRunner(runner: RunnerRow): void;
  /** The runner spoke then, and is silent no more; nothing else of it has changed. */
  touchRunner(id: RunnerId, seenMs: number): void;
  runners(): readonly RunnerRow[];
  /** Those that are ready, do this stage, were seen since then and did not go silent, by their registration; the first `skip` are left out. */
  readyRunners(stage: Stage, seenSinceMs: number, limit: number, skip: number): readonly RunnerRow[];
  /** Whether one of them is rented. */
  anyRented(stage: Stage, seenSinceMs: number): boolean;
  insertJoinToken(token: JoinTokenRow): void;
  joinToken(hash: string): JoinTokenRow | undefined;
  /** Those that may still be used, the first to end first. */
  openJoinTokens(nowMs: number): readonly JoinTokenRow[];
  /** False when it is unknown or burnt; one that has ended already stays ended. */
  revokeJoinToken(hash: string): boolean;
  /** True for exactly one caller. */
  burnJoinToken(hash: string, by: RunnerId): boolean;

  insertApiToken(token: ApiTokenRow): void;
  /** By its secret's hash, or by that of the secret before the last rotation. */
  apiTokenByHash(hash: string): ApiTokenRow | undefined;
  apiTokens(): readonly ApiTokenRow[];
  /** Writes the whole row. */
  updateApiToken(token: ApiTokenRow): void;
  /** False when there is no such token or it was revoked before. */
  revokeApiToken(id: TokenId, nowMs: number): boolean;

  insertPiece(piece: PieceRow): void;
  updatePiece(piece: PieceRow): void;
  piece(id: PieceId): PieceRow | undefined;
  /** Pieces of the miner that no job took and that any sector may take: oldest first. */
  waitingPieces(miner: MinerId, limit: number): readonly PieceRow[];
  /** Pieces of the miner that no job took and that wait for a request that names them: oldest first. */
  reservedPieces(miner: MinerId, limit: number): readonly PieceRow[];

  threads(): readonly ThreadRow[];
  /** Threads by worker and index, each with its job; of thousands in one question. */
  threadsWithJobs(): readonly ThreadWithJob[];
  /** Enabled threads without a job. */
  freeThreads(): readonly ThreadRow[];
  thread(id: string): ThreadRow | undefined;
  putThread(thread: ThreadRow): void;
  deleteThread(id: string): void;

  /** Throws on a second row of the same (job, step, generation, try). */
  insertEffect(effect: EffectRow): void;
  updateEffect(effect: EffectRow): void;
  effect(id: EffectId): EffectRow | undefined;
  /** Open effects whose time has come, oldest first. */
  effectsDue(nowMs: number, limit: number): readonly EffectRow[];
  /** The earliest due time after `nowMs` of an open effect; undefined when there is none. */
  nextEffectMs(nowMs: number): number | undefined;
  openEffectsOfJob(job: JobId): readonly EffectRow[];
  effectsOfJob(job: JobId): readonly EffectRow[];
  insertUpload(upload: UploadRow): void;
  uploadsOfAttempt(attempt: AttemptId): readonly UploadRow[];
  deleteUpload(attempt: AttemptId, name: string): void;
  deleteUploads(attempt: AttemptId): void;
  /** Of the object under this key; undefined: nobody made one. */
  manifest(key: string): Manifest | undefined;
  putManifest(key: string, manifest: Manifest): void;
  dropManifest(key: string): void;

  /** Open effects by kind. */
  countOpenEffects(): readonly { kind: EffectWant['kind']; count: number }[];
  /** The highest nonce in a signed message of this sender, those given up before a push left out; -1 when none. */
  lastNonce(sender: string): number;
  /** Effects of this sender whose message is below a nonce and was pushed, whatever became of their jobs: highest nonce first. */
  pushedBelow(sender: string, nonce: number, limit: number): readonly EffectRow[];
  /** Those of these messages of the sender that are in the outbox, by CID. */
  ownMessages(sender: string, cids: readonly string[]): readonly string[];
  /** Open effects of this sender whose message is signed but not known to be pushed, lowest nonce first. */
  unpushed(sender: string): readonly EffectRow[];

  /** The earliest of retry times, effect times, lease ends and times to get further; undefined when nothing is pending. */
  nextWakeMs(): number | undefined;
};

/** The one door to the database. */
export type Store = {
  /**
   * Runs `fn` in a transaction (a savepoint of the turn's group commit); resolves once it is durable.
   * When `fn` throws, nothing of it stays and the promise rejects. `fn` must not return a promise.
   */
  commit<T>(fn: (tx: Tx) => T extends PromiseLike<unknown> ? never : T): Promise<T>;
  close(): void;
};
