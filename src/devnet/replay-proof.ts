/**
 * The marked answers of the replay prover, stand-ins for C2 and SnapProve in tests that need hundreds of
 * sectors. They prove nothing: only a chain started with `--accept-replay` takes them. Their first byte is no
 * compressed curve point, so a real verifier refuses them.
 *
 * An answer is 192 bytes: the mark, the SHA-256 of what it is about, zeros. A seal (`replayProof`) is about
 * `commR|commD|ticket|seed|t0<id>|number`; an update (`replayUpdateProof`) about
 * `commRNew|commDNew|commROld||t0<id>|number`: the old CommR where a seal has its ticket, and no seed, so
 * that none of the one kind is ever one of the other.
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

/** What the proof of a replica update is about. Commitments are 64 hex digits, the number a decimal. */
export type UpdateStatement = {
  readonly commROld: string;
  readonly commRNew: string;
  readonly commDNew: string;
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

/** The same for an update: sha256 of `commRNew|commDNew|commROld||t0<id>|number`. */
export function replayUpdateProof({ commROld, commRNew, commDNew, miner, number }: UpdateStatement): Uint8Array {
  return replayProof({ commR: commRNew, commD: commDNew, ticket: commROld, seed: '', miner, number });
}

/** Whether the proof carries the mark, rightly or wrongly. */
export function isReplayProof(proof: Uint8Array): boolean {
  return Buffer.from(proof.subarray(0, MARK.length)).toString('latin1') === MARK;
}

/** Whether it is the marked answer for this very seal. */
export function replayProofMatches(proof: Uint8Array, statement: SealStatement): boolean {
  return Buffer.compare(proof, replayProof(statement)) === 0;
}

/** Whether it is the marked answer for this very update. */
export function replayUpdateProofMatches(proof: Uint8Array, statement: UpdateStatement): boolean {
  return Buffer.compare(proof, replayUpdateProof(statement)) === 0;
}
