/** Whether a sector's files can move to a path, and what stands against it. */
import { type MinerId, sectorName } from '../schema/ids.ts';
import { isBucket, refusalOf } from '../schema/miner-storage.ts';
import { SealpoolError } from '../schema/problem.ts';
import type { SectorRecord } from '../schema/sector-record.ts';
import type { StoredFile } from '../schema/stage.ts';
import type { Context } from './context.ts';
import { isFinal } from './machine.ts';
import { BESIDE_BYTES, standingOf } from './miner-storage.ts';
import type { StoragePathRow } from './storage-rows.ts';

/** All files of the sector, with their hashes; empty where nobody knows all of them: an import may tell of an update whose files it does not list. */
export function knownFiles({ update, files }: Pick<SectorRecord, 'update' | 'files'>): StoredFile[] {
  const listed = files?.files ?? [];
  return update === null || listed.some(({ path }) => path.startsWith('update/')) ? listed : [];
}

/** Bytes that the sector's files take in a path. */
export const sizeOf = ({ files }: SectorRecord): number =>
  (files?.files ?? []).reduce((sum, { sizeBytes }) => sum + Number(sizeBytes), BESIDE_BYTES);

/** Whether a job has the sector, or may still say something of its files. */
export function isBusy(ctx: Context, miner: MinerId, number: number): boolean {
  const job = ctx.tx.jobOfSector(miner, number);
  return (job !== undefined && !isFinal(job.state)) || ctx.tx.followedJob(miner, number) !== undefined;
}

/** Throws `nobody_to_tell` where files would move without whoever does Window PoSt being told, unless it is forced. */
export function needsTelling(ctx: Context, what: string, force: boolean): void {
  if (ctx.settings.declares === true || force) return;
  throw new SealpoolError(
    'conflict',
    'nobody_to_tell',
    `nobody who does Window PoSt would be told that the files are elsewhere; set storage.declare, or ${what} with force and see to it yourself before the next deadline`,
  );
}

/** What stands against moving a recorded sector to the path `to`, with what to do; undefined: nothing. `promised`: bytes that go there besides. */
export function againstMove(ctx: Context, record: SectorRecord, to: string, promised = 0): string | undefined {
  return againstSector(ctx, record, to) ?? againstPaths(ctx, record, to, promised);
}

function againstSector(ctx: Context, record: SectorRecord, to: string): string | undefined {
  const { miner, number, files } = record;
  if (files === null) return 'nobody knows where its files are; import it with its storage';
  if (files.storage === to) return `it is in storage ${to} already`;
  if (knownFiles(record).length === 0)
    return 'nobody knows the hashes of all its files, it was imported without them; move them by hand and import it again';
  const damage = ctx.tx.storedSector(miner, number)?.damage ?? [];
  if (damage.length > 0)
    return `${damage.length} of its files are bad; rebuild it first (sealpool sectors rebuild ${sectorName(miner, number)})`;
  const job = ctx.tx.jobOfSector(miner, number);
  if (job !== undefined && !isFinal(job.state)) return `job ${job.id} has it (${job.state}); move it when that has ended`;
  return isBusy(ctx, miner, number) ? 'a message of its last job may still come off the chain; move it when that is settled' : undefined;
}

/** The runner that has both paths copies. Several may have them, and one that can is enough. */
function againstPaths(ctx: Context, record: SectorRecord, to: string, promised: number): string | undefined {
  const from = record.files?.storage ?? '';
  const paths = ctx.tx.storagePaths();
  const bucket = paths.find(({ path }) => (path.id === from || path.id === to) && isBucket(path.path));
  if (bucket !== undefined)
    return `storage ${bucket.path.id} is a bucket, and files are moved between folders only; copy its objects with a tool for buckets`;
  const standing = standingOf(ctx)(to);
  const taken = { ...standing, reservedBytes: standing.reservedBytes + promised };
  let why: string | undefined;
  for (const source of paths.filter(({ path }) => path.id === from)) {
    const target = paths.find(({ runner, path }) => runner === source.runner && path.id === to);
    if (target === undefined) continue;
    const refusal = againstSource(source);
    const refused = refusalOf(target.path, taken, record.miner, sizeOf(record));
    if (refusal === undefined && refused === undefined) return undefined;
    why ??= refusal ?? `storage ${to}: ${refused}`;
  }
  return why ?? `no runner has both storage ${from} and ${to}; give one runner both (runner.storage)`;
}

function againstSource({ path: { id, problem, readOnly } }: StoragePathRow): string | undefined {
  if (problem !== null) return `storage ${id}: ${problem}`;
  return readOnly ? `storage ${id} is read-only, so that the old files could not be removed; make it writable` : undefined;
}
