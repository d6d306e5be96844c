/** Pieces that a sector is activated or upgraded with. */
import { commitmentHex, isCommitment } from '../../chain/cids.ts';
import { commDOfPieces, PiecesDoNotFit } from '../../chain/comm-d.ts';
import type { PieceManifest } from '../../chain/params.ts';
import { illegal } from './abort.ts';

/** Why these pieces cannot be activated on this chain, or `undefined`. */
export function piecesRefused(pieces: readonly PieceManifest[]): string | undefined {
  if (pieces.some((piece) => piece.allocation !== null)) return 'no such allocation: this dev chain has no verified registry';
  if (pieces.some((piece) => piece.notify.length > 0)) return 'this dev chain has no market to notify';
  return undefined;
}

/** CommD (hex) that the pieces make; pieces that make none take the whole message with them. */
export function computedCommD(pieces: readonly PieceManifest[], sectorSizeBytes: number, sector: number): string {
  try {
    if (pieces.some((piece) => !isCommitment('unsealed', piece.cid))) throw new PiecesDoNotFit('a piece CID had wrong prefix');
    return commDOfPieces(
      pieces.map((piece) => ({ hex: commitmentHex('unsealed', piece.cid), paddedSizeBytes: Number(piece.paddedSizeBytes) })),
      sectorSizeBytes,
    );
  } catch (error) {
    if (error instanceof PiecesDoNotFit) throw illegal(`failed to compute unsealed sector CID of sector ${sector}: ${error.message}`);
    throw error;
  }
}

/** Padded bytes of all pieces: what makes a sector one with data. */
export function pieceBytes(pieces: readonly PieceManifest[]): number {
  return pieces.reduce((sum, piece) => sum + Number(piece.paddedSizeBytes), 0);
}
