/** What the API is asked for: bodies and queries. Unknown fields are refused. */
import { z } from 'zod';
import { MinerId, PieceId } from '../schema/ids.ts';
import { Trust } from '../schema/runner.ts';
import { Role } from './views.ts';

/** The names of states end where a terminal's control characters begin. */
const State = z.string().min(1).max(60);

export const PledgeRequest = z.strictObject({
  plan: z.string().min(1).max(40),
  miner: MinerId,
  count: z.number().int().min(1).max(1_000),
  pieces: z.array(PieceId).min(1).max(1_000).optional(),
});
export type PledgeRequest = z.infer<typeof PledgeRequest>;

export const PauseRequest = z.strictObject({ now: z.boolean().optional() });
export type PauseRequest = z.infer<typeof PauseRequest>;

export const ResumeRequest = z.strictObject({ state: State.optional(), force: z.boolean().optional() });
export type ResumeRequest = z.infer<typeof ResumeRequest>;

export const AbortRequest = z.strictObject({ force: z.boolean().optional() });
export type AbortRequest = z.infer<typeof AbortRequest>;

export const JoinTokenRequest = z.strictObject({
  trust: Trust,
  labels: z.array(z.string().min(1).max(60)).max(32).default([]),
  /** How long it may wait to be used. */
  ttlMs: z
    .number()
    .int()
    .min(1_000)
    .max(30 * 86_400_000)
    .default(3_600_000),
});
export type JoinTokenRequest = z.input<typeof JoinTokenRequest>;

export const ApiTokenRequest = z.strictObject({
  name: z
    .string()
    .min(1)
    .max(60)
    .regex(/^[\w .@:-]+$/, 'letters, digits and  _ . @ : - only'),
  role: Role,
  /** Without it: all miners. */
  miners: z.array(MinerId).min(1).max(100).nullable().default(null),
});
export type ApiTokenRequest = z.input<typeof ApiTokenRequest>;

const flag = z.enum(['true', 'false']).transform((text) => text === 'true');
const count = (most: number, usual: number) => z.coerce.number().int().min(1).max(most).default(usual);

export const SectorQuery = z.strictObject({
  state: State.optional(),
  plan: z.string().max(40).optional(),
  miner: MinerId.optional(),
  paused: flag.optional(),
  error: z.string().max(60).optional(),
  cursor: z.string().max(200).optional(),
  limit: count(500, 50),
});
export type SectorQuery = z.input<typeof SectorQuery>;

export const EventQuery = z.strictObject({
  after: z.coerce.number().int().nonnegative().optional(),
  limit: count(1_000, 200),
});

export const PieceQuery = z.strictObject({ miner: MinerId });
export const PieceListQuery = z.strictObject({ miner: MinerId, limit: count(500, 100) });
