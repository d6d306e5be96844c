/** Curio: tables `sectors_meta` and `sectors_meta_pieces` of a dump of its database. */
import { Collector, type Parsed, type PieceFacts, toRecord } from './records.ts';
import { type DumpRow, dumpRows } from './pg-dump.ts';
import { type ParseOptions, quoted } from './values.ts';

/** The first columns of both tables, in the order in which Curio creates them; later ones were added at the end. */
const TABLES = {
  sectors_meta:
    'sp_id sector_num reg_seal_proof ticket_epoch ticket_value orig_sealed_cid orig_unsealed_cid cur_sealed_cid cur_unsealed_cid msg_cid_precommit msg_cid_commit msg_cid_update seed_epoch seed_value'.split(
      ' ',
    ),
  sectors_meta_pieces: ['sp_id', 'sector_num', 'piece_num', 'piece_cid', 'piece_size'],
};

const keyOf = ({ values }: DumpRow): string => `${values.get('sp_id')}-${values.get('sector_num')}`;

/** Sectors of a dump of Curio's database. */
export function parseCurio(text: string, options: ParseOptions): Parsed {
  const into = new Collector();
  const { rows, problems } = dumpRows(text, TABLES);
  for (const { where, sentence } of problems) into.problem(where, sentence);
  const sectors = rows.filter(({ table }) => table === 'sectors_meta');
  const known = new Set(sectors.map(keyOf));
  const pieces = new Map<string, DumpRow[]>();
  for (const row of rows) {
    if (row.table !== 'sectors_meta_pieces') continue;
    const key = keyOf(row);
    if (!known.has(key))
      into.problem(row.where, `a piece of sector ${quoted(key)}, which sectors_meta does not have; dump both tables at once`);
    const others = pieces.get(key);
    if (others === undefined) pieces.set(key, [row]);
    else others.push(row);
  }
  for (const row of sectors) take(row, pieces.get(keyOf(row)) ?? [], options, into);
  if (sectors.length === 0) into.problem('the file', 'it has no rows of sectors_meta; dump that table of schema curio with its data');
  return into.done();
}

function take(row: DumpRow, pieceRows: readonly DumpRow[], options: ParseOptions, into: Collector): void {
  const of = (column: string): string | null | undefined => row.values.get(column);
  into.row(`${row.where} (sector ${quoted(of('sector_num'))})`, () => {
    const upgraded = of('cur_sealed_cid') !== of('orig_sealed_cid') || of('has_sector_key') === 't' || of('has_sector_key') === 'true';
    const pieces = piecesOf(pieceRows);
    return toRecord(
      'curio',
      {
        miner: of('sp_id'),
        number: of('sector_num'),
        sealProof: of('reg_seal_proof'),
        ticketValue: of('ticket_value'),
        ticketEpoch: of('ticket_epoch'),
        commD: of('orig_unsealed_cid'),
        commR: of('orig_sealed_cid'),
        // After a snap the table of pieces is about the update; Curio snaps committed capacity only.
        pieces: upgraded ? undefined : pieces,
        update: upgraded ? { commR: of('cur_sealed_cid'), commD: of('cur_unsealed_cid'), pieces } : undefined,
        preCommit: of('msg_cid_precommit'),
        proveCommit: of('msg_cid_commit'),
        replicaUpdate: of('msg_cid_update'),
      },
      options,
    );
  });
}

function piecesOf(rows: readonly DumpRow[]): PieceFacts[] {
  return rows
    .toSorted((a, b) => Number(a.values.get('piece_num')) - Number(b.values.get('piece_num')))
    .map(({ values }) => ({ cid: values.get('piece_cid'), paddedSize: values.get('piece_size') }));
}
