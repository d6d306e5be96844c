/** Miner storage: the paths of a runner as it tells of them, and which one takes a sector's files. */
import { z } from 'zod';
import { printable } from './printable.ts';

/** Ids of storage as the configuration writes them. */
export const STORAGE_ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,59}$/;
export const StorageId = z.string().regex(STORAGE_ID, 'letters, digits and _ . - only, 60 at most');

const BUCKET = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:\/[A-Za-z0-9][A-Za-z0-9_.-]{0,63}){0,8})\/?$/;

/** Whether a path of miner storage is a bucket and not a folder. */
export function isBucket(path: string): boolean {
  return path.startsWith('s3://');
}

/** What `s3://NAME/PREFIX` names; `prefix` is empty or ends in a slash. Undefined: it is written otherwise. */
export function bucketOf(path: string): { readonly bucket: string; readonly prefix: string } | undefined {
  const [, bucket, prefix = ''] = BUCKET.exec(path) ?? [];
  return bucket === undefined || prefix.includes('..') ? undefined : { bucket, prefix: prefix === '' ? '' : `${prefix.slice(1)}/` };
}

const bytes = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const Miners = z.array(z.string().regex(/^[tf]0[0-9]{1,19}$/, 'not the id address of a miner')).max(100);
/** A path is preferred by its free space times this; 0: nothing is put there, as lotus reads it too. */
export const Weight = z.number().int().min(0).max(1_000_000);

/** One path of miner storage and how it stands now. What is said of it comes from the configuration, else from its sectorstore.json. */
export const StoragePath = z.strictObject({
  id: StorageId,
  path: printable(500),
  /** ID in its sectorstore.json: what lotus knows it by; null: it has none. */
  storeId: printable(100).nullable(),
  weight: Weight,
  /** Bytes that are kept free. */
  reserveBytes: bytes,
  readOnly: z.boolean(),
  /** Miners whose sectors may go there; empty: all but those of `denyMiners`. */
  allowMiners: Miners,
  denyMiners: Miners,
  /** Why nothing can be put there now; null: it can be. */
  problem: printable(300).nullable(),
  /** What the file system has left, or less where sectorstore.json limits it. */
  freeBytes: bytes,
  totalBytes: bytes,
});
export type StoragePath = z.infer<typeof StoragePath>;

/** Whether what it holds cannot be read now. One that only takes nothing, since its sectorstore.json keeps files out, has told its size. */
export function isAway({ problem, totalBytes }: Pick<StoragePath, 'problem' | 'totalBytes'>): boolean {
  return problem !== null && totalBytes === 0;
}

/** What of a path is promised to others, and whether an operator keeps new sectors out. */
export type Standing = { readonly reservedBytes: number; readonly cordoned: boolean };

/** Bytes that can still be put there; never below 0. */
export function roomIn({ freeBytes, reserveBytes }: StoragePath, { reservedBytes }: Pick<Standing, 'reservedBytes'>): number {
  return Math.max(0, freeBytes - reserveBytes - reservedBytes);
}

/** `t01000` and `f01000` are one miner. */
const sameMiner = (one: string, other: string): boolean => one.slice(1) === other.slice(1);

/**
 * Why the path does not take so many bytes of this miner, as a clause; undefined: it does. The rules of lists and weight are lotus'.
 * `miner` null: the sector's files are there already, so that only what the disk allows counts.
 */
export function refusalOf(path: StoragePath, standing: Standing, miner: string | null, sizeBytes: number): string | undefined {
  if (path.problem !== null) return path.problem;
  if (path.readOnly) return 'it is read-only';
  return (miner === null ? undefined : unwanted(path, standing, miner)) ?? tooSmall(path, standing, sizeBytes);
}

function unwanted({ weight, allowMiners, denyMiners }: StoragePath, { cordoned }: Standing, miner: string): string | undefined {
  if (weight === 0) return 'its weight is 0: nothing is put there';
  if (cordoned) return 'new sectors are kept out of it (cordon)';
  if (allowMiners.length > 0 && !allowMiners.some((one) => sameMiner(one, miner))) return `it is for ${allowMiners.join(', ')} only`;
  return denyMiners.some((one) => sameMiner(one, miner)) ? `it takes nothing of ${miner}` : undefined;
}

function tooSmall(path: StoragePath, standing: Standing, sizeBytes: number): string | undefined {
  if (roomIn(path, standing) >= sizeBytes) return undefined;
  const less = [
    ...(path.reserveBytes > 0 ? [`${path.reserveBytes} are kept free`] : []),
    ...(standing.reservedBytes > 0 ? [`${standing.reservedBytes} are promised to sectors on their way`] : []),
  ];
  return `it has ${path.freeBytes} bytes free${less.length === 0 ? '' : `, of which ${less.join(' and ')}`}, and ${sizeBytes} are needed; free space there`;
}

/** What speaks for a path beside free space × weight. */
export type Wish = {
  /** Files of the sector are there already, or may be: they stay together. */
  readonly preferred?: string | undefined;
  /** Paths that failed before: others go first. */
  readonly failed: ReadonlySet<string>;
};

export type Choice = { readonly id: string } | { readonly why: string };

/** The path that takes the sector: free space × weight decides, ties go to the lower id. `why` names what stands against each. */
export function choosePath(
  paths: readonly (readonly [StoragePath, Standing])[],
  miner: string | null,
  sizeBytes: number,
  { preferred, failed }: Wish,
): Choice {
  const refusals: string[] = [];
  let best: { id: string; rank: number; score: number } | undefined;
  for (const [path, standing] of paths) {
    const refusal = refusalOf(path, standing, miner, sizeBytes);
    if (refusal !== undefined) {
      refusals.push(`${path.id}: ${refusal}`);
      continue;
    }
    const rank = failed.has(path.id) ? 0 : path.id === preferred ? 2 : 1;
    const score = roomIn(path, standing) * path.weight;
    const ahead = best === undefined || rank > best.rank || (rank === best.rank && score > best.score);
    const tied = best !== undefined && rank === best.rank && score === best.score && path.id < best.id;
    if (ahead || tied) best = { id: path.id, rank, score };
  }
  if (best !== undefined) return { id: best.id };
  return { why: refusals.length === 0 ? 'it has no miner storage' : `none of its miner storage takes the files (${refusals.join('; ')})` };
}
