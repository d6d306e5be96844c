/** The manifest of an artifact: a checksum per part, so that a reader tells which part arrived damaged and fetches only that again. */
import { z } from 'zod';

/** S3 has no more parts than that in one object. */
const MAX_PARTS = 10_000;

/**
 * CRC-32 of each part in order, eight hex digits each. It finds damage on the way; that it is the right file, only the hash says,
 * since whoever made the file made the sums as well.
 */
export const Manifest = z.strictObject({
  /** Of every part but the last, which may be shorter. */
  partSizeBytes: z.number().int().positive(),
  crc32: z
    .string()
    .regex(/^(?:[0-9a-f]{8})+$/)
    .max(8 * MAX_PARTS),
});
export type Manifest = z.infer<typeof Manifest>;

/** How many parts a file has; an empty one has one, of no bytes. */
export function partCount(sizeBytes: number, partSizeBytes: number): number {
  return Math.max(1, Math.ceil(sizeBytes / partSizeBytes));
}

/** The manifest of parts with these CRC-32 sums (unsigned). */
export function manifestOf(partSizeBytes: number, sums: readonly number[]): Manifest {
  return { partSizeBytes, crc32: sums.map((sum) => sum.toString(16).padStart(8, '0')).join('') };
}

/** The sums in order; `undefined` when it is not the manifest of a file of this size. */
export function sumsOf(manifest: Manifest, sizeBytes: number): number[] | undefined {
  const count = partCount(sizeBytes, manifest.partSizeBytes);
  if (manifest.crc32.length !== 8 * count) return undefined;
  return Array.from({ length: count }, (_, at) => Number.parseInt(manifest.crc32.slice(8 * at, 8 * at + 8), 16));
}
