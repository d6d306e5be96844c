/**
 * lotus-miner: the JSON of SectorsStatus or of its datastore's SectorInfo, the datastore itself as
 * `lotus-shed datastore list --get-enc hex` prints it, or the text of `lotus-miner sectors status`.
 */
import { decode } from '@ipld/dag-cbor';
import type { SectorRecord } from '../schema/sector-record.ts';
import { type JsonEntry, jsonEntries } from './json-entries.ts';
import { refuseUnlessAtRest } from './lotus-states.ts';
import { lotusText } from './lotus-text.ts';
import { Collector, type Parsed, type PieceFacts, toRecord } from './records.ts';
import { type ParseOptions, RowRefused, isAbsent, quoted } from './values.ts';

/** Sectors of a lotus-miner export. */
export function parseLotus(text: string, options: ParseOptions): Parsed {
  const into = new Collector();
  if (/^SectorID:[ \t]/m.test(text)) lotusText(text, options, into);
  else if (/^\S*\/?sectors\/[0-9]+\s*$/m.test(text)) datastore(text, options, into);
  else {
    const { entries, problems } = jsonEntries(text);
    for (const { where, sentence } of problems) into.problem(where, sentence);
    for (const entry of entries) take(entry, options, into);
  }
  return into.done();
}

function take({ where, value }: JsonEntry, options: ParseOptions, into: Collector): void {
  const number = value['SectorNumber'] ?? value['SectorID'];
  into.row(isAbsent(number) ? where : `${where} (sector ${quoted(number)})`, () => recordOf(value, options));
}

type Fields = Record<string, unknown>;
const fields = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});

/** Both shapes: SectorInfo of the datastore (SectorNumber, TicketValue …) and of the API (SectorID, Ticket.Value …). */
function recordOf(from: Fields, options: ParseOptions): SectorRecord {
  refuseUnlessAtRest(from['State']);
  const ticket = fields(from['Ticket']);
  const upgraded = from['CCUpdate'] === true || !isAbsent(from['ReplicaUpdateMessage']) || !isAbsent(from['UpdateSealed']);
  if (upgraded && (isAbsent(from['UpdateSealed']) || isAbsent(from['UpdateUnsealed'])))
    throw new RowRefused(
      'it was upgraded with a snap deal, and this form of export leaves the commitments of the update out; export the datastore with lotus-shed (docs/import.md)',
    );
  const pieces = piecesOf(from['Pieces']);
  const update = { commR: from['UpdateSealed'], commD: from['UpdateUnsealed'], pieces };
  return toRecord(
    'lotus',
    {
      miner: from['Miner'],
      number: from['SectorNumber'] ?? from['SectorID'],
      sealProof: from['SectorType'] ?? from['SealProof'],
      ticketValue: from['TicketValue'] ?? ticket['Value'],
      ticketEpoch: from['TicketEpoch'] ?? ticket['Epoch'],
      commD: from['CommD'],
      commR: from['CommR'],
      // An upgraded sector keeps the pieces of the sealed one in CCPieces.
      pieces: upgraded ? piecesOf(from['CCPieces']) : pieces,
      update: upgraded ? update : undefined,
      preCommit: from['PreCommitMessage'] ?? from['PreCommitMsg'],
      proveCommit: from['CommitMessage'] ?? from['CommitMsg'],
      replicaUpdate: from['ReplicaUpdateMessage'],
    },
    options,
  );
}

function piecesOf(value: unknown): PieceFacts[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.map((item) => {
    const piece = fields(fields(item)['Piece']);
    return { cid: piece['PieceCID'], paddedSize: piece['Size'] };
  });
}

/** `/sectors/7`, and below it the CBOR of its SectorInfo in hex. */
function datastore(text: string, options: ParseOptions, into: Collector): void {
  const lines = text.split('\n');
  for (const [at, line] of lines.entries()) {
    const number = /^\S*\/?sectors\/([0-9]+)\s*$/.exec(line)?.[1];
    if (number === undefined) continue;
    into.row(`line ${at + 1} (sector ${number})`, () => recordOf(fields(ofCbor((lines[at + 1] ?? '').trim())), options));
  }
}

function ofCbor(hex: string): unknown {
  if (!/^(?:[0-9a-f]{2})+$/i.test(hex))
    throw new RowRefused('no hex digits follow its key; list the datastore with --get-enc hex, or export it again if it was cut off');
  try {
    return plain(decode(Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))));
  } catch {
    throw new RowRefused("what follows its key is no CBOR of a sector; list lotus-miner's datastore again");
  }
}

/** Links as `{"/": cid}`, like in JSON; bytes stay bytes. */
function plain(value: unknown, depth = 0): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || depth > 8) return value;
  if ('multihash' in value) return { '/': String(value) };
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item, depth + 1)]));
}
