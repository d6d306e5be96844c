/** What every engine function gets: one transaction, the time, ids, settings, and whom to wake afterwards. */
import type { MinerId } from '../schema/ids.ts';
import type { PlanName } from '../schema/job.ts';
import type { SealProof } from '../schema/seal-proof.ts';
import type { Network, Stage } from '../schema/stage.ts';
import type { Ids, Tx } from './ports.ts';

export type MinerSettings = {
  readonly sealProof: SealProof;
  /** First and last sector number this system may take; the miner may share its numbers with others. */
  readonly firstSector: number;
  readonly lastSector: number;
  /** Seal zeros when no deal waits. */
  readonly allowCc: boolean;
};

export type ThreadSettings = {
  readonly worker: string;
  readonly index: number;
  readonly plan: PlanName;
  /** Null: whatever miner the request names. */
  readonly miner: MinerId | null;
  readonly auto: boolean;
};

export type RetrySettings = {
  readonly firstWaitMs: number;
  readonly maxWaitMs: number;
  /** After so many counted failures in one state the job pauses. */
  readonly maxRetries: number;
};

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
  /** Faults in a row after which a rented runner is quarantined. */
  readonly maxStrikes: number;
  readonly miners: Readonly<Record<string, MinerSettings>>;
  readonly threads: readonly ThreadSettings[];
};

export type Signal = 'runners' | 'effects' | 'events';

export type Context = {
  readonly tx: Tx;
  readonly nowMs: number;
  readonly ids: Ids;
  readonly settings: Settings;
  /** Filled by the engine; the door wakes them once the transaction is durable. */
  readonly signals: Set<Signal>;
};

/** What the engine runs on unless the configuration says otherwise. */
export const DEFAULTS = {
  heartbeatMs: 7_000,
  leaseMs: 20_000,
  pollMs: 25_000,
  graceMs: { PC1: 120_000 },
  reservationMs: 120_000,
  stallMs: 15_000,
  retry: { firstWaitMs: 1_000, maxWaitMs: 600_000, maxRetries: 12 },
  maxStrikes: 3,
} as const satisfies Partial<Settings>;
