/** A sector as it is known apart from any job: what a snap, a rebuild or an unsealing starts from. */
import { z } from 'zod';
import { MinerId } from './ids.ts';
import { SealProof } from './seal-proof.ts';
import { StoredFile } from './stage.ts';
import { Commitment, Decimal, Epoch, Hex32 } from './units.ts';

/** A piece's place in the sector, fillers included, as add-piece answered. */
export const PlacedPiece = z.object({
  cid: z.string(),
  paddedSizeBytes: Decimal,
  offsetBytes: Decimal,
  filler: z.boolean().optional(),
});
export type PlacedPiece = z.infer<typeof PlacedPiece>;

/** Files in miner storage: which storage, its folder, and the files; null: found by the layout, hashes unknown. */
export const StoredFiles = z.object({ storage: z.string(), root: z.string(), files: z.array(StoredFile).nullable() });
export type StoredFiles = z.infer<typeof StoredFiles>;

/** Sealed here or imported. Kept up to date by every job that finishes. */
export const SectorRecord = z.object({
  miner: MinerId,
  number: z.number().int().nonnegative(),
  sealProof: SealProof,
  /** The value can be drawn again from the chain; null: known neither here nor in the source. */
  ticket: z.object({ epoch: Epoch, value: Hex32.nullable() }).nullable(),
  commD: Commitment.nullable(),
  /** Of the sealed sector; for an upgraded one that is its sector key. */
  commR: Commitment,
  /** Of the sealed sector; empty: committed capacity. */
  pieces: z.array(PlacedPiece),
  /** The snap that put data into it. */
  update: z.object({ commR: Commitment, commD: Commitment, pieces: z.array(PlacedPiece) }).nullable(),
  files: StoredFiles.nullable(),
  /** Why the chain says that no snap ever fits it: not looked for again until it is imported or rebuilt. */
  unfit: z.string().optional(),
  /** CIDs of its messages where known. */
  preCommit: z.string().nullable(),
  proveCommit: z.string().nullable(),
  replicaUpdate: z.string().nullable(),
  /** `sealed`, or what it was imported from: `lotus`, `damocles`, `curio`, `csv`, `sealpool`. */
  source: z.string().max(40),
});
export type SectorRecord = z.infer<typeof SectorRecord>;
