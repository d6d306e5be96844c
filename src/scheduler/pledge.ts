/** Queues jobs. Everything that can be told before a job exists is refused before anything is touched. */
import type { MinerId, PieceId } from '../schema/ids.ts';
import type { Asked, Job } from '../schema/job.ts';
import { SealpoolError } from '../schema/problem.ts';
import { type SealProof, payloadBytes, sealProofInfo } from '../schema/seal-proof.ts';
import type { SectorRecord } from '../schema/sector-record.ts';
import { alignedBytes, attach, minerSettings } from './allocate.ts';
import type { Context } from './context.ts';
import { heldByEnded } from './ended.ts';
import { recordOrRefuse, refuseUnfit } from './existing.ts';
import { isFinal } from './machine.ts';
import { insertJob } from './new-job.ts';
import type { Plan } from './plan.ts';
import type { PieceRow } from './ports.ts';
import { planOf } from './plans/all.ts';
import { assignThreads } from './threads.ts';

export type Pledge = {
  readonly plan: string;
  readonly miner: MinerId;
  readonly count: number;
  /** Client data, in this order. */
  readonly pieces?: readonly PieceId[] | undefined;
  /** Number of the sector that exists (snapup, rebuild, unseal). */
  readonly sector?: number | undefined;
  /** Unseal: unpadded bytes of the data, decimal; without it the whole. */
  readonly range?: { readonly offsetBytes: string; readonly sizeBytes: string } | undefined;
  /** Finish without looking on the chain whether the last message landed. */
  readonly skipOnchainCheck?: boolean | undefined;
};

/** A request that holds. */
type CheckedPledge = {
  readonly plan: Plan;
  readonly sealProof: SealProof;
  readonly asked: Asked | undefined;
  readonly pieces: readonly PieceRow[] | undefined;
};

const badRequest = (code: string, message: string): SealpoolError => new SealpoolError('bad_request', code, message);
const conflict = (code: string, message: string): SealpoolError => new SealpoolError('conflict', code, message);

/** Queues `count` jobs; free threads of the plan take them one after another. */
export function pledge(ctx: Context, request: Pledge, actor: string): Job[] {
  const { plan, sealProof, asked, pieces } = checked(ctx, request);
  const made = Array.from({ length: request.count }, () => {
    const job = insertJob(ctx, { plan, miner: request.miner, sealProof, asked }, actor);
    // Named by a request: they go into no other sector by themselves, also when this job is given up.
    return pieces === undefined
      ? job
      : attach(
          ctx,
          job,
          pieces.map((piece) => ({ ...piece, reserved: true })),
        );
  });
  assignThreads(ctx);
  return made.map((job) => ctx.tx.job(job.id) ?? job);
}

/** Throws the first refusal, with what to do. */
function checked(ctx: Context, request: Pledge): CheckedPledge {
  const plan = planOf(request.plan);
  const { sealProof } = minerSettings(ctx, request.miner);
  checkShape(plan, request);
  const record = request.sector === undefined ? undefined : sectorFor(ctx, plan, request.miner, request.sector);
  if (record !== undefined) refuseUnfit(plan.name, record, request.pieces?.length ?? 0);
  const proof = record?.sealProof ?? sealProof;
  if (request.range !== undefined) checkRange(request.range, payloadBytes(proof));
  const pieces = request.pieces === undefined ? undefined : piecesFor(ctx, request.miner, request.pieces, proof);
  const asked: Asked = {
    ...(request.sector === undefined ? {} : { number: request.sector }),
    ...(request.range === undefined ? {} : { range: request.range }),
    ...(request.skipOnchainCheck === true ? { skipOnchainCheck: true } : {}),
  };
  return { plan, sealProof: proof, asked: Object.keys(asked).length === 0 ? undefined : asked, pieces };
}

/** What the plan takes, whatever the sector. */
function checkShape(plan: Plan, { sector, count, pieces, range, skipOnchainCheck }: Pledge): void {
  if (!Number.isSafeInteger(count) || count < 1) throw badRequest('bad_count', `${count} jobs cannot be queued; ask for one or more`);
  if (plan.existing === null && sector !== undefined)
    throw badRequest('sector_unwanted', `the ${plan.name} plan takes the next free number by itself; leave the sector out`);
  if (plan.existing === 'asked' && sector === undefined)
    throw badRequest('sector_missing', `the ${plan.name} plan works on a sector that exists; name it with its number (--sector)`);
  if (sector !== undefined && count !== 1)
    throw badRequest('sector_count', `one sector is one job: ask for count 1 when you name a sector, not ${count}`);
  if (pieces !== undefined && pieces.length > 0 && count !== 1)
    throw badRequest('pieces_count', 'pieces go into one sector: ask for count 1 when you name pieces');
  if (plan.name === 'unseal' && pieces !== undefined && pieces.length > 0)
    throw badRequest('pieces_unwanted', 'unsealing takes data out of a sector and puts none in; leave the pieces out');
  if (plan.name !== 'unseal' && range !== undefined)
    throw badRequest('range_unwanted', `the ${plan.name} plan works on whole sectors; a range is for unseal only`);
  if (skipOnchainCheck === true && Object.keys(plan.messages).length === 0)
    throw badRequest('skip_unwanted', `the ${plan.name} plan sends no message whose landing could be skipped; leave skipOnchainCheck out`);
}

/** The record of a sector that no live job has, and no message of an ended one may still change. */
function sectorFor(ctx: Context, plan: Plan, miner: MinerId, number: number): SectorRecord {
  const live = ctx.tx.jobOfSector(miner, number);
  if (live !== undefined && !isFinal(live.state)) {
    throw conflict(
      'sector_busy',
      `sector ${number} of ${miner} is in job ${live.id} already (${live.plan}, ${live.state}${live.paused ? ', paused' : ''}); wait for it or abort it, then ask for the ${plan.name} again`,
    );
  }
  const held = heldByEnded(ctx, miner, number);
  if (held !== undefined) throw conflict('sector_busy', `${held}; ask for the ${plan.name} again then`);
  return recordOrRefuse(ctx, miner, number);
}

/** A range of unpadded bytes that lies in the sector's data. */
function checkRange({ offsetBytes, sizeBytes }: { offsetBytes: string; sizeBytes: string }, payload: number): void {
  const [offset, size] = [Number(offsetBytes), Number(sizeBytes)];
  if (Number.isSafeInteger(offset) && Number.isSafeInteger(size) && offset >= 0 && size > 0 && offset + size <= payload) return;
  throw badRequest(
    'bad_range',
    `${sizeBytes} bytes from byte ${offsetBytes} are not in the sector, which holds ${payload} bytes of data; name a range inside, of at least one byte`,
  );
}

/** Pieces that are there, free, and fit together. */
function piecesFor(ctx: Context, miner: MinerId, ids: readonly PieceId[], sealProof: SealProof): PieceRow[] {
  const rows = [...new Set(ids)].map((id) => {
    const row = ctx.tx.piece(id);
    if (row === undefined || row.miner !== miner)
      throw new SealpoolError(
        'not_found',
        'not_found',
        `there is no piece ${id} of ${miner}; upload it with POST /v1/pieces?miner=${miner}&reserved=true (sealpool pieces add --reserved)`,
      );
    if (row.job !== null)
      throw conflict('piece_taken', `piece ${id} is in job ${row.job} already; upload it again with --reserved for another sector`);
    return row;
  });
  const room = sealProofInfo(sealProof).sectorSizeBytes;
  const needed = alignedBytes(rows.map(({ paddedSizeBytes }) => Number(paddedSizeBytes)));
  if (needed <= room) return rows;
  throw new SealpoolError(
    'unprocessable',
    'pieces_too_large',
    `these pieces need ${needed} padded bytes and a sector has ${room}; name fewer`,
  );
}
