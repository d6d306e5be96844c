/** Sector numbers, and the pieces that go into a sector. */
import type { Job } from '../schema/job.ts';
import { SealpoolError } from '../schema/problem.ts';
import { sealProofInfo } from '../schema/seal-proof.ts';
import { change } from './change.ts';
import type { Context, MinerSettings } from './context.ts';
import type { PieceRow } from './ports.ts';

/** The configured miner, or a refusal that lists those there are. */
export function minerSettings(ctx: Context, miner: string): MinerSettings {
  const { miners } = ctx.settings;
  const found = Object.hasOwn(miners, miner) ? miners[miner] : undefined;
  if (found === undefined) {
    throw new SealpoolError(
      'bad_request',
      'unknown_miner',
      `miner ${miner} is not configured here; configured are ${Object.keys(miners).join(', ') || 'none'}`,
    );
  }
  return found;
}

/** Takes the next sector number in the job's own transaction. Numbers given out before are never given again. */
export function allocateNumber(ctx: Context, job: Job): Job {
  const { firstSector, lastSector } = minerSettings(ctx, job.miner);
  const taken = Number(ctx.tx.meta(takenKey(job.miner)) ?? -1);
  const number = ctx.tx.nextSectorNumber(job.miner, Math.max(firstSector, taken + 1), lastSector);
  if (number > lastSector) {
    throw new SealpoolError(
      'conflict',
      'numbers_used_up',
      `all sector numbers of ${job.miner} from ${firstSector} to ${lastSector} are taken; configure a further range`,
    );
  }
  return change(ctx, job, { number });
}

const takenKey = (miner: string): string => `taken:${miner}`;

/** The chain gave this number to somebody else: it and those below are not tried again. */
export function numberTaken(ctx: Context, job: Job): Job {
  ctx.tx.setMeta(takenKey(job.miner), String(job.number));
  return change(ctx, job, { number: null });
}

/** Sum of padded sizes with each piece aligned to its own size, as the actor folds CommD. */
export function alignedBytes(paddedSizes: readonly number[]): number {
  return paddedSizes.reduce((end, size) => Math.ceil(end / size) * size + size, 0);
}

/** Attaches the pieces a request named, else waiting ones as far as they fit; none: a CC sector. */
export function acquirePieces(ctx: Context, job: Job): Job {
  if (job.data.pieces.length > 0) return job;
  const room = sealProofInfo(job.data.sealProof).sectorSizeBytes;
  const taken: PieceRow[] = [];
  for (const piece of ctx.tx.waitingPieces(job.miner, 100)) {
    const sizes = [...taken, piece].map(({ paddedSizeBytes }) => Number(paddedSizeBytes));
    if (alignedBytes(sizes) <= room) taken.push(piece);
  }
  return attach(ctx, job, taken);
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
