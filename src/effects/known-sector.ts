/** Questions about sectors that exist: their ticket, and what the chain has that a restored database does not know. */
import type { ChainPreCommit, EffectOutcome, EffectRow, EffectWant } from '../scheduler/effects.ts';
import type { Chain, ObjectStore } from '../scheduler/ports.ts';
import type { Job } from '../schema/job.ts';
import { type EffectContext, type EffectDoor, recording } from './door.ts';
import { exitCodeOf } from './landed.ts';
import type { SettledSenders } from './settled-sender.ts';

/** The ticket at its known epoch, else at the one that the pre-commit message names; null when nobody knows it. */
export async function oldTicket(
  chain: Pick<Chain, 'ticketAt' | 'preCommitMessage'>,
  want: Extract<EffectWant, { kind: 'oldTicket' }>,
): Promise<{ value: string; epoch: number } | null> {
  if (want.epoch !== null) return chain.ticketAt(want.miner, want.epoch);
  const message = want.preCommit === null ? undefined : await chain.preCommitMessage(want.preCommit, want.number);
  return message === undefined ? null : chain.ticketAt(want.miner, message.ticketEpoch);
}

type Reconcile = Extract<EffectWant, { kind: 'reconcile' }>;

/**
 * After a restore. A message that the lost database pushed may still be under way: until none is, nobody can
 * say what the chain will have, so the job waits. Then the chain is read as it stands.
 */
export async function reconcile<C extends EffectContext>(
  effect: Pick<EffectRow, 'job'>,
  want: Reconcile,
  parts: {
    readonly door: EffectDoor<C>;
    readonly chain: Chain;
    readonly objects: Pick<ObjectStore, 'head'>;
    readonly settled: Pick<SettledSenders, 'standing'>;
  },
): Promise<EffectOutcome> {
  const { chain } = parts;
  // Whoever signs for the miner now, and whoever signed for this job before: they differ after a change of addresses.
  const { sent, artifacts } = await recording(parts.door)(({ tx }) => {
    if (effect.job === null) return { sent: [], artifacts: {} };
    const sent = tx.effectsOfJob(effect.job).flatMap(({ signed }) => signed ?? []);
    return { sent, artifacts: tx.job(effect.job)?.data.artifacts ?? {} };
  });
  for (const sender of new Set([await chain.sender(want.miner), ...sent.map((message) => message.sender)])) {
    const standing = await parts.settled.standing(sender);
    if (standing.settled) continue;
    const { epochMs } = await chain.network();
    return { outcome: 'wait', forMs: standing.epochs * epochMs, reason: standing.reason };
  }
  if (want.number === null) return { outcome: 'reconciled', preCommit: null, sector: null, taken: false, messages: [], missing: [] };
  const cids = sent.map(({ cid }) => cid);
  const [missing, seen] = await Promise.all([gone(artifacts, parts.objects), look(want.miner, want.number, cids, chain)]);
  return { ...seen, missing };
}

/** The artifacts whose objects are not there: the lost database deleted them, having gone on or given up. */
async function gone(artifacts: Job['data']['artifacts'], objects: Pick<ObjectStore, 'head'>): Promise<string[]> {
  const found = await Promise.all(Object.entries(artifacts).map(async ([name, { key }]) => ({ name, there: await objects.head(key) })));
  return found.flatMap(({ name, there }) => (there === undefined ? [name] : []));
}

type Seen = Omit<Extract<EffectOutcome, { outcome: 'reconciled' }>, 'missing'>;

/** What the chain has of the sector, and what became of the messages that are known. */
async function look(miner: Reconcile['miner'], number: number, cids: readonly string[], chain: Chain): Promise<Seen> {
  const [found, sector, taken] = await Promise.all([
    chain.preCommit(miner, number),
    chain.sector(miner, number),
    chain.allocated(miner, [number]),
  ]);
  let preCommit: ChainPreCommit | null = null;
  if (found !== undefined) {
    const { commR, commD, sealProof, epoch, ticketEpoch } = found;
    preCommit = { commR, commD, sealProof, epoch, ticket: await chain.ticketAt(miner, ticketEpoch) };
  }
  const states = await Promise.all(cids.map(async (cid) => ({ cid, found: await chain.message(cid, { number }) })));
  const messages = states.flatMap(({ cid, found: state }) =>
    state.state === 'landed' ? [{ cid, epoch: state.epoch, exitCode: exitCodeOf(state) }] : [],
  );
  return { outcome: 'reconciled', preCommit, sector: sector ?? null, taken: taken.includes(number), messages };
}
