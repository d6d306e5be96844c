/** What every source's parser gives: records that can be taken, and a sentence for each row that cannot. */
import type { SectorRecord, StoredFiles } from '../schema/sector-record.ts';
import { sealProofInfo } from '../schema/seal-proof.ts';
import type { Commitment } from '../schema/units.ts';
import { type SizedPiece, placePieces, zeroPiece } from './pieces.ts';
import { type ParseOptions, RowRefused, commitmentOf, isAbsent, messageOf, minerOf, sealProofOf, ticketOf, wholeNumber } from './values.ts';

export type Source = 'lotus' | 'damocles' | 'curio' | 'csv' | 'sealpool';

/** A row that was not taken: where it stands, what is wrong with it and what to do. */
export type ImportProblem = { readonly where: string; readonly sentence: string };

export type Parsed = { readonly records: SectorRecord[]; readonly problems: ImportProblem[] };

/** A piece as the source lists it; the padded size in bytes. */
export type PieceFacts = { readonly cid: unknown; readonly paddedSize: unknown };

/** One sector as its source tells it, unchecked. */
export type SectorFacts = {
  readonly miner: unknown;
  readonly number: unknown;
  readonly sealProof: unknown;
  readonly ticketValue: unknown;
  readonly ticketEpoch: unknown;
  readonly commD: unknown;
  readonly commR: unknown;
  /** Of the sealed sector; undefined: the source does not list them. */
  readonly pieces: readonly PieceFacts[] | undefined;
  readonly update?: { readonly commR: unknown; readonly commD: unknown; readonly pieces: readonly PieceFacts[] | undefined } | undefined;
  readonly preCommit?: unknown;
  readonly proveCommit?: unknown;
  readonly replicaUpdate?: unknown;
  readonly files?: StoredFiles | null | undefined;
};

/** The checked record. Throws `RowRefused`. */
export function toRecord(source: Source, facts: SectorFacts, options: ParseOptions): SectorRecord {
  const sealProof = sealProofOf(facts.sealProof, options);
  const { sectorSizeBytes } = sealProofInfo(sealProof);
  const original = dataOf(facts, 'CommD', sectorSizeBytes);
  const { update } = facts;
  return {
    miner: minerOf(facts.miner, options),
    number: wholeNumber(facts.number, 'its sector number'),
    sealProof,
    ticket: ticketOf(facts.ticketValue, facts.ticketEpoch),
    ...original,
    commR: commitmentOf('sealed', facts.commR, 'its CommR'),
    update:
      update === undefined
        ? null
        : { commR: commitmentOf('sealed', update.commR, "its update's CommR"), ...dataOf(update, "its update's CommD", sectorSizeBytes) },
    files: facts.files ?? (options.storage === undefined ? null : { ...options.storage, files: null }),
    preCommit: messageOf(facts.preCommit, 'its pre-commit message'),
    proveCommit: messageOf(facts.proveCommit, 'its prove-commit message'),
    replicaUpdate: messageOf(facts.replicaUpdate, 'its replica-update message'),
    source,
  };
}

/** Pieces with their places, and CommD computed from them: a rebuild from other pieces would fail hours later. */
function dataOf(facts: { commD: unknown; pieces: readonly PieceFacts[] | undefined }, what: string, sectorSizeBytes: number) {
  const told: Commitment | undefined = isAbsent(facts.commD) ? undefined : commitmentOf('unsealed', facts.commD, what);
  if (facts.pieces === undefined) {
    if (told?.cid === zeroPiece(sectorSizeBytes).cid) return { pieces: [], commD: told };
    throw new RowRefused(
      `it holds data (${what} ${told?.cid ?? 'unknown'}) and its pieces are not listed; use a form of export that lists them`,
    );
  }
  const pieces: SizedPiece[] = facts.pieces.map(({ cid, paddedSize }, at) => ({
    commitment: commitmentOf('unsealed', cid, `the CID of piece ${at}`),
    paddedSizeBytes: wholeNumber(paddedSize, `the size of piece ${at}`),
  }));
  const placed = placePieces(pieces, sectorSizeBytes);
  if (told !== undefined && told.cid !== placed.commD.cid)
    throw new RowRefused(
      `its ${pieces.length} listed pieces give CommD ${placed.commD.cid} and the file says ${told.cid}; export again with all its pieces, in their order`,
    );
  return placed;
}

/** Collects rows: each is read on its own, so that a broken one costs only itself. */
export class Collector {
  private readonly taken = new Map<string, { record: SectorRecord; where: string; differs: boolean }>();
  private readonly problems: ImportProblem[] = [];

  /** Notes what is wrong at a place. */
  problem(where: string, sentence: string): void {
    this.problems.push({ where, sentence });
  }

  /** Takes the record that `read` gives, or notes why there is none. A sector that stands twice must say the same twice. */
  row(where: string, read: () => SectorRecord): void {
    let record: SectorRecord;
    try {
      record = read();
    } catch (error) {
      if (!(error instanceof RowRefused)) throw error;
      return this.problem(where, error.message);
    }
    const key = `${record.miner.slice(1)}-${record.number}`;
    const before = this.taken.get(key);
    if (before === undefined) this.taken.set(key, { record, where, differs: false });
    else if (JSON.stringify(before.record) !== JSON.stringify(record)) {
      before.differs = true;
      this.problem(
        where,
        `sector s-${record.miner}-${record.number} stands here and at ${before.where} with different contents; neither is taken, remove the wrong one`,
      );
    }
  }

  /** Records and problems, in the order of the file. */
  done(): Parsed {
    const records = [...this.taken.values()].filter(({ differs }) => !differs).map(({ record }) => record);
    return { records, problems: this.problems };
  }
}
