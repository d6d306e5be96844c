/**
 * What sectors and messages cost here. The figures are made up, their relations are mainnet's: the
 * deposit is less than the pledge, and the estimates given to clients are 10 % above what is taken.
 */

const ATTO = 10n ** 18n;

/** What a new account, a new miner, starts with, in attoFIL. */
export const GENESIS_BALANCE = 1_000_000n * ATTO;

/** attoFIL per gas unit, never changing. */
export const BASE_FEE = 100n;

/** Deposit of one pre-commit: 0.01 FIL per 2 KiB, growing with the size's logarithm only. */
export function preCommitDeposit(sectorSizeBytes: number): bigint {
  return (ATTO / 100n) * BigInt(Math.log2(sectorSizeBytes) - 10);
}

/** Initial pledge of one sector: three deposits. */
export function initialPledge(sectorSizeBytes: number): bigint {
  return preCommitDeposit(sectorSizeBytes) * 3n;
}

/** What nodes tell clients to send. */
export function withMargin(amount: bigint): bigint {
  return (amount * 110n) / 100n;
}

/** Gas of a message: a base, its bytes, and a sum per sector. */
export function gasUsed(paramsBytes: number, sectors: number): number {
  return 1_000_000 + paramsBytes * 1_300 + sectors * 20_000_000;
}
