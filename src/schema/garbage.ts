/** What object storage holds that no job needs, as the collector tells of it. */
import { z } from 'zod';
import { JobId } from './ids.ts';
import { UnixMs } from './units.ts';

/**
 * `attempt_ended`: its attempt is over, and the job does not name it. `job_ended`: its job has ended and deleted it before.
 * `probe`: left of a measurement or a health check. `unfinished`: an upload that nobody finished for a day. `unknown`: nothing in
 * this database tells whose it is; it goes only when that is asked for.
 */
export const GarbageReason = z.enum(['attempt_ended', 'job_ended', 'probe', 'unfinished', 'unknown']);
export type GarbageReason = z.infer<typeof GarbageReason>;

const bytes = z.number().int().nonnegative();

/** An object that no job needs, or the parts of an upload that nobody will finish. */
export const Garbage = z.object({
  what: z.enum(['object', 'upload']),
  key: z.string(),
  sizeBytes: bytes,
  /** When the object was made or the upload begun, by the store's clock. */
  sinceMs: UnixMs,
  reason: GarbageReason,
  /** The job it was made for, where that is known. */
  job: JobId.nullable(),
});
export type Garbage = z.infer<typeof Garbage>;

/** Garbage, with what is needed to remove it. */
export type Judged = Garbage & { readonly uploadId?: string };

/** What a collection goes by. */
export type CollectRules = {
  /** Younger objects stay: a piece is stored before its row is written, and clocks differ. */
  readonly graceMs: number;
  /** Uploads without a running attempt are given up at this age. */
  readonly uploadAgeMs: number;
  /** Also takes what this database knows nothing of: right only where nobody else uses the bucket. */
  readonly unknown: boolean;
};

const Sum = z.object({ count: z.number().int().nonnegative(), sizeBytes: bytes });

/** What a look at all of the storage found. */
export const Collected = z.object({
  /** Whether it was removed, or only looked for. */
  removed: z.boolean(),
  /** Nothing goes until the jobs were compared with the chain after a restore: what the lost database needed is not known before. */
  held: z.boolean(),
  /** What was found, at most some thousand of it; the sums below are of all. */
  items: z.array(Garbage),
  objects: Sum,
  uploads: Sum,
  /** What goes only when it is asked for: not in the sums above unless it was. */
  unknown: Sum,
  /** All objects that were looked at. */
  listed: Sum,
});
export type Collected = z.infer<typeof Collected>;
