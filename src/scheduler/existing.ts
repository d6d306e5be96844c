/** Jobs on sectors that exist: which one a job takes, and the pieces that go with it. */
import type { Job, PlanName } from '../schema/job.ts';
import type { SectorRecord } from '../schema/sector-record.ts';
import { SealpoolError } from '../schema/problem.ts';
import { acquirePieces } from './allocate.ts';
import { change } from './change.ts';
import type { Context } from './context.ts';
import { heldByEnded } from './ended.ts';
import { isFinal } from './machine.ts';
import { planOf } from './plans/all.ts';

/** `job`: it has its sector now. `wait`: nothing fits at the moment; looked at again by itself. */
export type Picked =
  | { readonly picked: true; readonly job: Job }
  | { readonly picked: false; readonly job: Job; readonly code: string; readonly message: string };

/** Pieces of a record that hold client data. */
export function dataPieces(record: SectorRecord): readonly { cid: string; paddedSizeBytes: string }[] {
  return (record.update?.pieces ?? record.pieces).filter(({ filler }) => filler !== true);
}

/** The record of the sector, or a refusal that says how to make it known. */
export function recordOrRefuse(ctx: Context, miner: Job['miner'], number: number): SectorRecord {
  const record = ctx.tx.sectorRecord(miner, number);
  if (record !== undefined) return record;
  throw new SealpoolError(
    'not_found',
    'sector_unknown',
    `sector ${number} of ${miner} is not known here; take it over first with sealpool import, from the system that sealed it or from its sector.json`,
  );
}

/** Takes the sector that the request named, or the next committed-capacity one. Throws a SealpoolError when it cannot be. */
export function pickSector(ctx: Context, job: Job): Picked {
  const plan = planOf(job.plan);
  const named = job.data.asked?.number;
  if (named !== undefined) {
    const held = heldByEnded(ctx, job.miner, named);
    if (held !== undefined) return { picked: false, job, code: 'sector_busy', message: `${held}; this job goes on then` };
    const record = recordOrRefuse(ctx, job.miner, named);
    const other = ctx.tx.jobOfSector(job.miner, named);
    if (other !== undefined && other.id !== job.id && !isFinal(other.state)) {
      const message = `sector ${named} of ${job.miner} is in job ${other.id} (${other.plan}, ${other.state}); this job goes on once that has ended`;
      return { picked: false, job, code: 'sector_busy', message };
    }
    refuseUnfit(job.plan, record, job.data.pieces.length);
    return { picked: true, job: take(ctx, withExpectedCids(job, record), record) };
  }
  if (plan.existing !== 'asked_or_next') {
    throw new SealpoolError(
      'bad_request',
      'sector_missing',
      `the ${plan.name} plan works on a sector that exists; name it with its number`,
    );
  }
  const acquired = acquirePieces(ctx, job);
  // One that it took before it went back is a candidate again, for itself too.
  const filled = acquired.number === null ? acquired : change(ctx, acquired, { number: null });
  if (filled.data.pieces.length === 0) {
    return { picked: false, job, code: 'no_deals', message: `no piece of ${job.miner} waits for a sector to snap; upload one` };
  }
  const [record] = ctx.tx.snapCandidates(job.miner, (job.data.asked?.after ?? -1) + 1, 1);
  if (record !== undefined) return { picked: true, job: take(ctx, filled, record) };
  const { after: _after, ...asked } = filled.data.asked ?? {};
  return {
    picked: false,
    job: change(ctx, filled, { data: { ...filled.data, asked } }),
    code: 'no_candidate',
    message: `no committed-capacity sector of ${job.miner} with stored files can take the data now; seal one, or import those you have`,
  };
}

/** Refuses what the plan cannot do with this sector and so many pieces. */
export function refuseUnfit(plan: PlanName, record: SectorRecord, pieces: number): void {
  const name = `sector ${record.number} of ${record.miner}`;
  const refuse = (code: string, message: string): never => {
    throw new SealpoolError('conflict', code, message);
  };
  if (plan !== 'rebuild' && record.files === null) {
    refuse('files_unknown', `nobody knows where the files of ${name} are; import it again with --storage, or rebuild it`);
  }
  if (plan === 'snapup') {
    if (record.update !== null || record.pieces.length > 0) {
      refuse('not_cc', `${name} holds data already, and only a committed-capacity sector can be snapped; name another one`);
    }
    if (pieces === 0)
      refuse('pieces_missing', `a snap puts data into a sector; upload a piece (sealpool pieces add --reserved) and name it with --piece`);
  }
  if (plan !== 'rebuild') return;
  const known = dataPieces(record);
  if (known.length === pieces || (known.length === 0 && record.update === null)) return;
  // Whether an update landed, only the chain knows: without it the sector is made of zeros.
  const sealed = record.pieces.filter(({ filler }) => filler !== true);
  if (record.update !== null && sealed.length === 0 && pieces === 0) return;
  refuse(
    'pieces_missing',
    `${name} holds ${known.length} pieces (${known.map(({ cid }) => cid).join(', ')}) and ${pieces} were given; upload them (sealpool pieces add --reserved) and name them in this order with --piece`,
  );
}

/** The prover compares each uploaded piece with the CID that the sector is known to hold. */
function withExpectedCids(job: Job, record: SectorRecord): Job {
  if (job.plan !== 'rebuild') return job;
  const known = dataPieces(record);
  const pieces = job.data.pieces.map((piece, at) => ({ ...piece, ...known[at] }));
  return { ...job, data: { ...job.data, pieces } };
}

function take(ctx: Context, job: Job, record: SectorRecord): Job {
  const { ticket, sealProof, commR } = record;
  const known = ticket === null || ticket.value === null ? {} : { ticket: { epoch: ticket.epoch, value: ticket.value } };
  // A rebuild makes CommR anew and has to come to the same one.
  const made = planOf(job.plan).madeIn.commR === 'Empty' ? { commR } : {};
  return change(ctx, job, { number: record.number, data: { ...job.data, record, sealProof, ...made, ...known } });
}

/** This sector does not fit: its number goes back and those after it are looked at. `unfit`: why it never will, which its record keeps. */
export function passOver(ctx: Context, job: Job, unfit: string | undefined): Job {
  const known = job.number === null ? undefined : ctx.tx.sectorRecord(job.miner, job.number);
  if (known !== undefined && unfit !== undefined) ctx.tx.putSectorRecord({ ...known, unfit });
  const { record: _record, onChain: _onChain, commR: _commR, ticket: _ticket, ...rest } = job.data;
  return change(ctx, job, { number: null, data: { ...rest, asked: { ...rest.asked, after: job.number ?? 0 } } });
}

/**
 * A job stored files of its sector anew where they were: the record has their hashes from now on, however the job ends. A check that
 * reads the sector just now compares with those of before, and says nothing.
 */
export function storedAnew(ctx: Context, { miner, number, data: { stored } }: Job): void {
  const known = number === null ? undefined : ctx.tx.sectorRecord(miner, number);
  const before = known?.files ?? null;
  if (known === undefined || before === null || before.files === null || before.storage !== stored?.storage) return;
  const anew = new Map((stored.files ?? []).map((file) => [file.path, file]));
  const files = before.files.map((file) => anew.get(file.path) ?? file);
  ctx.tx.putSectorRecord({ ...known, files: { ...before, files } });
  for (const row of ctx.tx.storagePaths())
    if (row.checking?.miner === miner && row.checking.number === number) ctx.tx.putStoragePath({ ...row, checking: null });
}
