/** Miner storage as the API shows it. */
import { z } from 'zod';
import type { StorageMove } from '../scheduler/storage-rows.ts';
import { MinerId, RunnerId, SectorName, sectorName } from '../schema/ids.ts';
import { StoragePath } from '../schema/miner-storage.ts';
import { StoredFile } from '../schema/stage.ts';
import { UnixMs } from '../schema/units.ts';

/** `copy`: its files are being copied, or wait for that; `declare`: whoever does Window PoSt is told; `drop`: the old files go; `undo`: what was made goes; `failed`: it is tried again. */
export const MovePhase = z.enum(['copy', 'declare', 'drop', 'undo', 'failed']);

/** A sector's files on their way from one storage to another. */
export const MoveView = z.object({
  sector: SectorName,
  from: z.string(),
  to: z.string(),
  step: MovePhase,
  /** Its old path is drained, or somebody asked for it. */
  cause: z.enum(['drain', 'request']),
  /** When a runner was asked for the step; null: it waits for its turn, or for somebody to be told. */
  sinceMs: UnixMs.nullable(),
  sizeBytes: z.number(),
  /** What stood against it last. */
  why: z.string().nullable(),
});
export type MoveView = z.infer<typeof MoveView>;

export function moveView({ miner, number, from, to, phase, cause, asked, sizeBytes, why }: StorageMove): MoveView {
  return { sector: sectorName(miner, number), from, to, step: phase, cause, sinceMs: asked?.atMs ?? null, sizeBytes, why };
}

/** A path of a runner, as it told of it last. */
export const StorageView = z.object({
  ...StoragePath.shape,
  path: z.string(),
  storeId: z.string().nullable(),
  problem: z.string().nullable(),
  runner: RunnerId,
  seenMs: UnixMs,
  /** Promised to sectors on their way. */
  reservedBytes: z.number(),
  /** What new sectors can still take. */
  roomBytes: z.number(),
  /** An operator keeps new sectors out. */
  cordoned: z.boolean(),
  /** Its sectors are being moved to other paths of its runner. */
  draining: z.boolean(),
  /** The sector that is on its way from there, where to, and what is being done. */
  moving: z.object({ sector: SectorName, to: z.string(), step: MovePhase }).nullable(),
  /** How many sectors are on their way from there, those that wait for their turn among them. */
  moves: z.number().int(),
  /** Why what is left there does not move. */
  stays: z.string().nullable(),
  /** How many sectors are there. */
  sectors: z.number().int(),
  /** Those among them that were finished here while nobody who does Window PoSt was told. */
  undeclared: z.number().int(),
  /** The sector whose files are being read against their hashes. */
  checking: SectorName.nullable(),
});
export type StorageView = z.infer<typeof StorageView>;

/** Where a sector's files are. `files` null: it was imported, and nobody knows their hashes. */
export const StoredSectorView = z.object({
  sector: SectorName,
  miner: MinerId,
  storage: z.string(),
  root: z.string(),
  files: z.array(StoredFile).nullable(),
  /** When they were last read against their hashes. */
  checkedMs: UnixMs.nullable(),
  /** Which of them were bad then, and how. */
  damage: z.array(z.object({ path: z.string(), how: z.string() })),
  /** Whether whoever does Window PoSt was told of the files and sees them; null: nobody knows, as of a sector that was imported. */
  declared: z.enum(['yes', 'no', 'under_way']).nullable(),
  /** Where the files are on their way to; null: they stay. */
  moving: MoveView.nullable(),
});
export type StoredSectorView = z.infer<typeof StoredSectorView>;

/** `sectors`: how many it is about. */
export const StorageAnswer = z.object({ storage: z.string(), sectors: z.number().int() });
export type StorageAnswer = z.infer<typeof StorageAnswer>;
