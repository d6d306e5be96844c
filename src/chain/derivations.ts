/** What the chain derives from the miner's id: randomness entropy, prover id, randomness of a digest. */
import { encode } from '@ipld/dag-cbor';
import { blake2b } from '@noble/hashes/blake2.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { actorId, addressBytes, leb128 } from './addresses.ts';

/** Domain separation tags of chain randomness. */
export const RANDOMNESS_TAG = { SealRandomness: 5, InteractiveSealChallengeSeed: 6 } as const;

/** Entropy of a miner's ticket and seed: the CBOR byte string of its ID address (t01000 → `4300e807`). */
export function randomnessEntropy(miner: string): Uint8Array {
  return encode(addressBytes(`t0${actorId(miner)}`));
}

/** The prover id that enters the replica id: LEB128 of the actor id, zero-padded right to 32 bytes. */
export function proverId(miner: string): Uint8Array {
  const id = new Uint8Array(32);
  id.set(leb128(actorId(miner)));
  return id;
}

/**
 * Randomness from a ticket's or beacon's digest: blake2b-256(tag i64 BE ‖ digest ‖ epoch i64 BE ‖ entropy).
 * `digestHex` and the answer are 64 hex digits.
 */
export function randomnessFromDigest(tag: number, digestHex: string, epoch: number, entropy: Uint8Array): string {
  const input = new Uint8Array(8 + 32 + 8 + entropy.length);
  const view = new DataView(input.buffer);
  view.setBigInt64(0, BigInt(tag));
  input.set(hexToBytes(digestHex), 8);
  view.setBigInt64(40, BigInt(epoch));
  input.set(entropy, 48);
  return bytesToHex(blake2b(input, { dkLen: 32 }));
}
