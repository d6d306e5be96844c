/** Miner storage as the API shows it. */
import { z } from 'zod';
import { MinerId, RunnerId, SectorName } from '../schema/ids.ts';
import { StoragePath } from '../schema/miner-storage.ts';
import { StoredFile } from '../schema/stage.ts';
import { UnixMs } from '../schema/units.ts';

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
  moving: z.object({ sector: SectorName, to: z.string(), step: z.enum(['copy', 'declare', 'drop', 'undo', 'failed']) }).nullable(),
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
});
export type StoredSectorView = z.infer<typeof StoredSectorView>;

/** `sectors`: how many it is about. */
export const StorageAnswer = z.object({ storage: z.string(), sectors: z.number().int() });
export type StorageAnswer = z.infer<typeof StorageAnswer>;
