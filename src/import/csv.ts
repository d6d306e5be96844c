/** Sectors as a table that people can make: one sector a line, below a row that names the columns (docs/import.md). */
import { z } from 'zod';
import type { PlacedPiece, SectorRecord, StoredFiles } from '../schema/sector-record.ts';
import { StoredFile } from '../schema/stage.ts';
import { csvLine, csvRows } from './csv-rows.ts';
import { Collector, type Parsed, type PieceFacts, type SectorFacts, toRecord } from './records.ts';
import { type ParseOptions, RowRefused, isAbsent, quoted } from './values.ts';

/** The columns, in the order in which they are written; any order is read. */
export const CSV_COLUMNS = [
  ...(['miner', 'sector', 'seal_proof', 'ticket_epoch', 'ticket', 'comm_r', 'comm_d', 'pieces'] as const),
  ...(['update_comm_r', 'update_comm_d', 'update_pieces', 'precommit', 'provecommit', 'replica_update'] as const),
  ...(['storage', 'root', 'files'] as const),
] as const;
type Column = (typeof CSV_COLUMNS)[number];

const Files = z.array(StoredFile);

/** Sectors of a CSV. */
export function parseCsv(text: string, options: ParseOptions): Parsed {
  const into = new Collector();
  const { rows, problems } = csvRows(text);
  for (const { where, sentence } of problems) into.problem(where, sentence);
  const [head, ...body] = rows;
  const columns = head?.cells.map((name) => name.trim().toLowerCase()) ?? [];
  const missing = ['sector', 'comm_r'].filter((name) => !columns.includes(name));
  const twice = columns.find((name, at) => name !== '' && columns.indexOf(name) !== at);
  if (missing.length > 0 || twice !== undefined) {
    const wrong = twice === undefined ? `has no column ${missing.join(' and no column ')}` : `names column ${quoted(twice)} twice`;
    into.problem('line 1', `the first row ${wrong}; it must name the columns: ${CSV_COLUMNS.join(',')}`);
    return into.done();
  }
  for (const name of columns) {
    if (name !== '' && !(CSV_COLUMNS as readonly string[]).includes(name))
      into.problem('line 1', `column ${quoted(name)} is not known and was left out; known are: ${CSV_COLUMNS.join(',')}`);
  }
  for (const { line, cells } of body) {
    const of = (column: Column): string | undefined => cells[columns.indexOf(column)]?.trim();
    const where = isAbsent(of('sector')) ? `line ${line}` : `line ${line} (sector ${quoted(of('sector'))})`;
    into.row(where, () => {
      if (cells.length > columns.length)
        throw new RowRefused(`it has ${cells.length} cells and the first row ${columns.length}; put cells with commas in quotes`);
      return toRecord('csv', factsOf(of), options);
    });
  }
  return into.done();
}

function factsOf(of: (column: Column) => string | undefined): SectorFacts {
  const update = { commR: of('update_comm_r'), commD: of('update_comm_d'), pieces: piecesOf(of('update_pieces')) };
  const upgraded = !isAbsent(update.commR) || !isAbsent(update.commD) || (update.pieces?.length ?? 0) > 0;
  return {
    miner: of('miner'),
    number: of('sector'),
    sealProof: of('seal_proof'),
    ticketValue: of('ticket'),
    ticketEpoch: of('ticket_epoch'),
    commD: of('comm_d'),
    commR: of('comm_r'),
    pieces: piecesOf(of('pieces')),
    update: upgraded ? update : undefined,
    preCommit: of('precommit'),
    proveCommit: of('provecommit'),
    replicaUpdate: of('replica_update'),
    files: filesOf(of('storage'), of('root'), of('files')),
  };
}

/** `cid:paddedSize;cid:paddedSize`; an empty cell is committed capacity. */
function piecesOf(cell: string | undefined): PieceFacts[] {
  if (isAbsent(cell)) return [];
  return (cell as string).split(';').map((part) => {
    const [cid, paddedSize, ...rest] = part.split(':').map((text) => text.trim());
    if (paddedSize === undefined || rest.length > 0)
      throw new RowRefused(
        `a piece is written ${quoted(part)}; it must be its CID, a colon, and its padded size in bytes, with ; between pieces`,
      );
    return { cid, paddedSize };
  });
}

function filesOf(storage: string | undefined, root: string | undefined, files: string | undefined): StoredFiles | null {
  if (isAbsent(storage)) {
    if (isAbsent(root) && isAbsent(files)) return null;
    throw new RowRefused('it names a folder or files without their storage; fill in column storage');
  }
  const place = { storage: storage as string, root: root ?? '' };
  if (isAbsent(files)) return { ...place, files: null };
  try {
    return { ...place, files: Files.parse(JSON.parse(files as string)) };
  } catch {
    throw new RowRefused(`its files are ${quoted(files)}; leave the cell empty, or keep it as sealpool export wrote it`);
  }
}

const written = (pieces: readonly PlacedPiece[]): string => pieces.map(({ cid, paddedSizeBytes }) => `${cid}:${paddedSizeBytes}`).join(';');

/** The row that names the columns. */
export function csvHead(): string {
  return csvLine(CSV_COLUMNS);
}

/** A record as one row. */
export function csvOf(record: SectorRecord): string {
  const { update, ticket, files } = record;
  const cells: Record<Column, string | number | null | undefined> = {
    miner: record.miner,
    sector: record.number,
    seal_proof: record.sealProof,
    ticket_epoch: ticket?.epoch,
    ticket: ticket?.value,
    comm_r: record.commR.cid,
    comm_d: record.commD?.cid,
    pieces: written(record.pieces),
    update_comm_r: update?.commR.cid,
    update_comm_d: update?.commD.cid,
    update_pieces: update === null ? null : written(update.pieces),
    precommit: record.preCommit,
    provecommit: record.proveCommit,
    replica_update: record.replicaUpdate,
    storage: files?.storage,
    root: files?.root,
    files: (files?.files ?? null) === null ? null : JSON.stringify(files?.files),
  };
  return csvLine(CSV_COLUMNS.map((column) => String(cells[column] ?? '')));
}
