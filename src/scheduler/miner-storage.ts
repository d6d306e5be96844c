/** Miner storage: what runners tell of their paths, and which path takes a sector's files. */
import type { AttemptId } from '../schema/ids.ts';
import type { Job } from '../schema/job.ts';
import { type Standing, type StoragePath, choosePath, isAway } from '../schema/miner-storage.ts';
import type { Context } from './context.ts';
import { audit, type Who } from './happened.ts';
import { closedBy, placeTaken } from './move-steps.ts';
import type { StageWork } from './plan.ts';
import type { RunnerRow } from './ports.ts';

/** Room for `sector.json`, for folders, and for what file systems need per file. */
export const BESIDE_BYTES = 2 ** 20;
/** The small fact that an operator keeps new sectors out of a storage. */
const cordonKey = (storage: string): string => `cordoned:${storage}`;
/** The small fact that a storage is being emptied. */
export const drainingKey = (storage: string): string => `draining:${storage}`;

export function isCordoned(ctx: Pick<Context, 'tx'>, storage: string): boolean {
  return (ctx.tx.meta(cordonKey(storage)) ?? '') !== '';
}

/** Whether its sectors are being moved to other paths. */
export function isDraining(ctx: Pick<Context, 'tx'>, storage: string): boolean {
  return (ctx.tx.meta(drainingKey(storage)) ?? '') !== '';
}

/** What of each storage is promised, and whether new sectors are kept out of it. */
export function standingOf(ctx: Context): (storage: string) => Standing {
  const reserved = ctx.tx.storageReserved();
  return (storage) => ({ reservedBytes: reserved.get(storage) ?? 0, cordoned: isCordoned(ctx, storage) });
}

/** Keeps new sectors out of a storage, or lets them in again. */
export function setCordoned(ctx: Context, storage: string, cordoned: boolean, who: Who): void {
  if (isCordoned(ctx, storage) === cordoned) return;
  ctx.tx.setMeta(cordonKey(storage), cordoned ? String(ctx.nowMs) : '');
  audit(ctx, who, cordoned ? 'storage.cordoned' : 'storage.uncordoned', { storage });
  ctx.signals.add('runners');
}

/**
 * Keeps what an own runner tells of its paths; what it tells no more is no path of it. Of a rented one nothing is kept.
 * Two paths of one name with different sectorstore.json are two disks: the later one takes nothing, since records name storage only.
 * A runner that is banned for good has no say in it.
 */
export function noteStorage(ctx: Context, runner: RunnerRow, told: readonly StoragePath[] | undefined): RunnerRow {
  if (told === undefined || runner.trust !== 'own') return runner;
  const before = ctx.tx.storagePaths();
  const own = new Map(before.filter((row) => row.runner === runner.id).map((row) => [row.path.id, row]));
  const ids = told.map(({ id }) => id);
  for (const path of told) {
    const other = before.find(
      (row) =>
        row.runner !== runner.id &&
        row.path.id === path.id &&
        otherDisk(row.path, path) &&
        !isNamesake(row.path) &&
        ctx.tx.runner(row.runner)?.status !== 'banned',
    );
    const problem = path.problem ?? (other === undefined ? null : `runner ${other.runner} ${NAMESAKE}; give one of them another id`);
    ctx.tx.putStoragePath({
      runner: runner.id,
      path: { ...path, problem },
      seenMs: ctx.nowMs,
      checking: own.get(path.id)?.checking ?? null,
    });
  }
  for (const id of own.keys()) if (!ids.includes(id)) ctx.tx.deleteStoragePath(runner.id, id);
  if (ids.length === runner.storage.length && ids.every((id) => runner.storage.includes(id))) return runner;
  const changed = { ...runner, storage: ids };
  ctx.tx.updateRunner(changed);
  return changed;
}

const NAMESAKE = 'has another disk under this name';
/** Whether the path takes nothing since another disk had its name before. */
const isNamesake = ({ problem }: StoragePath): boolean => problem?.includes(NAMESAKE) === true;
const otherDisk = (one: StoragePath, other: StoragePath): boolean =>
  one.storeId !== null && other.storeId !== null && one.storeId !== other.storeId;

/** Where Persist's files go: the work that says so and what is taken there; or why none of the runner's paths takes them. */
export type Placed =
  | { readonly placed: 'named'; readonly work: StageWork; readonly storage: string; readonly sizeBytes: number }
  /** It stores nothing, and what it reads is there; or the runner chooses: an agent that tells nothing of its paths. */
  | { readonly placed: 'free' }
  | { readonly placed: 'nowhere'; readonly why: string };

/** Chooses the path for a stage that stores files; one that reads them waits while its path is away. Pure but for reading. */
export function placeStored(ctx: Context, runner: RunnerRow, job: Job, given: StageWork): Placed {
  const { work } = given;
  if (work.kind !== 'persist') {
    const path = given.storage === null ? undefined : ctx.tx.storagePaths(runner.id).find((row) => row.path.id === given.storage)?.path;
    const reads = path === undefined || !(isAway(path) || isNamesake(path));
    return reads ? { placed: 'free' } : { placed: 'nowhere', why: `storage ${path.id}: ${path.problem}` };
  }
  const told = ctx.tx.storagePaths(runner.id);
  if (told.length === 0) return { placed: 'free' };
  const standing = standingOf(ctx);
  const moving = job.number === null ? undefined : ctx.tx.storageMove(job.miner, job.number);
  const closed = moving && closedBy(ctx, moving);
  const paths = told
    .filter(({ path }) => path.id !== closed && (work.storage === null || path.id === work.storage))
    .map(({ path }) => path);
  const sizeBytes = given.inputs.reduce((sum, { artifact }) => sum + Number(job.data.artifacts[artifact]?.sizeBytes ?? 0), BESIDE_BYTES);
  const before = ctx.tx.placesOfJob(job.id);
  const failed = new Set(
    before
      .filter(({ status, state, generation }) => status === 'failed' && state === job.state && generation === job.generation)
      .map(({ storage }) => storage),
  );
  const preferred = before.find(({ storage }) => !failed.has(storage))?.storage ?? job.data.record?.files?.storage;
  const chosen = choosePath(
    paths.map((path) => [path, standing(path.id)]),
    // A sector's update goes beside the sector, whoever may put new sectors there.
    work.storage === null ? job.miner : null,
    sizeBytes,
    { preferred, failed },
  );
  if ('why' in chosen) return { placed: 'nowhere', why: chosen.why };
  return { placed: 'named', storage: chosen.id, sizeBytes, work: { ...given, work: { ...work, storage: chosen.id } } };
}

/** Writes down what the attempt puts where: until it ends, that room is taken. */
export function takePlace(ctx: Context, job: Job, attempt: AttemptId, placed: Placed): void {
  if (placed.placed !== 'named') return;
  ctx.tx.insertStoragePlace({ attempt, job: job.id, storage: placed.storage, sizeBytes: placed.sizeBytes });
  if (job.number !== null) placeTaken(ctx, { miner: job.miner, number: job.number }, placed.storage);
}

/** Why the runner's storage does not take the files, or cannot be read, as a clause; undefined: nothing is against it. */
export function noRoom(ctx: Context, runner: RunnerRow, job: Job, work: StageWork): string | undefined {
  const placed = placeStored(ctx, runner, job, work);
  return placed.placed === 'nowhere' ? placed.why : undefined;
}
