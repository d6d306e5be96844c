/**
 * Sealpool's own forms: one record a line, as JSON, or the `sector.json` that stands beside a sector's files.
 * Checked like any other source: it may have been edited.
 */
import { SectorRecord } from '../schema/sector-record.ts';
import { jsonEntries } from './json-entries.ts';
import { Collector, type Parsed, toRecord } from './records.ts';
import { type ParseOptions, RowRefused, isAbsent, quoted } from './values.ts';

/** A record as one line. */
export function sealpoolLine(record: SectorRecord): string {
  return `${JSON.stringify(record)}\n`;
}

/** Sectors of a `sealpool export`, or of `sector.json` files one after another. */
export function parseSealpool(text: string, options: ParseOptions): Parsed {
  const into = new Collector();
  const { entries, problems } = jsonEntries(text);
  for (const { where, sentence } of problems) into.problem(where, sentence);
  for (const { where, value } of entries) {
    const number = value['number'];
    into.row(isAbsent(number) ? where : `${where} (sector ${quoted(number)})`, () => checked(value, options));
  }
  return into.done();
}

/** `sector.json` leaves out what is not known when a sector is stored: where, and the later messages. */
function ofSectorJson(value: Record<string, unknown>): unknown {
  if (value['version'] !== 1 || Object.hasOwn(value, 'source')) return value;
  const { preCommit, ticket, update, ...rest } = value;
  const cid = typeof preCommit === 'object' && preCommit !== null ? (preCommit as Record<string, unknown>)['cid'] : preCommit;
  const unknown = { files: null, proveCommit: null, replicaUpdate: null, source: 'sealpool' };
  return { ...unknown, ...rest, ticket: ticket ?? null, update: update ?? null, preCommit: cid ?? null };
}

function checked(value: Record<string, unknown>, options: ParseOptions): SectorRecord {
  const parsed = SectorRecord.safeParse(ofSectorJson(value));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new RowRefused(
      `it is no record of sealpool export, nor a sector.json, at ${issue?.path.join('.') || 'the top'} (${issue?.message}); export it again`,
    );
  }
  const given = parsed.data;
  const listed = (pieces: SectorRecord['pieces']) => pieces.map(({ cid, paddedSizeBytes }) => ({ cid, paddedSize: paddedSizeBytes }));
  const { update } = given;
  const record = toRecord(
    'sealpool',
    {
      ...given,
      ticketValue: given.ticket?.value,
      ticketEpoch: given.ticket?.epoch,
      commD: given.commD?.cid,
      commR: given.commR.cid,
      pieces: listed(given.pieces),
      update: update === null ? undefined : { commR: update.commR.cid, commD: update.commD.cid, pieces: listed(update.pieces) },
    },
    options,
  );
  const hexes = (of: SectorRecord) => [of.commR, of.commD ?? record.commD, of.update?.commR, of.update?.commD].map((c) => c?.hex);
  const places = (of: SectorRecord) => [...of.pieces, ...(of.update?.pieces ?? [])].map(({ offsetBytes }) => offsetBytes);
  if (hexes(given).join() !== hexes(record).join())
    throw new RowRefused('the hex digits of one of its commitments are not those of its CID; it was edited or damaged, export it again');
  if (places(given).join() !== places(record).join())
    throw new RowRefused('the offsets of its pieces are not where they must stand; it was edited or damaged, export it again');
  return record;
}
