/** Records as other software writes them. What has no place there (files, source) is left out. */
import { sealProofInfo } from '../schema/seal-proof.ts';
import type { PlacedPiece, SectorRecord } from '../schema/sector-record.ts';
import { csvHead, csvOf } from './csv.ts';
import { zeroPiece } from './pieces.ts';
import { sealpoolLine } from './sealpool.ts';

export const FORMATS = ['json', 'csv', 'lotus', 'damocles'] as const;
export type Format = (typeof FORMATS)[number];

/** What stands before the first record. */
export function headOf(format: Format): string {
  return format === 'csv' ? csvHead() : '';
}

/** One record with its line end. */
export function lineOf(format: Format, record: SectorRecord): string {
  if (format === 'csv') return csvOf(record);
  if (format === 'json') return sealpoolLine(record);
  return `${JSON.stringify(format === 'lotus' ? lotusOf(record) : damoclesOf(record))}\n`;
}

const bytesOf = (hex: string): number[] => (hex.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16));
const base64 = (hex: string | null | undefined): string | null =>
  typeof hex === 'string'
    ? btoa(
        bytesOf(hex)
          .map((byte) => String.fromCharCode(byte))
          .join(''),
      )
    : null;
const link = (cid: string | null | undefined): { '/': string } | null => (typeof cid === 'string' ? { '/': cid } : null);

/** Fillers stay: both list them as pieces without a deal. Committed capacity is one zero piece. */
function listed(pieces: readonly PlacedPiece[], record: SectorRecord): { Size: number; PieceCID: { '/': string } }[] {
  const size = sealProofInfo(record.sealProof).sectorSizeBytes;
  if (pieces.length === 0) return [{ Size: size, PieceCID: { '/': zeroPiece(size).cid } }];
  return pieces.map(({ cid, paddedSizeBytes }) => ({ Size: Number(paddedSizeBytes), PieceCID: { '/': cid } }));
}

/** SectorInfo of lotus-miner's datastore. `Miner` is ours: lotus keeps one miner per repository. */
function lotusOf(record: SectorRecord): Record<string, unknown> {
  const pieces = (of: readonly PlacedPiece[]) => listed(of, record).map((Piece) => ({ Piece, DealInfo: null }));
  const { update, ticket } = record;
  return {
    Miner: record.miner,
    State: 'Proving',
    SectorNumber: record.number,
    SectorType: sealProofInfo(record.sealProof).number,
    Pieces: pieces(update?.pieces ?? record.pieces),
    TicketValue: base64(ticket?.value),
    TicketEpoch: ticket?.epoch ?? null,
    CommD: link(record.commD?.cid),
    CommR: link(record.commR.cid),
    PreCommitMessage: link(record.preCommit),
    CommitMessage: link(record.proveCommit),
    CCUpdate: update !== null,
    CCPieces: update === null ? null : pieces(record.pieces),
    UpdateSealed: link(update?.commR.cid),
    UpdateUnsealed: link(update?.commD.cid),
    ReplicaUpdateMessage: link(update === null ? null : record.replicaUpdate),
  };
}

/** SectorState of damocles-manager, as `util sealer sectors state import-json` reads it. */
function damoclesOf(record: SectorRecord): Record<string, unknown> {
  const { update, ticket } = record;
  const Ticket = ticket === null ? null : { Ticket: base64(ticket.value), Epoch: ticket.epoch };
  return {
    ID: { Miner: Number(record.miner.slice(2)), Number: record.number },
    SectorType: sealProofInfo(record.sealProof).number,
    Ticket,
    Deals: null,
    Pieces: listed(update?.pieces ?? record.pieces, record).map((Piece) => ({ Piece, DealInfo: null })),
    Pre: { CommR: link(record.commR.cid), CommD: link(record.commD?.cid), Ticket },
    MessageInfo: { PreCommitCid: link(record.preCommit), CommitCid: link(record.proveCommit), NeedSend: false },
    Finalized: true,
    Removed: false,
    AbortReason: '',
    Upgraded: update !== null,
    UpgradePublic:
      update === null ? null : { CommR: bytesOf(record.commR.hex), SealedCID: link(record.commR.cid), Activation: 0, Expiration: 0 },
    UpgradedInfo:
      update === null ? null : { AccessInstance: '', SealedCID: link(update.commR.cid), UnsealedCID: link(update.commD.cid), Proof: null },
    UpgradeMessageID: record.replicaUpdate,
    Imported: true,
  };
}
