/** What the API is put together from. Everything that touches the machine is handed in. */
import type { Logger } from 'pino';
import { z } from 'zod';
import type { ObjectStore } from '../scheduler/ports.ts';
import type { Settings } from '../scheduler/context.ts';
import type { Principal } from './auth.ts';
import type { Door } from './door.ts';
import type { Keyed } from './idempotency.ts';
import type { Limiter, RateLimits } from './rate-limit.ts';
import type { Collected } from '../schema/garbage.ts';
import type { RunnerOffer } from '../schema/runner-offer.ts';
import type { WorkerAddresses } from './worker-address.ts';

/** A checked copy of the whole database, to be read once. */
export type Backup = {
  readonly sizeBytes: number;
  /** `sha256:` and 64 hex digits. */
  readonly hash: string;
  readonly body: ReadableStream<Uint8Array>;
};

/** One part that the control plane cannot serve without. */
export const Check = z.object({
  name: z.enum(['database', 'chain', 'objects']),
  ok: z.boolean(),
  /** What was done, or why it did not go. */
  detail: z.string(),
});
export type Check = z.infer<typeof Check>;

/** A request that was answered. `route` is its pattern. */
export type Answered = { readonly route: string; readonly method: string; readonly status: number; readonly durationMs: number };

/** Files for hosts that are to become runners. Each call throws a problem while one is missing. */
export type RunnerFiles = {
  offer(): Promise<RunnerOffer>;
  /** `/runner.sh` with the address and hashes of now. */
  script(): Promise<string>;
  /** One of them by its hash. */
  open(hash: string): Promise<{ readonly sizeBytes: number; readonly body: () => Promise<ReadableStream<Uint8Array>> } | undefined>;
};

/** Looks through object storage for what no job needs; `remove` takes it away. */
export type Collect = (options: { readonly remove: boolean; readonly unknown: boolean }) => Promise<Collected>;

export type ApiParts = {
  readonly door: Door;
  readonly objects: ObjectStore;
  readonly settings: Settings;
  /** Where workers were reached before they were ours; users go on naming them so. */
  readonly workerAddresses?: WorkerAddresses;
  /** Makes a copy of the database; absent where the platform keeps the database. */
  readonly backup?: () => Promise<Backup>;
  /** Absent where nothing collects garbage. */
  readonly collector?: Collect;
  /** How often who may ask; absent: as often as they like. */
  readonly rateLimits?: RateLimits | undefined;
  /** The program's version, for the API's description. */
  readonly version?: string;
  /** A file of the pages at /docs, by its name; absent where the platform has none. */
  readonly docsFile?: (name: string) => Promise<Uint8Array<ArrayBuffer>>;
  /** Absent where the platform has none. */
  readonly runnerFiles?: RunnerFiles;
  readonly log: Logger;
  /** Fresh request ids. */
  readonly requestId: () => string;
  /** Resolves after `ms` or when the signal aborts, whichever comes first; never rejects. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Aborts when the process is asked to end: long polls and streams then answer at once. */
  readonly ending: AbortSignal;
  /** Looks at what it cannot serve without; never rejects, answers within seconds. */
  readonly checks: () => Promise<readonly Check[]>;
  /** The page for Prometheus; absent where nothing is measured. */
  readonly metrics?: () => Promise<string>;
  /** Told of every answer. */
  readonly onAnswered?: (answered: Answered) => void;
};

/** What middleware leaves for handlers. */
export type Env = {
  Variables: {
    requestId: string;
    principal: Principal;
    door: Door;
    keyed: Keyed | undefined;
    limiter: Limiter | undefined;
    /** Of the secret that came along, once somebody asked for it. */
    secretHash: string | undefined;
  };
};
