/** Where pieces lie in a sector: each on a multiple of its size, zeros between and after them. */
import { StageFailure } from '../failure.ts';

const MIN_PADDED_BYTES = 128;

export type PieceFile = { readonly input: string; readonly payloadBytes: number; readonly paddedBytes: number | undefined };
/** `input` undefined: zeros. */
export type PlacedPiece = {
  readonly input: string | undefined;
  readonly payloadBytes: number;
  readonly paddedBytes: number;
  readonly offsetBytes: number;
};

/** Pieces in order, with fillers so that they cover the sector. Throws `bad_request` when they do not fit. */
export function layOut(pieces: readonly PieceFile[], sectorSizeBytes: number): PlacedPiece[] {
  const laid: PlacedPiece[] = [];
  let at = 0;
  const fill = (end: number): void => {
    while (at < end) {
      const room = 2 ** Math.floor(Math.log2(end - at));
      const paddedBytes = at === 0 ? room : Math.min(room, lowestBit(at));
      laid.push({ input: undefined, payloadBytes: 0, paddedBytes, offsetBytes: at });
      at += paddedBytes;
    }
  };
  for (const { input, payloadBytes, paddedBytes = smallestPadded(payloadBytes) } of pieces) {
    fill(Math.ceil(at / paddedBytes) * paddedBytes);
    laid.push({ input, payloadBytes, paddedBytes, offsetBytes: at });
    at += paddedBytes;
  }
  if (at > sectorSizeBytes) {
    throw new StageFailure(
      'bad_request',
      `the pieces, each on a multiple of its padded size, do not fit into ${sectorSizeBytes} bytes; put fewer into this sector`,
    );
  }
  fill(sectorSizeBytes);
  return laid;
}

function smallestPadded(payloadBytes: number): number {
  let paddedBytes = MIN_PADDED_BYTES;
  while ((paddedBytes / 128) * 127 < payloadBytes) paddedBytes *= 2;
  return paddedBytes;
}

/** Sizes reach 2^36, beyond the 32 bits of JavaScript's bit operators. */
function lowestBit(n: number): number {
  const big = BigInt(n);
  return Number(big & -big);
}
