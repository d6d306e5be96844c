/**
 * `sectorstore.json` in a path of miner storage: what lotus-miner and damocles know the path by. Fields and meaning are
 * lotus' (`LocalStorageMeta`): Weight 0 is read-only, MaxStorage 0 is no limit, empty lists allow everything.
 */
import { z } from 'zod';

export const META_FILE = 'sectorstore.json';

/** Lotus writes null for an empty list. */
const Names = z
  .array(z.string())
  .nullish()
  .transform((names) => names ?? []);
const bytes = z.number().nonnegative().default(0);

export const SectorStore = z.object({
  ID: z.string().min(1).max(100),
  Weight: bytes,
  CanSeal: z.boolean().default(false),
  CanStore: z.boolean().default(false),
  MaxStorage: bytes,
  Groups: Names,
  AllowTo: Names,
  AllowTypes: Names,
  DenyTypes: Names,
  AllowMiners: Names,
  DenyMiners: Names,
});
export type SectorStore = z.infer<typeof SectorStore>;

/** Types of the files that a sector's storage has to take: they stay together. */
const NEEDED = ['sealed', 'cache', 'update', 'update-cache'];
const TYPES = new Set([...NEEDED, 'unsealed']);

/** Why final files of a sector must not go into a path with this file; undefined: they may. */
export function storeRefusal({ CanStore, AllowTypes, DenyTypes }: SectorStore): string | undefined {
  if (!CanStore) return `its ${META_FILE} keeps it from long-term storage (CanStore)`;
  // Lotus drops names that it does not know; a list of such names only, then, allows everything.
  const allowed = AllowTypes.filter((type) => TYPES.has(type));
  const missing = NEEDED.find((type) => (allowed.length > 0 && !allowed.includes(type)) || DenyTypes.includes(type));
  return missing === undefined ? undefined : `its ${META_FILE} keeps ${missing} files out (AllowTypes, DenyTypes)`;
}
