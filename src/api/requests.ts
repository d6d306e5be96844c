/** What the API is asked for: bodies and queries. Unknown fields are refused. */
import { z } from 'zod';
import { EVENT_TYPES, EventType } from '../schema/event.ts';
import { MinerId, PieceId, RunnerId, SectorName, SectorRef } from '../schema/ids.ts';
import { Trust } from '../schema/runner.ts';
import { RunnerLabel } from '../schema/runner-label.ts';
import { Decimal, UnixMs } from '../schema/units.ts';
import { Role } from './views.ts';

/** The names of states end where a terminal's control characters begin. */
const State = z.string().min(1).max(60);

export const PledgeRequest = z.strictObject({
  plan: z.string().min(1).max(40),
  /** May be left out where `sector` is a name, which has it. */
  miner: MinerId.optional(),
  count: z.number().int().min(1).max(1_000).default(1),
  /** Client data, in this order. */
  pieces: z.array(PieceId).min(1).max(1_000).optional(),
  /** The sector that exists: its number, or its name (snapup, rebuild, unseal). */
  sector: z.union([z.number().int().nonnegative(), SectorName]).optional(),
  /** Unpadded range of the data to decode; without one the whole (unseal). */
  range: z.strictObject({ offsetBytes: Decimal, sizeBytes: Decimal }).optional(),
  /** Finish without looking on the chain whether the last message landed. */
  skipOnchainCheck: z.boolean().optional(),
});
export type PledgeRequest = z.input<typeof PledgeRequest>;

export const PauseRequest = z.strictObject({ now: z.boolean().optional() });
export type PauseRequest = z.infer<typeof PauseRequest>;

export const ResumeRequest = z.strictObject({ state: State.optional(), force: z.boolean().optional() });
export type ResumeRequest = z.infer<typeof ResumeRequest>;

export const AbortRequest = z.strictObject({ force: z.boolean().optional() });
export type AbortRequest = z.infer<typeof AbortRequest>;

/** By stage; null goes back to the configuration's. Stages are checked by the engine, which lists them. */
const ByStage = z.record(z.string().max(40), z.number().nullable());
const LimitsOf = z.strictObject({ concurrent: ByStage.optional(), staggeredMs: ByStage.optional() });

export const SettingsPatch = z.strictObject({
  limits: z.strictObject({ all: LimitsOf.optional(), workers: z.record(z.string().max(60), LimitsOf).optional() }).optional(),
});
export type SettingsPatch = z.infer<typeof SettingsPatch>;

export const JoinTokenRequest = z.strictObject({
  trust: Trust,
  labels: z.array(RunnerLabel).max(32).default([]),
  /** How long it may wait to be used. */
  ttlMs: z
    .number()
    .int()
    .min(1_000)
    .max(30 * 86_400_000)
    .default(3_600_000),
});
export type JoinTokenRequest = z.input<typeof JoinTokenRequest>;

const LONGEST_TTL_MS = 3_660 * 86_400_000;
/** The end of the year 9999. */
const LATEST_MS = 253_402_300_799_999;

export const ApiTokenRequest = z
  .strictObject({
    name: z
      .string()
      .min(1)
      .max(60)
      .regex(/^[\w .@:-]+$/, 'letters, digits and  _ . @ : - only'),
    role: Role,
    /** Without it: all miners. */
    miners: z.array(MinerId).min(1).max(100).nullable().default(null),
    /** How long it is good, or until when; without either until it is revoked. */
    ttlMs: z.number().int().min(1_000).max(LONGEST_TTL_MS).optional(),
    expiresMs: UnixMs.max(LATEST_MS).optional(),
  })
  .refine(({ ttlMs, expiresMs }) => ttlMs === undefined || expiresMs === undefined, 'give ttlMs or expiresMs and not both');
export type ApiTokenRequest = z.input<typeof ApiTokenRequest>;

/** `graceMs`: how long the older secret goes on being good, a day unless it is said; 0: it ends at once. */
export const RotateRequest = z.strictObject({
  graceMs: z
    .number()
    .int()
    .min(0)
    .max(30 * 86_400_000)
    .optional(),
});
export type RotateRequest = z.input<typeof RotateRequest>;

const flag = z.enum(['true', 'false']).transform((text) => text === 'true');
const count = (most: number, usual: number) => z.coerce.number().int().min(1).max(most).default(usual);

export const SectorQuery = z.strictObject({
  state: State.optional(),
  plan: z.string().max(40).optional(),
  miner: MinerId.optional(),
  paused: flag.optional(),
  error: z.string().max(60).optional(),
  cursor: z
    .string()
    .regex(/^[0-9]{1,16}$/, 'not where a page of this listing ended; leave it out to begin anew')
    .optional(),
  limit: count(500, 50),
});
export type SectorQuery = z.input<typeof SectorQuery>;

const ONE_TYPE = `(${EVENT_TYPES.join('|').replaceAll('.', String.raw`\.`)})`;
const SOME_TYPES = new RegExp(`^${ONE_TYPE}(,${ONE_TYPE})*$`);

const AN_EVENT = 'the number of an event, or now';

export const EventQuery = z.strictObject({
  /** `now`: the newest one there is. */
  after: z
    .union(
      [
        z.literal('now'),
        z
          .string()
          // Sixteen digits after a restore.
          .regex(/^[0-9]{1,16}$/)
          .transform(Number)
          .refine(Number.isSafeInteger, AN_EVENT),
      ],
      AN_EVENT,
    )
    .optional(),
  /** One or several, with commas between them. */
  type: z
    .string()
    .max(500)
    .regex(SOME_TYPES, `types of events with commas between them: ${EVENT_TYPES.join(', ')}`)
    .transform((text) => text.split(','))
    .pipe(z.array(EventType).min(1))
    .optional(),
  /** A job, or a sector: the events of its live job, else of its last. */
  sector: SectorRef.optional(),
  miner: MinerId.optional(),
  runner: RunnerId.optional(),
  limit: count(1_000, 200),
});

/** `unknown`: with what the database knows nothing of. */
export const GarbageQuery = z.strictObject({ unknown: flag.default(false) });
export const CollectRequest = z.strictObject({ unknown: z.boolean().optional() });

/** `reserved`: only a request that names the piece takes it. */
export const PieceQuery = z.strictObject({ miner: MinerId, reserved: flag.optional() });
export const PieceListQuery = z.strictObject({ miner: MinerId, reserved: flag.optional(), limit: count(500, 100) });
