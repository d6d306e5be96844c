/** Questions about sectors that exist: their ticket, and what the chain has that a restored database does not know. */
import type { ChainPreCommit, EffectOutcome, EffectWant } from '../scheduler/effects.ts';
import type { Chain } from '../scheduler/ports.ts';
import { type EffectContext, type EffectDoor, recording } from './door.ts';

/** The ticket at its known epoch, else at the one that the pre-commit message names; null when nobody knows it. */
export async function oldTicket(
  chain: Pick<Chain, 'ticketAt' | 'preCommitMessage'>,
  want: Extract<EffectWant, { kind: 'oldTicket' }>,
): Promise<{ value: string; epoch: number } | null> {
  if (want.epoch !== null) return chain.ticketAt(want.miner, want.epoch);
  const message = want.preCommit === null ? undefined : await chain.preCommitMessage(want.preCommit, want.number);
  return message === undefined ? null : chain.ticketAt(want.miner, message.ticketEpoch);
}

/**
 * After a restore. A message that the lost database pushed may still be in the mempool: until each of the
 * sender's is one that we know, nobody can say what the chain will have, so the job waits.
 */
export async function reconcile<C extends EffectContext>(
  want: Extract<EffectWant, { kind: 'reconcile' }>,
  parts: { readonly door: EffectDoor<C>; readonly chain: Omit<Chain, 'head'> },
): Promise<EffectOutcome> {
  const { chain } = parts;
  const sender = await chain.sender(want.miner);
  const pending = await chain.pendingMessages(sender);
  const known = await recording(parts.door)(({ tx }) => tx.lastNonce(sender));
  const foreign = pending.find(({ nonce }) => nonce > known);
  if (foreign !== undefined) {
    const { epochMs } = await chain.network();
    const reason = `message ${foreign.cid} (nonce ${foreign.nonce}) of ${sender} is in the mempool and not in the restored database; what it does to the chain is waited for`;
    return { outcome: 'wait', forMs: epochMs, reason };
  }
  const [onChain, sector] = await Promise.all([chain.preCommit(want.miner, want.number), chain.sector(want.miner, want.number)]);
  const preCommit: ChainPreCommit | null =
    onChain === undefined
      ? null
      : { commR: onChain.commR, epoch: onChain.epoch, ticket: await chain.ticketAt(want.miner, onChain.ticketEpoch) };
  return { outcome: 'reconciled', preCommit, sector: sector ?? null };
}
