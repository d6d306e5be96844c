/** Branded identifiers. A bare string does not pass where an id is wanted. */
import { z } from 'zod';

/** One run of a plan over one sector. */
export const JobId = z
  .string()
  .regex(/^j-[0-9a-z]{6,32}$/)
  .brand('JobId');
export type JobId = z.infer<typeof JobId>;

/** One execution of a stage on one runner. */
export const AttemptId = z
  .string()
  .regex(/^a-[0-9a-z]{6,32}$/)
  .brand('AttemptId');
export type AttemptId = z.infer<typeof AttemptId>;

/** A registered agent. */
export const RunnerId = z
  .string()
  .regex(/^r-[0-9a-z]{6,32}$/)
  .brand('RunnerId');
export type RunnerId = z.infer<typeof RunnerId>;

/** A row of the outbox: something to do outside. */
export const EffectId = z
  .string()
  .regex(/^e-[0-9a-z]{6,32}$/)
  .brand('EffectId');
export type EffectId = z.infer<typeof EffectId>;

/** An uploaded piece of client data. */
export const PieceId = z
  .string()
  .regex(/^p-[0-9a-z]{6,32}$/)
  .brand('PieceId');
export type PieceId = z.infer<typeof PieceId>;

/** An API token's public id (not the secret). */
export const TokenId = z
  .string()
  .regex(/^t-[0-9a-z]{6,32}$/)
  .brand('TokenId');
export type TokenId = z.infer<typeof TokenId>;

/** A join token's public name: the beginning of its secret's hash. */
export const JoinTokenId = z
  .string()
  .regex(/^jt-[0-9a-f]{16}$/)
  .brand('JoinTokenId');
export type JoinTokenId = z.infer<typeof JoinTokenId>;

/** The public name of the join token with this hash. */
export function joinTokenId(hash: string): JoinTokenId {
  return JoinTokenId.parse(`jt-${hash.slice(0, 16)}`);
}

/** Where events are posted to. */
export const WebhookId = z
  .string()
  .regex(/^w-[0-9a-z]{6,32}$/)
  .brand('WebhookId');
export type WebhookId = z.infer<typeof WebhookId>;

/** One event on its way to one webhook. */
export const DeliveryId = z
  .string()
  .regex(/^d-[0-9a-z]{6,32}$/)
  .brand('DeliveryId');
export type DeliveryId = z.infer<typeof DeliveryId>;

/** Miner actor address by id, `t01000` or `f01000`; kept as it was typed. */
export const MinerId = z
  .string()
  .regex(/^[tf]0[0-9]{1,19}$/, 'a miner is written t01000 (or f01000)')
  .brand('MinerId');
export type MinerId = z.infer<typeof MinerId>;

/** `s-t01000-7`: a sector by miner and number; names its live job, else its last. */
export const SectorName = z
  .string()
  .regex(/^s-[tf]0[0-9]{1,19}-[0-9]{1,19}$/)
  .brand('SectorName');
export type SectorName = z.infer<typeof SectorName>;

/** The name of sector `number` of `miner`. */
export function sectorName(miner: MinerId, number: number): SectorName {
  return SectorName.parse(`s-${miner}-${number}`);
}

/** What a user may type for a sector: a job id or a sector name. */
export const SectorRef = z.union([JobId, SectorName]);
export type SectorRef = z.infer<typeof SectorRef>;

/** Miner and number of a sector name. */
export function parseSectorName(name: SectorName): { miner: MinerId; number: number } {
  const [, miner, number] = name.split('-');
  return { miner: MinerId.parse(miner), number: Number(number) };
}
