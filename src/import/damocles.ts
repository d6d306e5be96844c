/**
 * damocles-manager: SectorState as `util sealer sectors state export-json` prints it (also from venus-sector-manager,
 * which lists pieces as `Deals` only), or the text of `util sealer sectors state`.
 */
import type { SectorRecord } from '../schema/sector-record.ts';
import { refuseUnlessFinal } from './damocles-state.ts';
import { damoclesText } from './damocles-text.ts';
import { jsonEntries } from './json-entries.ts';
import { Collector, type Parsed, type PieceFacts, toRecord } from './records.ts';
import { type ParseOptions, RowRefused, isAbsent, quoted } from './values.ts';

type Fields = Record<string, unknown>;
const fields = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {});

/** Sectors of a damocles or venus-sector-manager export. */
export function parseDamocles(text: string, options: ParseOptions): Parsed {
  const into = new Collector();
  if (/^Sector s-[tf]0[0-9]+-[0-9]+:/m.test(text)) damoclesText(text, options, into);
  else {
    const { entries, problems } = jsonEntries(text);
    for (const { where, sentence } of problems) into.problem(where, sentence);
    for (const { where, value } of entries) {
      const number = fields(value['ID'])['Number'];
      into.row(isAbsent(number) ? where : `${where} (sector ${quoted(number)})`, () => recordOf(value, options));
    }
  }
  return into.done();
}

function recordOf(from: Fields, options: ParseOptions): SectorRecord {
  refuseUnlessFinal(from['Finalized'] === true, from['Removed'] === true, isAbsent(from['AbortReason']) ? '' : String(from['AbortReason']));
  const [id, pre, messages] = [fields(from['ID']), fields(from['Pre']), fields(from['MessageInfo'])];
  const ticket = fields(from['Ticket'] ?? pre['Ticket']);
  const upgraded = from['Upgraded'] === true;
  const [before, after] = [fields(from['UpgradePublic']), fields(from['UpgradedInfo'])];
  if (upgraded && (isAbsent(after['SealedCID']) || isAbsent(after['UnsealedCID'])))
    throw new RowRefused(
      'it was upgraded, and UpgradedInfo has no SealedCID and UnsealedCID (so it is with sectors that came from lotus-miner); take this one from lotus-miner, or with a CSV',
    );
  const pieces = piecesOf(from);
  return toRecord(
    'damocles',
    {
      miner: id['Miner'],
      number: id['Number'],
      sealProof: from['SectorType'],
      ticketValue: ticket['Ticket'],
      ticketEpoch: ticket['Epoch'],
      commD: pre['CommD'],
      // A snap candidate that damocles has not sealed itself has no Pre; its sector key stands in UpgradePublic.
      commR: pre['CommR'] ?? before['CommR'],
      // damocles upgrades committed capacity only, so the sealed sector had no pieces.
      pieces: upgraded ? [] : pieces,
      update: upgraded ? { commR: after['SealedCID'], commD: after['UnsealedCID'], pieces } : undefined,
      preCommit: messages['PreCommitCid'],
      proveCommit: messages['CommitCid'],
      replicaUpdate: upgradeMessage(from['UpgradeMessageID']),
    },
    options,
  );
}

/** The messager's id of the message, which often is its CID. */
function upgradeMessage(value: unknown): unknown {
  return typeof value === 'string' && /^b[a-z2-7]{50,120}$/.test(value) ? value : null;
}

/** Pieces with their padded sizes; older managers have them in Deals, with Piece.Cid. */
function piecesOf(from: Fields): PieceFacts[] {
  const [now, before] = [from['Pieces'], from['Deals']];
  const listed = Array.isArray(now) && now.length > 0 ? now : Array.isArray(before) ? before : [];
  return listed.map((item) => {
    const piece = fields(fields(item)['Piece']);
    return { cid: piece['PieceCID'] ?? piece['Cid'], paddedSize: piece['Size'] };
  });
}
