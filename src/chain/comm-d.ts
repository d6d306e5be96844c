/**
 * CommD of a sector from its pieces: each piece stands at a multiple of its own size, gaps and the rest
 * are zero pieces, and two nodes make one by sha256(left ‖ right) with the two top bits of the last byte
 * cleared (so that it fits the field).
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';

/** A piece by its raw commitment and padded size (a power of two, at least 128). */
export type SizedCommitment = { readonly hex: string; readonly paddedSizeBytes: number };

const LEAF_BYTES = 32;
const MIN_PIECE_BYTES = 128;

/** The pieces cannot stand in that sector. */
export class PiecesDoNotFit extends Error {}

/** CommD (64 hex digits) of a sector with these pieces in order; none: CommD of zeros. Throws `PiecesDoNotFit`. */
export function commDOfPieces(pieces: readonly SizedCommitment[], sectorSizeBytes: number): string {
  // A stack of subtrees with falling sizes, as in binary addition: equal neighbours are folded at once.
  const stack: { node: Uint8Array; sizeBytes: number }[] = [];
  let offsetBytes = 0;

  const push = (node: Uint8Array, sizeBytes: number): void => {
    let top = { node, sizeBytes };
    offsetBytes += sizeBytes;
    while (stack.at(-1)?.sizeBytes === top.sizeBytes) {
      const left = stack.pop() as { node: Uint8Array; sizeBytes: number };
      top = { node: foldPair(left.node, top.node), sizeBytes: top.sizeBytes * 2 };
    }
    stack.push(top);
  };
  /** Zero pieces, each the largest that may stand here, until the offset is a multiple of `sizeBytes`. */
  const fillTo = (sizeBytes: number): void => {
    while (offsetBytes % sizeBytes !== 0) {
      const fill = lowestBit(offsetBytes);
      push(zeroCommitment(fill), fill);
    }
  };

  for (const piece of pieces) {
    const size = piece.paddedSizeBytes;
    if (!Number.isSafeInteger(size) || size < MIN_PIECE_BYTES || lowestBit(size) !== size) {
      throw new PiecesDoNotFit(`a piece has a padded size of ${size} bytes; it must be a power of two of at least ${MIN_PIECE_BYTES}`);
    }
    fillTo(size);
    push(hexToBytes(piece.hex), size);
  }
  if (offsetBytes === 0) return bytesToHex(zeroCommitment(sectorSizeBytes));
  const neededBytes = nextPowerOfTwo(offsetBytes);
  if (neededBytes > sectorSizeBytes) {
    throw new PiecesDoNotFit(`pieces with their alignment need ${neededBytes}, sector is ${sectorSizeBytes}`);
  }
  fillTo(sectorSizeBytes);
  return bytesToHex((stack[0] as { node: Uint8Array }).node);
}

/** The commitment of `sizeBytes` (a power of two, at least 32) of zeros. */
export function zeroCommitment(sizeBytes: number): Uint8Array {
  let node: Uint8Array = new Uint8Array(LEAF_BYTES);
  for (let covered = LEAF_BYTES; covered < sizeBytes; covered *= 2) node = foldPair(node, node);
  return node;
}

function foldPair(left: Uint8Array, right: Uint8Array): Uint8Array {
  const both = new Uint8Array(2 * LEAF_BYTES);
  both.set(left);
  both.set(right, LEAF_BYTES);
  const node = sha256(both);
  node[LEAF_BYTES - 1] = (node[LEAF_BYTES - 1] as number) & 0x3f;
  return node;
}

/** Sizes reach 2^36, beyond the 32 bits of JavaScript's bit operators. */
function lowestBit(n: number): number {
  const big = BigInt(n);
  return Number(big & -big);
}

function nextPowerOfTwo(n: number): number {
  let power = 1;
  while (power < n) power *= 2;
  return power;
}
