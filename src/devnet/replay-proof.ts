/**
 * The marked answer of the replay prover, a stand-in for C2 in tests that need hundreds of sectors. It
 * proves nothing: only a chain started with `--accept-replay` takes it. Its first byte is no compressed
 * curve point, so a real verifier refuses it.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { actorId } from '../chain/addresses.ts';

const MARK = 'SEALPOOL-REPLAY:';
const PROOF_BYTES = 192;

/** What a seal proof is about. Commitments, ticket and seed are 64 hex digits, the number a decimal. */
export type SealStatement = {
  readonly commR: string;
  readonly commD: string;
  readonly ticket: string;
  readonly seed: string;
  /** `t01000` or `f01000`. */
  readonly miner: string;
  readonly number: string;
};

/** 192 bytes: the mark, sha256 of `commR|commD|ticket|seed|t0<id>|number`, zeros. */
export function replayProof(statement: SealStatement): Uint8Array {
  const { commR, commD, ticket, seed, miner, number } = statement;
  const text = [commR, commD, ticket, seed, `t0${actorId(miner)}`, number].join('|');
  const proof = new Uint8Array(PROOF_BYTES);
  proof.set(Buffer.from(MARK, 'ascii'));
  proof.set(sha256(Buffer.from(text, 'utf8')), MARK.length);
  return proof;
}

/** Whether the proof carries the mark, rightly or wrongly. */
export function isReplayProof(proof: Uint8Array): boolean {
  return Buffer.from(proof.subarray(0, MARK.length)).toString('latin1') === MARK;
}

/** Whether it is the marked answer for this very statement. */
export function replayProofMatches(proof: Uint8Array, statement: SealStatement): boolean {
  return Buffer.compare(proof, replayProof(statement)) === 0;
}
