/** When a miner's deadlines are on this chain, and which of them a new sector goes to. */
import { blake2b } from '@noble/hashes/blake2.js';
import { addressBytes } from '../chain/addresses.ts';
import { deadlineIsMutable, periodStartAt, type ProvingSchedule } from '../chain/deadlines.ts';
import { partitionSectors } from '../chain/proofs.ts';
import type { Miner } from './accounts.ts';
import type { Ledger } from './ledger.ts';
import type { Policy } from './options.ts';

/** Where a sector stands for Window PoSt. */
export type SectorPlace = { readonly deadline: number; readonly partition: number };

/** A miner's periods: their offset follows from its address, so that miners do not all prove at once. */
export function provingSchedule(policy: Policy, miner: number): ProvingSchedule {
  const digest = blake2b(addressBytes(`t0${miner}`), { dkLen: 8 });
  const offset = Number(Buffer.from(digest).readBigUInt64BE() % BigInt(policy.postProvingPeriod));
  return { periodStart: offset, provingPeriod: policy.postProvingPeriod, challengeWindow: policy.postChallengeWindow };
}

/** The deadline whose window is open at `epoch`: one always is. */
export function openDeadline(policy: Policy, miner: number, epoch: number): number {
  const into = epoch - periodStartAt(provingSchedule(policy, miner), epoch);
  return Math.floor(into / policy.postChallengeWindow);
}

type DeadlineLoad = { readonly deadline: number; readonly total: number; readonly live: number };

/**
 * The place of a sector that is activated at `epoch`, among the deadlines that are mutable then: the fewest
 * partitions first, then one with an open partition, the fuller the better, then the fewest sectors, then the
 * lowest index (the actor's `assign_deadlines`).
 */
export function assignDeadline(ledger: Ledger, policy: Policy, miner: Miner, epoch: number): SectorPlace {
  const schedule = provingSchedule(policy, miner.id);
  const size = partitionSectors(miner.sectorSizeBytes);
  const best = loads(ledger, policy, miner.id)
    .filter(({ deadline }) => deadlineIsMutable(schedule, deadline, epoch))
    .sort((a, b) => compareLoads(a, b, size))[0];
  if (best === undefined)
    throw new Error(`no deadline of t0${miner.id} is mutable at epoch ${epoch}; its windows are too long for its period`);
  return { deadline: best.deadline, partition: Math.floor(best.total / size) };
}

function compareLoads(a: DeadlineLoad, b: DeadlineLoad, size: number): number {
  const partitions = (sectors: number): number => Math.ceil((sectors + 1) / size);
  const full = (load: DeadlineLoad): boolean => load.total % size === 0;
  const fuller = full(a) || full(b) ? 0 : b.total - a.total;
  return (
    partitions(a.live) - partitions(b.live) ||
    partitions(a.total) - partitions(b.total) ||
    Number(full(a)) - Number(full(b)) ||
    fuller ||
    a.live - b.live ||
    a.deadline - b.deadline
  );
}

/** Sectors of every deadline: all it ever had, and those alive. */
function loads(ledger: Ledger, policy: Policy, miner: number): DeadlineLoad[] {
  const rows = ledger.db
    .prepare(
      "SELECT deadline, count(*) AS total, sum(status = 'activated') AS live FROM sectors WHERE miner = ? AND deadline IS NOT NULL GROUP BY deadline",
    )
    .all(miner) as DeadlineLoad[];
  const known = new Map(rows.map((row) => [row.deadline, row]));
  return Array.from({ length: policy.postPeriodDeadlines }, (_, deadline) => known.get(deadline) ?? { deadline, total: 0, live: 0 });
}
