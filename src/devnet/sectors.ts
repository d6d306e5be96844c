/** Sectors as the miner actor keeps them. A row, whatever its status, means that the number is given out. */
import type { SectorPlace } from './deadlines.ts';
import type { Ledger } from './ledger.ts';

/**
 * How an activated sector stands with Window PoSt. Unproven: its first window is not over. Faulty: the last
 * one was missed.
 */
export type PostState = 'unproven' | 'active' | 'faulty';

export type SectorRow = {
  readonly miner: number;
  readonly number: number;
  /** Expired: the pre-commit was never proven, or the activated sector reached its end. */
  readonly status: 'pre-committed' | 'activated' | 'expired';
  readonly sealProof: number;
  /** 64 hex digits. */
  readonly commR: string;
  /** 64 hex digits, expanded where the message gave none. */
  readonly commD: string;
  /** False: the pre-commit said null, a sector of zeros. */
  readonly commDGiven: boolean;
  readonly ticketEpoch: number;
  readonly expiration: number;
  readonly preCommitEpoch: number;
  readonly deposit: bigint;
  readonly activationEpoch: number | null;
  readonly pledge: bigint | null;
  /** CommR before the upgrade; null when there was none. */
  readonly sectorKey: string | null;
  /** Padded bytes of the pieces it was activated or upgraded with; 0: a committed-capacity sector. */
  readonly pieceBytes: number;
  /** Epoch of activation or upgrade, from which its weight is counted. */
  readonly powerBaseEpoch: number | null;
  /** Null until activated. */
  readonly place: SectorPlace | null;
  readonly post: PostState | null;
};

/** What a pre-commit says. */
export type NewPreCommit = Pick<
  SectorRow,
  'miner' | 'number' | 'sealProof' | 'commR' | 'commD' | 'commDGiven' | 'ticketEpoch' | 'expiration' | 'preCommitEpoch' | 'deposit'
>;

type Row = {
  miner: number;
  number: number;
  status: SectorRow['status'];
  seal_proof: number;
  comm_r: string;
  comm_d: string;
  comm_d_given: number;
  ticket_epoch: number;
  expiration: number;
  pre_commit_epoch: number;
  deposit: string;
  activation_epoch: number | null;
  pledge: string | null;
  sector_key: string | null;
  piece_bytes: number;
  power_base_epoch: number | null;
  deadline: number | null;
  partition_index: number | null;
  post: PostState | null;
};

export function findSector(ledger: Ledger, miner: number, number: number | bigint): SectorRow | undefined {
  const row = ledger.db.prepare('SELECT * FROM sectors WHERE miner = ? AND number = ?').get(miner, number) as Row | undefined;
  return row === undefined ? undefined : toSector(row);
}

/** The sector while it is pre-committed and not yet proven. */
export function findPreCommit(ledger: Ledger, miner: number, number: number | bigint): SectorRow | undefined {
  const sector = findSector(ledger, miner, number);
  return sector?.status === 'pre-committed' ? sector : undefined;
}

/** The sector while it is activated and not at its end. */
export function findActivated(ledger: Ledger, miner: number, number: number | bigint): SectorRow | undefined {
  const sector = findSector(ledger, miner, number);
  return sector?.status === 'activated' ? sector : undefined;
}

/** The sector once it was activated, also past its end: a miner's state keeps it until a compaction, which this chain never does. */
export function findEverActivated(ledger: Ledger, miner: number, number: number | bigint): SectorRow | undefined {
  const sector = findSector(ledger, miner, number);
  return sector === undefined || sector.place === null ? undefined : sector;
}

export function insertPreCommit(ledger: Ledger, sector: NewPreCommit): void {
  ledger.db
    .prepare(
      `INSERT INTO sectors (status, miner, number, seal_proof, comm_r, comm_d, comm_d_given, ticket_epoch, expiration,
        pre_commit_epoch, deposit) VALUES ('pre-committed', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      sector.miner,
      sector.number,
      sector.sealProof,
      sector.commR,
      sector.commD,
      sector.commDGiven ? 1 : 0,
      sector.ticketEpoch,
      sector.expiration,
      sector.preCommitEpoch,
      sector.deposit.toString(),
    );
}

/** A pre-committed sector was proven: it waits for its first Window PoSt at `place`. */
export function markActivated(
  ledger: Ledger,
  sector: Pick<SectorRow, 'miner' | 'number'>,
  activation: { epoch: number; pledge: bigint; pieceBytes: number; place: SectorPlace },
): void {
  const { epoch, pledge, pieceBytes, place } = activation;
  ledger.db
    .prepare(
      `UPDATE sectors SET status = 'activated', activation_epoch = ?, power_base_epoch = ?, pledge = ?, piece_bytes = ?,
        deadline = ?, partition_index = ?, post = 'unproven' WHERE miner = ? AND number = ?`,
    )
    .run(epoch, epoch, pledge.toString(), pieceBytes, place.deadline, place.partition, sector.miner, sector.number);
}

/** An activated sector was upgraded: another replica, its first CommR stays as the sector's key. */
export function markUpgraded(
  ledger: Ledger,
  sector: SectorRow,
  update: { epoch: number; pledge: bigint; pieceBytes: number; commR: string; commD: string },
): void {
  const { epoch, pledge, pieceBytes, commR, commD } = update;
  ledger.db
    .prepare(
      `UPDATE sectors SET sector_key = ?, comm_r = ?, comm_d = ?, power_base_epoch = ?, pledge = ?, piece_bytes = ?
        WHERE miner = ? AND number = ?`,
    )
    .run(sector.sectorKey ?? sector.commR, commR, commD, epoch, pledge.toString(), pieceBytes, sector.miner, sector.number);
}

/** Pre-commits made before `epoch` that were never proven. */
export function preCommittedBefore(ledger: Ledger, epoch: number): SectorRow[] {
  const rows = ledger.db.prepare("SELECT * FROM sectors WHERE status = 'pre-committed' AND pre_commit_epoch < ?").all(epoch);
  return (rows as Row[]).map(toSector);
}

export function markExpired(ledger: Ledger, miner: number, number: number): void {
  ledger.db.prepare("UPDATE sectors SET status = 'expired' WHERE miner = ? AND number = ?").run(miner, number);
}

/** Every sector that a deadline was ever given, by number. */
export function sectorsOfDeadline(ledger: Ledger, miner: number, deadline: number): SectorRow[] {
  const rows = ledger.db.prepare('SELECT * FROM sectors WHERE miner = ? AND deadline = ? ORDER BY number').all(miner, deadline);
  return (rows as Row[]).map(toSector);
}

/** Activated sectors of a deadline that are at their end at `epoch`. */
export function endedInDeadline(ledger: Ledger, miner: number, deadline: number, epoch: number): SectorRow[] {
  const rows = ledger.db
    .prepare("SELECT * FROM sectors WHERE miner = ? AND deadline = ? AND status = 'activated' AND expiration <= ?")
    .all(miner, deadline, epoch);
  return (rows as Row[]).map(toSector);
}

/** Sector numbers ever given out, rising. */
export function allocatedNumbers(ledger: Ledger, miner: number): number[] {
  const rows = ledger.db.prepare('SELECT number FROM sectors WHERE miner = ? ORDER BY number').all(miner) as { number: number }[];
  return rows.map((row) => row.number);
}

function toSector(row: Row): SectorRow {
  return {
    miner: row.miner,
    number: row.number,
    status: row.status,
    sealProof: row.seal_proof,
    commR: row.comm_r,
    commD: row.comm_d,
    commDGiven: row.comm_d_given === 1,
    ticketEpoch: row.ticket_epoch,
    expiration: row.expiration,
    preCommitEpoch: row.pre_commit_epoch,
    deposit: BigInt(row.deposit),
    activationEpoch: row.activation_epoch,
    pledge: row.pledge === null ? null : BigInt(row.pledge),
    sectorKey: row.sector_key,
    pieceBytes: row.piece_bytes,
    powerBaseEpoch: row.power_base_epoch,
    place: row.deadline === null || row.partition_index === null ? null : { deadline: row.deadline, partition: row.partition_index },
    post: row.post,
  };
}
