/** Sectors as the miner actor keeps them. A row, whatever its status, means that the number is given out. */
import type { Ledger } from './ledger.ts';

export type SectorRow = {
  readonly miner: number;
  readonly number: number;
  readonly status: 'pre-committed' | 'proven' | 'expired';
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
};

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

export function insertPreCommit(ledger: Ledger, sector: Omit<SectorRow, 'status' | 'activationEpoch' | 'pledge'>): void {
  ledger.db
    .prepare("INSERT INTO sectors VALUES (?, ?, 'pre-committed', ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)")
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

export function markProven(ledger: Ledger, miner: number, number: number, epoch: number, pledge: bigint): void {
  ledger.db
    .prepare("UPDATE sectors SET status = 'proven', activation_epoch = ?, pledge = ? WHERE miner = ? AND number = ?")
    .run(epoch, pledge.toString(), miner, number);
}

/** Pre-commits made before `epoch` that were never proven. */
export function unprovenBefore(ledger: Ledger, epoch: number): SectorRow[] {
  const rows = ledger.db.prepare("SELECT * FROM sectors WHERE status = 'pre-committed' AND pre_commit_epoch < ?").all(epoch);
  return (rows as Row[]).map(toSector);
}

export function markExpired(ledger: Ledger, miner: number, number: number): void {
  ledger.db.prepare("UPDATE sectors SET status = 'expired' WHERE miner = ? AND number = ?").run(miner, number);
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
  };
}
