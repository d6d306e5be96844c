/** Valid rows to put into a store, each with its own ids. */
import type { StoragePath } from '../../src/schema/miner-storage.ts';
import type { AttemptId, EffectId, JobId, MinerId, PieceId, RunnerId, TokenId } from '../../src/schema/ids.ts';
import type { NewEvent } from '../../src/schema/event.ts';
import type { Attempt, Job } from '../../src/schema/job.ts';
import type { SectorRecord } from '../../src/schema/sector-record.ts';
import type { EffectRow } from '../../src/scheduler/effects.ts';
import type { ApiTokenRow, PieceRow, RunnerRow } from '../../src/scheduler/ports.ts';
import type { StorageMove } from '../../src/scheduler/storage-rows.ts';

export const MINER = 't01000' as MinerId;
export const OTHER_MINER = 't02000' as MinerId;

export const jobId = (n: number): JobId => `j-job${String(n).padStart(6, '0')}` as JobId;
export const attemptId = (n: number): AttemptId => `a-att${String(n).padStart(6, '0')}` as AttemptId;
export const runnerId = (n: number): RunnerId => `r-run${String(n).padStart(6, '0')}` as RunnerId;
export const effectId = (n: number): EffectId => `e-eff${String(n).padStart(6, '0')}` as EffectId;

/** A new job in Empty that waits for a thread; `n` makes it different from the others. */
export function job(n: number, change: Partial<Job> = {}): Job {
  return {
    id: jobId(n),
    plan: 'sealer',
    miner: MINER,
    number: null,
    state: 'Empty',
    generation: 1,
    paused: false,
    error: null,
    retries: 0,
    waiting: { for: 'thread' },
    thread: null,
    reserved: null,
    createdMs: 1_000 + n,
    updatedMs: 1_000 + n,
    data: { network: 'dev', sealProof: 'StackedDrg2KiBV1_1', pieces: [], artifacts: {} },
    ...change,
  };
}

/** A committed-capacity sector of `MINER` whose files are in storage `main`. */
export function sectorRecord(number: number, change: Partial<SectorRecord> = {}): SectorRecord {
  return {
    miner: MINER,
    number,
    sealProof: 'StackedDrg2KiBV1_1',
    ticket: { epoch: 900, value: 'ab'.repeat(32) },
    commD: null,
    commR: { cid: 'bagboea4b5abcazcbqt', hex: 'cd'.repeat(32) },
    pieces: [],
    update: null,
    files: { storage: 'main', root: '/storage', files: null },
    preCommit: null,
    proveCommit: null,
    replicaUpdate: null,
    source: 'sealed',
    ...change,
  };
}

/** Sector `number` on its way from storage `main` to `other`. */
/** A path of miner storage as a runner tells of it. */
export const storagePath = (id: string, change: Partial<StoragePath> = {}): StoragePath => ({
  id,
  path: `/mnt/${id}`,
  storeId: null,
  weight: 1,
  reserveBytes: 0,
  readOnly: false,
  allowMiners: [],
  denyMiners: [],
  problem: null,
  freeBytes: 1_000,
  totalBytes: 2_000,
  ...change,
});

export function storageMove(number: number, change: Partial<StorageMove> = {}): StorageMove {
  return {
    miner: MINER,
    number,
    from: 'main',
    to: 'other',
    sizeBytes: 4_096,
    phase: 'copy',
    cause: 'drain',
    files: [{ path: `sealed/s-t01000-${number}`, sizeBytes: '2048', hash: `sha256:${'ab'.repeat(32)}` }],
    asked: null,
    why: null,
    ...change,
  };
}

/** A running PC1 attempt of job 1 on runner 1. */
export function attempt(n: number, change: Partial<Attempt> = {}): Attempt {
  return {
    id: attemptId(n),
    job: jobId(1),
    stage: 'PC1',
    state: 'TicketAssigned',
    generation: 1,
    epoch: n,
    runner: runnerId(1),
    status: 'running',
    leaseUntilMs: 20_000,
    grantedMs: 1_000,
    endedMs: null,
    fraction: null,
    secondsLeft: null,
    note: null,
    logTail: '',
    failure: null,
    request: null,
    progressMs: null,
    dueMs: null,
    ...change,
  };
}

export function event(n: number, change: Partial<NewEvent> = {}): NewEvent {
  return {
    job: jobId(n),
    miner: MINER,
    runner: null,
    generation: 1,
    atMs: 5,
    actor: 'engine',
    kind: 'transition',
    from: 'Empty',
    to: 'Allocated',
    event: 'Allocate',
    detail: { number: 7, nested: { list: [1, 'two', null] } },
    request: null,
    ...change,
  };
}

export function runner(n: number, change: Partial<RunnerRow> = {}): RunnerRow {
  return {
    id: runnerId(n),
    name: `runner ${n} “ü”`,
    trust: 'rented',
    labels: ['eu', 'gpu'],
    stages: ['PC1', 'C2'],
    storage: [],
    resources: { cores: 8, ramBytes: 2 ** 36, diskFreeBytes: 2 ** 41, gpus: [{ model: 'RTX 4090', vramBytes: 2 ** 34 }] },
    credentialHash: `hash-${n}`,
    credentialMs: null,
    nextCredentialSeed: null,
    nextCredentialHash: null,
    previousCredentialHash: null,
    bootId: 'boot-0001',
    earlierBoots: [],
    status: 'ready',
    reason: null,
    strikes: 0,
    lastSeenMs: 10,
    registeredMs: 5,
    ...change,
  };
}

export function apiToken(n: number, change: Partial<ApiTokenRow> = {}): ApiTokenRow {
  return {
    id: `t-tok${String(n).padStart(6, '0')}` as TokenId,
    hash: `token-hash-${n}`,
    name: 'ops',
    role: 'operator',
    miners: [MINER],
    createdMs: 1,
    revokedMs: null,
    expiresMs: null,
    previousHash: null,
    previousUntilMs: null,
    ...change,
  };
}

export function piece(n: number, change: Partial<PieceRow> = {}): PieceRow {
  return {
    id: `p-pie${String(n).padStart(6, '0')}` as PieceId,
    miner: MINER,
    key: `pieces/${n}`,
    sizeBytes: '18446744073709551615',
    hash: 'sha256:aa',
    paddedSizeBytes: '2048',
    cid: null,
    job: null,
    reserved: false,
    createdMs: n,
    ...change,
  };
}

/** An open effect of job 1, due at once. */
export function effect(n: number, change: Partial<EffectRow> = {}): EffectRow {
  return {
    id: effectId(n),
    job: jobId(1),
    step: 'SubmitPC',
    generation: 1,
    try: n,
    want: { kind: 'ticket', miner: MINER },
    status: 'open',
    signed: null,
    dueMs: 0,
    failures: 0,
    lastError: null,
    createdMs: n,
    request: null,
    ...change,
  };
}
