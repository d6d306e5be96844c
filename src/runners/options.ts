/** What an agent is told when it starts. */
import type { Processors } from '../schema/processor.ts';
import type { Software } from '../schema/runner.ts';
import type { Stage } from '../schema/stage.ts';
import type { Bucket } from './bucket.ts';
import { CannotRun } from './cannot-run.ts';
import type { ExecutorOptions } from './open-executor.ts';

/** A folder or bucket of miner storage that an own runner writes to, under the id the control plane knows it by. What is not said its sectorstore.json says. */
export type StorageRoot = {
  readonly id: string;
  /** `s3://NAME/PREFIX` of a bucket. */
  readonly path: string;
  /** Where the path is a bucket: that one, opened. */
  readonly bucket?: Bucket | undefined;
  /** Most that a bucket may hold; without it as much as anybody likes. */
  readonly maxBytes?: number | undefined;
  /** Its free space counts so many times; 0: nothing is put there. */
  readonly weight?: number | undefined;
  /** Bytes that are kept free. */
  readonly reserveBytes?: number | undefined;
  readonly readOnly?: boolean | undefined;
  readonly allowMiners?: readonly string[] | undefined;
  readonly denyMiners?: readonly string[] | undefined;
};

/** One line of the agent's log. Never given a URL's query or a credential. */
export type Log = (level: 'info' | 'warn' | 'error', message: string, fields?: Record<string, unknown>) => void;

export type AgentOptions = {
  /** Base URL of the control plane. */
  readonly url: string;
  /** Single-use; needed unless DATA/runner.json has a credential. */
  readonly joinToken?: string | undefined;
  /** DATA: holds `runner.json` and `work/`. */
  readonly dataDir: string;
  /** The stage program, `sealpool-prover` or one that answers alike. */
  readonly prover: string;
  readonly storage: readonly StorageRoot[];
  /** How it is shown to the operator. */
  readonly name: string;
  /** Stages it takes; by default all, Persist and Publish only with storage. */
  readonly stages?: readonly Stage[] | undefined;
  /** Programs that do stages instead of the prover. */
  readonly processors?: Processors | undefined;
  /** Stages at a time, 2 by default; of the heavy ones (`attempt.ts`) only one runs. */
  readonly slots?: number | undefined;
  /** How long a transfer is tried without one byte of progress; 2 minutes by default, enough for a restart of the other side. */
  readonly patienceMs?: number | undefined;
  /**
   * The same for what a stage that has ended well made, which costs the stage when it is given up; 30 minutes by default, less than
   * the control plane waits for progress. While the control plane is away, no time passes for it. It ends before that when the control
   * plane takes the attempt away.
   */
  readonly sendPatienceMs?: number | undefined;
  /** How long a stage may take to end after SIGTERM before SIGKILL; 5 s by default. */
  readonly graceMs?: number | undefined;
  /** How long outputs that are being sent may take once the agent is to stop; 25 s by default. */
  readonly lastUploadsMs?: number | undefined;
  /** Most that the cache of artifacts may have of the disk; by default half of what is free, 0: there is none. */
  readonly cacheBytes?: number | undefined;
  /** Most bytes a second that moves and checks of stored files read and write of each path; without it as fast as the disk does. */
  readonly storageBytesPerS?: number | undefined;
  /** How stages are run, and what they may use. */
  readonly executor?: ExecutorOptions | undefined;
  /** Stage programs get PATH, HOME, XDG_CACHE_HOME and FIL_PROOFS_* of it, nothing else. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  /** What it tells the control plane that it runs; without it, nothing. */
  readonly software?: Software | undefined;
  /** Measures the way to the object store, once and then at long intervals. */
  readonly measureNetwork?: boolean | undefined;
  /** How often folders that nothing works in are looked for; 10 minutes by default. */
  readonly sweepMs?: number | undefined;
  /** Stops the agent, also while it still waits for its control plane. */
  readonly signal?: AbortSignal | undefined;
};

const DEFAULT_SLOTS = 2;

/** How many stages at a time. Throws where that is no number of slots. */
export function slotsOf({ slots = DEFAULT_SLOTS }: AgentOptions): number {
  if (!Number.isInteger(slots) || slots < 1 || slots > 32)
    throw new CannotRun('configuration', `a runner has 1 to 32 slots and not ${slots}; correct --slots`);
  return slots;
}
