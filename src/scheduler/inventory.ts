/** Taking sectors over that others sealed: what is refused, what is new, what fills in what was not known. */
import { commitmentOfCid, isCommitmentOf } from '../schema/commitment-cid.ts';
import { type MinerId, type SectorName, sectorName } from '../schema/ids.ts';
import { sealProofInfo } from '../schema/seal-proof.ts';
import type { PlacedPiece, SectorRecord } from '../schema/sector-record.ts';
import type { Context } from './context.ts';
import { isFinal } from './machine.ts';
import { knownFiles } from './movable.ts';
import { planOf } from './plans/all.ts';

/** What became of a page of records. */
export type TakenOver = {
  imported: number;
  /** Known already, with everything that the import says. */
  unchanged: number;
  refused: { sector: SectorName; reason: string }[];
};

/**
 * Takes records over in this transaction. `may` says whose sectors the asker may bring; a miner that is not configured
 * and one of somebody else are refused alike. Miners must be spelt as configured.
 */
export function takeOver(ctx: Context, records: readonly SectorRecord[], may: (miner: MinerId) => boolean): TakenOver {
  const outcome: TakenOver = { imported: 0, unchanged: 0, refused: [] };
  for (const record of records) {
    const answer = takeOne(ctx, record, may);
    if (typeof answer === 'string') outcome.refused.push({ sector: sectorName(record.miner, record.number), reason: answer });
    else outcome[answer.changed ? 'imported' : 'unchanged'] += 1;
  }
  return outcome;
}

function takeOne(ctx: Context, given: SectorRecord, may: (miner: MinerId) => boolean): { changed: boolean } | string {
  const { miner, number } = given;
  if (!Object.hasOwn(ctx.settings.miners, miner) || !may(miner))
    return `miner ${miner} is not configured here; add a [[miners]] with id = "${miner}" and its seal_proof to the configuration and start again, or leave its sectors out`;
  const wrong = unsound(given);
  if (wrong !== undefined) return wrong;
  const job = ctx.tx.jobOfSector(miner, number);
  if (job !== undefined && !isFinal(job.state))
    return `job ${job.id} (${job.plan}, in ${job.state}) works on this sector; import it when that job has ended`;
  // A sector of an older database may have a job that finished and no record yet.
  const finished = job?.state === 'Finished' ? job : undefined;
  const known =
    ctx.tx.sectorRecord(miner, number) ?? (finished === undefined ? undefined : planOf(finished.plan).record(finished, undefined));
  if (known === undefined) return put(ctx, undefined, given);
  const moving = onItsWay(ctx, known, given);
  if (moving !== undefined) return moving;
  const differs = difference(known, given);
  if (differs === undefined) return put(ctx, known, merged(known, given));
  if (known.source !== 'sealed' && finished === undefined) return put(ctx, known, given);
  return `it was sealed or worked on here with another ${differs}; the file is of another sector or wrong, compare it with the chain`;
}

/** A move removes what it leaves behind: meanwhile nobody else says where the files are, nor of more of them. One that failed has left nothing. */
function onItsWay(ctx: Context, known: SectorRecord, { miner, number, files, update }: SectorRecord): string | undefined {
  const more = update !== null && known.update === null;
  const there = files !== null && files.storage !== known.files?.storage ? files.storage : undefined;
  const move = more || there !== undefined ? ctx.tx.storageMove(miner, number) : undefined;
  if (move === undefined || move.phase === 'failed') return undefined;
  const said = there === undefined ? 'tells of an update, which has more files' : `says ${there}`;
  const without = there === undefined ? '' : ', or leave out where it is';
  return `its files are being moved from storage ${move.from} to ${move.to}, and the import ${said}; import it when the move has ended (sealpool storage moves)${without}`;
}

function put(ctx: Context, known: SectorRecord | undefined, record: SectorRecord): { changed: boolean } {
  const same = known !== undefined && canonical({ ...known, source: '' }) === canonical({ ...record, source: '' });
  if (!same) ctx.tx.putSectorRecord(record);
  if (known !== undefined && known.files?.storage !== record.files?.storage) {
    // What was read, and whom it was told to, was about files elsewhere.
    ctx.tx.setChecked(record.miner, record.number, null, []);
    ctx.tx.setDeclared(record.miner, record.number, null);
  }
  return { changed: !same };
}

/** JSON with its keys in order: rows come back from the database in the order in which they were written. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  );
}

/** In what both records speak of and do not agree, if there is any. */
function difference(known: SectorRecord, given: SectorRecord): string | undefined {
  const told = (what: string, here: unknown, there: unknown): string | undefined =>
    here === there || here === undefined || here === null || there === undefined || there === null
      ? undefined
      : `${what} (${String(here)}, and not ${String(there)})`;
  return (
    told('CommR', known.commR.cid, given.commR.cid) ??
    told('seal proof', known.sealProof, given.sealProof) ??
    told('ticket epoch', known.ticket?.epoch, given.ticket?.epoch) ??
    told('ticket', known.ticket?.value, given.ticket?.value) ??
    told('CommD', known.commD?.cid, given.commD?.cid) ??
    told('CommR of its update', known.update?.commR.cid, given.update?.commR.cid)
  );
}

/** What is known stays, but for what kept snaps away; what was not known is filled in. What the import says of places wins: files do move. */
function merged(known: SectorRecord, given: SectorRecord): SectorRecord {
  const { ticket } = known;
  const { unfit: _unfit, ...fit } = known;
  const update = known.update ?? given.update;
  return {
    ...fit,
    ticket: ticket === null ? given.ticket : { ...ticket, value: ticket.value ?? given.ticket?.value ?? null },
    commD: known.commD ?? given.commD,
    update,
    files: placed(update, known.files, given.files),
    preCommit: known.preCommit ?? given.preCommit,
    proveCommit: known.proveCommit ?? given.proveCommit,
    replicaUpdate: known.replicaUpdate ?? given.replicaUpdate,
  };
}

/** Within one storage the list that we have stays. One that lacks the files of the update is none: a move would leave them behind. */
function placed(update: SectorRecord['update'], known: SectorRecord['files'], given: SectorRecord['files']): SectorRecord['files'] {
  const there = given ?? known;
  if (there === null) return null;
  const same = known !== null && known.storage === there.storage ? known : there;
  const listed = [same, there].map((files) => knownFiles({ update, files })).find((files) => files.length > 0);
  return { storage: there.storage, root: there.root === '' ? same.root : there.root, files: listed ?? null };
}

/** Why a record contradicts itself, if it does: a rebuild from it would fail hours later. */
function unsound(record: SectorRecord): string | undefined {
  const { commR, commD, update, sealProof } = record;
  const commitments = [
    ['CommR', 'sealed', commR],
    ['CommD', 'unsealed', commD],
    ["update's CommR", 'sealed', update?.commR ?? null],
    ["update's CommD", 'unsealed', update?.commD ?? null],
  ] as const;
  for (const [what, kind, commitment] of commitments) {
    if (commitment !== null && !isCommitmentOf(kind, commitment))
      return `the CID and the hex digits of its ${what} are not of one ${kind} commitment; export the sector again`;
  }
  const { sectorSizeBytes } = sealProofInfo(sealProof);
  for (const pieces of [record.pieces, update?.pieces ?? []]) {
    if (pieces.length > 0 && !covers(pieces, sectorSizeBytes))
      return `its pieces do not cover its ${sectorSizeBytes} bytes one after another, each at a multiple of its size; export the sector again`;
  }
  return undefined;
}

function covers(pieces: readonly PlacedPiece[], sectorSizeBytes: number): boolean {
  let end = 0;
  for (const { cid, paddedSizeBytes, offsetBytes } of pieces) {
    const size = Number(paddedSizeBytes);
    const fits = size >= 128 && size <= sectorSizeBytes && Number.isInteger(Math.log2(size)) && end % size === 0;
    if (!fits || Number(offsetBytes) !== end || commitmentOfCid('unsealed', cid) === undefined) return false;
    end += size;
  }
  return end === sectorSizeBytes;
}
