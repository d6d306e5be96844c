/**
 * Ticket and beacon randomness from the chain's seed, and, for tests, fixed values so that recorded
 * real proofs can be replayed.
 */
import { blake2b } from '@noble/hashes/blake2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { z } from 'zod';
import { RANDOMNESS_TAG, randomnessFromDigest } from '../chain/derivations.ts';
import { Hex32 } from '../schema/units.ts';
import type { Ledger } from './ledger.ts';

export type RandomnessSource = 'tickets' | 'beacon';

/** Every draw of a ticket, of a seed, answers this. */
export const FixedRandomness = z.strictObject({ ticket: Hex32.optional(), seed: Hex32.optional() });
export type FixedRandomness = z.infer<typeof FixedRandomness>;

const META_KEY = 'fixed_randomness';

/** Fixes draws, or lets them go again with `null`. It survives a restart. */
export function fixRandomness(ledger: Ledger, fixed: FixedRandomness | null): void {
  if (fixed === null) ledger.deleteMeta(META_KEY);
  else ledger.setMeta(META_KEY, JSON.stringify(fixed));
}

/** The digest of an epoch, 64 hex digits; the client derives randomness from it. */
export function epochDigest(ledger: Ledger, source: RandomnessSource, epoch: number): string {
  return bytesToHex(blake2b(Buffer.from(`${ledger.genesisSeed()}|${source}|${epoch}`), { dkLen: 32 }));
}

/** Randomness of an epoch for a tag and entropy, 64 hex digits. */
export function drawRandomness(ledger: Ledger, source: RandomnessSource, tag: number, epoch: number, entropy: Uint8Array): string {
  const fixed = fixedRandomness(ledger);
  if (tag === RANDOMNESS_TAG.SealRandomness && fixed.ticket !== undefined) return fixed.ticket;
  if (tag === RANDOMNESS_TAG.InteractiveSealChallengeSeed && fixed.seed !== undefined) return fixed.seed;
  return randomnessFromDigest(tag, epochDigest(ledger, source, epoch), epoch, entropy);
}

/** What is fixed now. */
export function fixedRandomness(ledger: Ledger): FixedRandomness {
  const kept = ledger.meta(META_KEY);
  return kept === undefined ? {} : FixedRandomness.parse(JSON.parse(kept));
}
