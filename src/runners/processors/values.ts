/** Values as damocles' tasks spell them: what serde makes of the proof libraries' types (32 bytes are a list of numbers). */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { type CommitmentKind, commitmentOfCid, commitmentOfHex } from '../../schema/commitment-cid.ts';
import type { Commitment } from '../../schema/units.ts';
import { StageFailure } from '../failure.ts';

const Byte = z.number().int().min(0).max(255);
/** A commitment, ticket or proof id. */
export const Bytes32 = z.array(Byte).length(32);
/** A proof. */
export const ProofBytes = z.array(Byte).min(192).max(16_384);
/** A piece's commitment, with its size before padding. */
export const PieceInfo = z.object({ commitment: Bytes32, size: z.number().int().positive() });

/** Bytes of a commitment that a request gives as a CID or in hex digits. Throws `bad_request`. */
export function commitmentHex(kind: CommitmentKind, given: unknown, what: string): string {
  if (typeof given === 'string' && /^[0-9a-f]{64}$/.test(given)) return given;
  const found = typeof given === 'string' ? commitmentOfCid(kind, given) : undefined;
  if (found === undefined)
    throw new StageFailure(
      'bad_request',
      `the request's ${what} is no commitment; the control plane and this runner disagree, update the older one`,
    );
  return found.hex;
}

export const bytesOfHex = (hex: string): number[] => [...Buffer.from(hex, 'hex')];

/** A commitment of an answer. */
export function commitmentOfBytes(kind: CommitmentKind, bytes: readonly number[]): Commitment {
  return commitmentOfHex(kind, Buffer.from(bytes).toString('hex'));
}

/** The miner's number in `t01000`, as the digits stand there: it may have more than a JSON number keeps. */
export const actorDigits = (miner: string): string => miner.slice(2);

/** The address payload of the miner (unsigned LEB128), with zeros up to 32 bytes: what proofs are bound to. */
export function proverId(miner: string): number[] {
  const id = Array.from({ length: 32 }, () => 0);
  let rest = BigInt(actorDigits(miner));
  for (let at = 0; ; at += 1) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    id[at] = rest === 0n ? low : low | 0x80;
    if (rest === 0n) return id;
  }
}

/** Payload of so many padded bytes: 127 of every 128. */
export const unpadded = (paddedBytes: number): number => (paddedBytes / 128) * 127;

/** Two nodes of a tree over data make one: SHA-256 with the two top bits cleared, so that it fits the field. */
function fold(left: Uint8Array, right: Uint8Array): Uint8Array {
  const node = createHash('sha256').update(left).update(right).digest();
  node[31] = (node[31] as number) & 0x3f;
  return node;
}

/** CommD of a sector (hex) from pieces that cover it, each on a multiple of its size. */
export function commDOf(pieces: readonly { readonly commitment: readonly number[]; readonly paddedBytes: number }[]): string {
  const stack: { node: Uint8Array; sizeBytes: number }[] = [];
  for (const { commitment, paddedBytes } of pieces) {
    let top = { node: Uint8Array.from(commitment) as Uint8Array, sizeBytes: paddedBytes };
    while (stack.at(-1)?.sizeBytes === top.sizeBytes) {
      const { node } = stack.pop() as { node: Uint8Array };
      top = { node: fold(node, top.node), sizeBytes: top.sizeBytes * 2 };
    }
    stack.push(top);
  }
  return Buffer.from(stack[0]?.node ?? []).toString('hex');
}

/** Commitment (hex) of so many zeros, a power of two. */
export function zeroCommitment(sizeBytes: number): string {
  let node: Uint8Array = new Uint8Array(32);
  for (let covered = 32; covered < sizeBytes; covered *= 2) node = fold(node, node);
  return Buffer.from(node).toString('hex');
}
