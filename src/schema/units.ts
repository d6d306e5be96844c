/** Encodings that several schemas share: sizes as decimal strings, hashes, commitments, randomness. */
import { z } from 'zod';

/** A 64-bit count as a decimal string: JSON numbers lose digits above 2^53. */
export const Decimal = z.string().regex(/^(0|[1-9][0-9]{0,19})$/, 'a whole number as a decimal string');

/** `sha256:` and 64 lower-case hex digits. */
export const Hash = z.string().regex(/^sha256:[0-9a-f]{64}$/);

/** 32 bytes as 64 hex digits: ticket, seed, raw commitment. */
export const Hex32 = z.string().regex(/^[0-9a-f]{64}$/, '64 hex digits');

/** A commitment (CommD, CommR, piece) as the prover answers it. */
export const Commitment = z.object({ cid: z.string().min(1), hex: Hex32 });
export type Commitment = z.infer<typeof Commitment>;

/** Unix milliseconds. */
export const UnixMs = z.number().int().nonnegative();

/** A chain epoch (30 s on mainnet). */
export const Epoch = z.number().int();
