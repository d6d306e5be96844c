/** Sector numbers, and the pieces that go into a sector. */
import type { Job } from '../schema/job.ts';
import { SealpoolError } from '../schema/problem.ts';
import { sealProofInfo } from '../schema/seal-proof.ts';
import { change } from './change.ts';
import type { Context, MinerSettings, SectorRange, ThreadSettings } from './context.ts';
import type { PieceRow } from './ports.ts';
import { proofAtAllocate } from './proof-type.ts';

/** The configured miner; undefined: the configuration has lost it, and what it has in flight is finished without. */
export function knownMiner(ctx: Context, miner: string): MinerSettings | undefined {
  const { miners } = ctx.settings;
  return Object.hasOwn(miners, miner) ? miners[miner] : undefined;
}

/** The configured miner, or a refusal that lists those there are. */
export function minerSettings(ctx: Context, miner: string): MinerSettings {
  const { miners } = ctx.settings;
  const found = knownMiner(ctx, miner);
  if (found === undefined) {
    throw new SealpoolError(
      'bad_request',
      'unknown_miner',
      `miner ${miner} is not configured here; configured are ${Object.keys(miners).join(', ') || 'none'}`,
    );
  }
  return found;
}

/** The configuration of the sealing_thread that runs the job. */
export function threadSettings(ctx: Context, job: Job): ThreadSettings | undefined {
  if (job.thread === null) return undefined;
  return ctx.settings.threads.find(({ worker, index }) => `${worker}/${index}` === job.thread);
}

/** Whether the job may seal zeros: its thread says so, else its miner. */
export function allowsCc(ctx: Context, job: Job): boolean {
  return threadSettings(ctx, job)?.allowCc ?? minerSettings(ctx, job.miner).allowCc;
}

/** The ranges of sector numbers that are ours, in the order they are used. */
function rangesOf({ ranges, firstSector, lastSector }: MinerSettings): readonly SectorRange[] {
  return ranges ?? [{ first: firstSector, last: lastSector }];
}

/** Takes the next sector number in the job's own transaction. Numbers given out before are never given again. */
export function allocateNumber(ctx: Context, job: Job): Job {
  const settings = minerSettings(ctx, job.miner);
  const ranges = rangesOf(settings);
  for (const range of ranges) {
    const taken = Number(ctx.tx.meta(takenKey(job.miner, range)) ?? -1);
    const number = ctx.tx.nextSectorNumber(job.miner, Math.max(range.first, taken + 1), range.last);
    if (number <= range.last) return change(ctx, job, { number, data: { ...job.data, sealProof: proofAtAllocate(ctx, job, settings) } });
  }
  const listed = ranges.map(({ first, last }) => `${first} to ${last}`).join(', ');
  throw new SealpoolError(
    'conflict',
    'numbers_used_up',
    `all sector numbers of ${job.miner} from ${listed} are taken; configure a further range, then resume`,
  );
}

const takenKey = (miner: string, { first }: SectorRange): string => `taken:${miner}:${first}`;

/** The chain gave this number to somebody else: it and those below in its range are not tried again. */
export function numberTaken(ctx: Context, job: Job): Job {
  const { number } = job;
  const range = rangesOf(minerSettings(ctx, job.miner)).find(({ first, last }) => number !== null && first <= number && number <= last);
  if (range !== undefined) ctx.tx.setMeta(takenKey(job.miner, range), String(number));
  return change(ctx, job, { number: null });
}

/** Sum of padded sizes with each piece aligned to its own size, as the actor folds CommD. */
export function alignedBytes(paddedSizes: readonly number[]): number {
  return paddedSizes.reduce((end, size) => Math.ceil(end / size) * size + size, 0);
}

/** Attaches the pieces a request named, else waiting ones as far as they fit and the thread takes them; none: a CC sector. */
export function acquirePieces(ctx: Context, job: Job): Job {
  if (job.data.pieces.length > 0) return job;
  const room = sealProofInfo(job.data.sealProof).sectorSizeBytes;
  const { minDeals = 0, maxDeals = Number.POSITIVE_INFINITY } = threadSettings(ctx, job) ?? {};
  const taken: PieceRow[] = [];
  for (const piece of ctx.tx.waitingPieces(job.miner, 100)) {
    if (taken.length >= maxDeals) break;
    const sizes = [...taken, piece].map(({ paddedSizeBytes }) => Number(paddedSizeBytes));
    if (alignedBytes(sizes) <= room) taken.push(piece);
  }
  return taken.length < minDeals || taken.length === 0 ? job : attach(ctx, job, taken);
}

/** Marks pieces as this job's and writes them into its data. */
export function attach(ctx: Context, job: Job, pieces: readonly PieceRow[]): Job {
  for (const piece of pieces) ctx.tx.updatePiece({ ...piece, job: job.id });
  const attached = pieces.map(({ id, cid, paddedSizeBytes, sizeBytes, key, hash }) => ({
    id,
    cid: cid ?? '',
    paddedSizeBytes,
    sizeBytes,
    key,
    hash,
  }));
  return change(ctx, job, { data: { ...job.data, pieces: attached } });
}
