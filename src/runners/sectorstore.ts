/**
 * `sectorstore.json` in a path of miner storage: what lotus-miner and damocles know the path by. Fields and meaning are
 * lotus' (`LocalStorageMeta`): Weight 0 is read-only, MaxStorage 0 is no limit, empty lists allow everything.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { errnoOf } from './failure.ts';
import { fsyncFolder } from './stored-drafts.ts';

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

/** The file of the path; undefined: there is none. Throws what is wrong with it. */
export async function readSectorStore(path: string): Promise<SectorStore | undefined> {
  const text = await readFile(join(path, META_FILE), 'utf8').catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  try {
    return SectorStore.parse(JSON.parse(text));
  } catch {
    throw new Error(`its ${META_FILE} is not what lotus writes; mend it`);
  }
}

/** Why final files of a sector must not go into a path with this file; undefined: they may. */
export function storeRefusal({ CanStore, AllowTypes, DenyTypes }: SectorStore): string | undefined {
  if (!CanStore) return `its ${META_FILE} keeps it from long-term storage (CanStore)`;
  // Lotus drops names that it does not know; a list of such names only, then, allows everything.
  const allowed = AllowTypes.filter((type) => TYPES.has(type));
  const missing = NEEDED.find((type) => (allowed.length > 0 && !allowed.includes(type)) || DenyTypes.includes(type));
  return missing === undefined ? undefined : `its ${META_FILE} keeps ${missing} files out (AllowTypes, DenyTypes)`;
}

export type NewStore = {
  readonly weight: number;
  readonly maxBytes: number;
  readonly allowMiners: string[];
  readonly denyMiners: string[];
};

/** Writes the file into a path that has none, for long-term storage; answers it. Throws when the path has one. */
export async function initSectorStore(path: string, { weight, maxBytes, allowMiners, denyMiners }: NewStore): Promise<SectorStore> {
  const store: SectorStore = {
    ID: randomUUID(),
    Weight: weight,
    CanSeal: false,
    CanStore: true,
    MaxStorage: maxBytes,
    Groups: [],
    AllowTo: [],
    AllowTypes: [],
    DenyTypes: [],
    AllowMiners: allowMiners,
    DenyMiners: denyMiners,
  };
  await mkdir(path, { recursive: true });
  const handle = await open(join(path, META_FILE), 'wx', 0o644).catch((error: unknown) => {
    if (errnoOf(error) === 'EEXIST') throw new Error(`${path} has a ${META_FILE} already; attach it without --init`);
    throw error;
  });
  try {
    await handle.writeFile(`${JSON.stringify(store, null, 2)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await fsyncFolder(path);
  return store;
}
