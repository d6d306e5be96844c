/**
 * What sectors and messages cost here. The figures are made up, their relations are mainnet's: the
 * deposit is less than the pledge, and the estimates given to clients are 10 % above what is taken.
 */

import type { Ledger } from '../ledger.ts';

const ATTO = 10n ** 18n;

/** What a new account, a new miner, starts with, in attoFIL. */
export const GENESIS_BALANCE = 1_000_000n * ATTO;

/** attoFIL per gas unit, never changing. */
export const BASE_FEE = 100n;

/** Deposit of one pre-commit: 0.01 FIL per 2 KiB, growing with the size's logarithm only. */
export function preCommitDeposit(sectorSizeBytes: number): bigint {
  return (ATTO / 100n) * BigInt(Math.log2(sectorSizeBytes) - 10);
}

const PLEDGE_PERCENT = 'pledge_percent';

/** Initial pledge of one sector: three deposits, times what `POST /control` made of it. */
export function initialPledge(ledger: Ledger, sectorSizeBytes: number): bigint {
  return (preCommitDeposit(sectorSizeBytes) * 3n * BigInt(ledger.meta(PLEDGE_PERCENT) ?? '100')) / 100n;
}

/** Lets the pledge of new sectors and upgrades rise or fall, as the network's does. */
export function setPledgePercent(ledger: Ledger, percent: number): void {
  ledger.setMeta(PLEDGE_PERCENT, String(percent));
}

/** What nodes tell clients to send. */
export function withMargin(amount: bigint): bigint {
  return (amount * 110n) / 100n;
}

/** Gas of a message: a base, its bytes, and a sum per sector. */
export function gasUsed(paramsBytes: number, sectors: number): number {
  return 1_000_000 + paramsBytes * 1_300 + sectors * 20_000_000;
}
