/** Where pieces stand in a sector: each at a multiple of its own size, gaps and the rest filled with zero pieces, as the miner actor counts. */
import { PiecesDoNotFit, commDOfPieces, zeroCommitment } from '../chain/comm-d.ts';
import { commitmentOfHex } from '../schema/commitment-cid.ts';
import type { PlacedPiece } from '../schema/sector-record.ts';
import type { Commitment } from '../schema/units.ts';
import { RowRefused } from './values.ts';

/** A piece in its order, with its padded size. */
export type SizedPiece = { readonly commitment: Commitment; readonly paddedSizeBytes: number };

const zeros = new Map<number, Commitment>();

/** The piece of `sizeBytes` zeros: what fillers are, and for a whole sector the CommD of committed capacity. */
export function zeroPiece(sizeBytes: number): Commitment {
  const known = zeros.get(sizeBytes) ?? commitmentOfHex('unsealed', hexDigits(zeroCommitment(sizeBytes)));
  zeros.set(sizeBytes, known);
  return known;
}

function hexDigits(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Places pieces with their fillers and computes CommD; no data gives no pieces (committed capacity).
 * Throws `RowRefused` when they do not fit the sector.
 */
export function placePieces(pieces: readonly SizedPiece[], sectorSizeBytes: number): { pieces: PlacedPiece[]; commD: Commitment } {
  const isFiller = ({ commitment, paddedSizeBytes }: SizedPiece): boolean => commitment.cid === zeroPiece(paddedSizeBytes).cid;
  const commD = commitmentOfPieces(pieces, sectorSizeBytes);
  if (pieces.every(isFiller)) return { pieces: [], commD };
  const placed: PlacedPiece[] = [];
  let offset = 0;
  const place = (cid: string, size: number, filler: boolean): void => {
    placed.push({ cid, paddedSizeBytes: String(size), offsetBytes: String(offset), ...(filler ? { filler: true } : {}) });
    offset += size;
  };
  const fillTo = (multiple: number): void => {
    while (offset % multiple !== 0) {
      const size = largestAt(offset);
      place(zeroPiece(size).cid, size, true);
    }
  };
  for (const piece of pieces) {
    fillTo(piece.paddedSizeBytes);
    place(piece.commitment.cid, piece.paddedSizeBytes, isFiller(piece));
  }
  fillTo(sectorSizeBytes);
  return { pieces: placed, commD };
}

function commitmentOfPieces(pieces: readonly SizedPiece[], sectorSizeBytes: number): Commitment {
  if (pieces.length === 0) return zeroPiece(sectorSizeBytes);
  try {
    const sized = pieces.map(({ commitment, paddedSizeBytes }) => ({ hex: commitment.hex, paddedSizeBytes }));
    return commitmentOfHex('unsealed', commDOfPieces(sized, sectorSizeBytes));
  } catch (error) {
    if (error instanceof PiecesDoNotFit)
      throw new RowRefused(`its pieces cannot be right: ${error.message}; check their sizes, which must be padded ones`);
    throw error;
  }
}

/** The largest piece that may stand at this offset: the lowest bit of the number, which may exceed 32 bits. */
function largestAt(offset: number): number {
  let size = 1;
  while (offset % (size * 2) === 0) size *= 2;
  return size;
}
