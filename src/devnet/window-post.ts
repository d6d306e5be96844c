/**
 * What happens by itself at the end of an epoch, as the actors' cron does it: a deadline's window closes, a
 * sector reaches its end, a pre-commit that was never proven burns its deposit.
 *
 * The chain has no storage to prove, so the Window PoSt of every partition is taken as posted by the miner's
 * own software when the deadline's window closes, together with the declaration that what was faulty has
 * recovered. A miner that was told to miss its windows (`POST /control`) posts nothing: its sectors are
 * faulty from there on, also those that were not proven yet.
 */
import { nextWindow } from '../chain/deadlines.ts';
import { allMiners, findMiner, type Miner, setMinerFunds } from './accounts.ts';
import { openDeadline, provingSchedule } from './deadlines.ts';
import type { Ledger } from './ledger.ts';
import type { Policy } from './options.ts';
import { endedInDeadline, markExpired, preCommittedBefore } from './sectors.ts';

/** Does what the end of this very epoch brings. */
export function endEpoch(ledger: Ledger, policy: Policy, epoch: number): void {
  for (const miner of allMiners(ledger)) {
    const deadline = openDeadline(policy, miner.id, epoch);
    if (openDeadline(policy, miner.id, epoch + 1) !== deadline) closeWindow(ledger, miner, deadline, epoch);
  }
  for (const sector of preCommittedBefore(ledger, epoch - proveCommitEnd(policy))) {
    spend(ledger, sector.miner, { burnt: sector.deposit, unlocked: sector.deposit });
    markExpired(ledger, sector.miner, sector.number);
  }
}

/** As if every epoch after `after` up to `until` had ended; those that bring nothing cost nothing. */
export function endEpochs(ledger: Ledger, policy: Policy, after: number, until: number): void {
  // The usual case, one epoch, needs no search.
  if (until === after + 1) return endEpoch(ledger, policy, until);
  for (let epoch = nextEventful(ledger, policy, after); epoch <= until; epoch = nextEventful(ledger, policy, epoch)) {
    endEpoch(ledger, policy, epoch);
  }
}

function closeWindow(ledger: Ledger, miner: Miner, deadline: number, epoch: number): void {
  const post = miner.missesPost ? 'faulty' : 'active';
  ledger.db
    .prepare("UPDATE sectors SET post = ? WHERE miner = ? AND deadline = ? AND status = 'activated' AND post <> ?")
    .run(post, miner.id, deadline, post);
  for (const sector of endedInDeadline(ledger, miner.id, deadline, epoch)) {
    spend(ledger, miner.id, { burnt: 0n, unlocked: sector.pledge ?? 0n });
    markExpired(ledger, miner.id, sector.number);
  }
}

function spend(ledger: Ledger, miner: number, { burnt, unlocked }: { burnt: bigint; unlocked: bigint }): void {
  const funds = findMiner(ledger, `t0${miner}`);
  if (funds !== undefined) setMinerFunds(ledger, miner, funds.balance - burnt, funds.locked - unlocked);
}

/** Epochs after a pre-commit in which it is not cleaned up. */
function proveCommitEnd(policy: Policy): number {
  return policy.maxProveCommit + policy.cleanUpDelay;
}

type Group = { miner: number; misses: number; deadline: number; ends: number; unposted: number; posted: number };

/** The first epoch after `after` whose end changes anything; `Infinity` when none does. */
function nextEventful(ledger: Ledger, policy: Policy, after: number): number {
  const { oldest } = ledger.db.prepare("SELECT min(pre_commit_epoch) AS oldest FROM sectors WHERE status = 'pre-committed'").get() as {
    oldest: number | null;
  };
  let next = oldest === null ? Infinity : Math.max(after + 1, oldest + proveCommitEnd(policy) + 1);
  const groups = ledger.db
    .prepare(
      `SELECT miner, misses_post AS misses, deadline, min(expiration) AS ends, sum(post <> 'active') AS unposted,
        sum(post <> 'faulty') AS posted FROM sectors JOIN miners ON miners.id = miner
        WHERE status = 'activated' GROUP BY miner, deadline`,
    )
    .all() as Group[];
  for (const { miner, misses, deadline, ends, unposted, posted } of groups) {
    const changes = (misses === 1 ? posted : unposted) > 0;
    const from = changes ? after + 1 : Math.max(after + 1, ends);
    next = Math.min(next, nextWindow(provingSchedule(policy, miner), deadline, from).close - 1);
  }
  return next;
}
