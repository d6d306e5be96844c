/** What every engine function gets: one transaction, the time, ids, settings, and whom to wake afterwards. */
import type { MinerId } from '../schema/ids.ts';
import type { PlanName } from '../schema/job.ts';
import type { SealProof } from '../schema/seal-proof.ts';
import type { SelfTestPolicy } from '../schema/self-test.ts';
import type { Network, Stage } from '../schema/stage.ts';
import type { Ids, Tx } from './ports.ts';

/** Sector numbers from `first` to `last`, both included. */
export type SectorRange = { readonly first: number; readonly last: number };

/** Steps between the drawing of the ticket and the pre-commit on chain. */
export type TicketStep = 'PC1' | 'PC2' | 'C1' | 'Verify' | 'SubmitPC';

export type MinerSettings = {
  readonly sealProof: SealProof;
  /** First and last sector number this system may take; the miner may share its numbers with others. */
  readonly firstSector: number;
  readonly lastSector: number;
  /** Several ranges, used in this order, instead of the one above. */
  readonly ranges?: readonly SectorRange[] | undefined;
  /** Seal zeros when no deal waits. */
  readonly allowCc: boolean;
  /** `rented`: sectors get synthetic PoRep where a rented runner may do their PC2; without it, never of itself. */
  readonly synthetic?: 'rented' | 'never' | undefined;
  /** A sector whose ticket expired goes back to TreeDBuilt by itself instead of pausing. */
  readonly autoFallback?: boolean | undefined;
  /** Epochs that steps take here, transfers included, instead of the usual ones. */
  readonly expectedEpochs?: Partial<Readonly<Record<TicketStep, number>>> | undefined;
  /** Hours that its stages are put before those of others in the queue; negative: behind them. */
  readonly priority?: number | undefined;
};

export type ThreadSettings = {
  readonly worker: string;
  readonly index: number;
  readonly plan: PlanName;
  /** Null: whatever miner the request names. */
  readonly miner: MinerId | null;
  /** Makes its own jobs when none is queued. */
  readonly auto: boolean;
  /** Instead of the general number of retries. */
  readonly maxRetries?: number | undefined;
  /** Instead of the miner's. */
  readonly allowCc?: boolean | undefined;
  /** Most and least waiting pieces that one sector takes; with fewer than the least it takes none. */
  readonly maxDeals?: number | undefined;
  readonly minDeals?: number | undefined;
  /** Its jobs finish without looking whether the last message landed. */
  readonly skipOnchainCheck?: boolean | undefined;
};

export type RetrySettings = {
  readonly firstWaitMs: number;
  readonly maxWaitMs: number;
  /** After so many counted failures in one state the job pauses. */
  readonly maxRetries: number;
};

/** Most of a stage at a time, and milliseconds between its starts. */
export type LimitSet = {
  readonly concurrent?: Partial<Readonly<Record<Stage, number>>> | undefined;
  readonly staggeredMs?: Partial<Readonly<Record<Stage, number>>> | undefined;
};

/** Of all sealing_threads together, and of each worker's. */
export type Limits = { readonly all: LimitSet; readonly workers: Readonly<Record<string, LimitSet>> };

export type Settings = {
  readonly network: Network;
  readonly heartbeatMs: number;
  readonly leaseMs: number;
  readonly pollMs: number;
  /** Added to the lease of a stage whose lost work is dear. */
  readonly graceMs: Partial<Readonly<Record<Stage, number>>>;
  /** How long a place on a runner is held while the ticket is drawn. */
  readonly reservationMs: number;
  /** Silence of the control plane itself (no tick) above which running leases are extended by it. */
  readonly stallMs: number;
  readonly retry: RetrySettings;
  /** What differs for a stage, or for the step that sends a message (`SubmitPC`). */
  readonly retryOf?: Readonly<Partial<Record<string, Partial<RetrySettings>>>> | undefined;
  readonly limits?: Limits | undefined;
  /** How long a stage may show no progress before it is taken away, and how long it may take in all; none of a stage: for ever. */
  readonly progressMs?: Partial<Readonly<Record<Stage, number>>> | undefined;
  readonly stageMs?: Partial<Readonly<Record<Stage, number>>> | undefined;
  /** Age at which a runner's credential is replaced; undefined: never. */
  readonly credentialMs?: number | undefined;
  /** Faults in a row after which a rented runner is quarantined. */
  readonly maxStrikes: number;
  /** Which runners get a stage only after a passed self-test of it; none when not given. */
  readonly selfTest?: SelfTestPolicy | undefined;
  /** How often an idle runner that is held to self-tests is tested again. */
  readonly canaryEveryMs?: number | undefined;
  /** How often stored files are read against their hashes, and how fast at most of each path; undefined: never. */
  readonly scrub?: { readonly everyMs: number; readonly bytesPerS: number } | undefined;
  /** Whether somebody is told where stored files are. */
  readonly declares?: boolean | undefined;
  /** What an hour until a stage has ended is worth, in dollars, beside the rent of its machine. */
  readonly waitingUsdPerHour?: number | undefined;
  /** The longest that a stage is left to a better runner than the one that asks. */
  readonly patienceMs?: number | undefined;
  /** How long the URLs of an attempt are good for; an hour where it is not given. */
  readonly urlTtlMs?: number | undefined;
  readonly miners: Readonly<Record<string, MinerSettings>>;
  readonly threads: readonly ThreadSettings[];
};

/**
 * `runners`: what each of them may get has changed. `stage:PC1`: a stage of that kind waits for
 * a runner, or may be taken now by one that passed over it. `threads`: a
 * sealing_thread was freed in this transaction.
 */
export type Signal = 'runners' | 'effects' | 'events' | 'threads' | `stage:${Stage}`;

export type Context = {
  readonly tx: Tx;
  readonly nowMs: number;
  readonly ids: Ids;
  readonly settings: Settings;
  /** Id of the request that this transaction answers; undefined: time brought it about. */
  readonly request?: string | undefined;
  /** Filled by the engine; the door wakes them once the transaction is durable. */
  readonly signals: Set<Signal>;
};

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** What the engine runs on unless the configuration says otherwise. */
export const DEFAULTS = {
  heartbeatMs: 7_000,
  leaseMs: 20_000,
  pollMs: 25_000,
  // Hours of one process that leaves nothing behind: a blip of the line must not cost them.
  graceMs: { PC1: 120_000, CheckSealed: 120_000, Unseal: 120_000 },
  reservationMs: 120_000,
  stallMs: 15_000,
  retry: { firstWaitMs: 1_000, maxWaitMs: 600_000, maxRetries: 12 },
  maxStrikes: 3,
  // Many times what a 32 GiB sector takes on a slow machine: they are to catch who does nothing, not who is slow.
  progressMs: {
    AddPiece: HOUR_MS,
    BuildTreeD: HOUR_MS,
    PC1: 3 * HOUR_MS,
    PC2: 3 * HOUR_MS,
    C1: HOUR_MS,
    C2: 3 * HOUR_MS,
    SnapEncode: 2 * HOUR_MS,
    SnapProve: 3 * HOUR_MS,
    CheckSealed: 12 * HOUR_MS,
    Persist: 4 * HOUR_MS,
    Publish: 4 * HOUR_MS,
    Verify: HOUR_MS,
    Unseal: 12 * HOUR_MS,
  },
  stageMs: {
    AddPiece: 12 * HOUR_MS,
    BuildTreeD: 6 * HOUR_MS,
    PC1: 24 * HOUR_MS,
    PC2: 24 * HOUR_MS,
    C1: 24 * HOUR_MS,
    C2: 12 * HOUR_MS,
    SnapEncode: 12 * HOUR_MS,
    SnapProve: 12 * HOUR_MS,
    CheckSealed: 48 * HOUR_MS,
    Persist: 48 * HOUR_MS,
    Publish: 48 * HOUR_MS,
    Verify: 12 * HOUR_MS,
    Unseal: 48 * HOUR_MS,
  },
  credentialMs: 24 * HOUR_MS,
  waitingUsdPerHour: 1,
  patienceMs: HOUR_MS,
  urlTtlMs: HOUR_MS,
} as const satisfies Partial<Settings>;
