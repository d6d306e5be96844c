/**
 * In a restored database, before a message is signed: what only the lost database had may come up after the job was compared
 * with the chain. A node keeps what it was given, loses it from its mempool, and publishes it anew minutes or hours later.
 */
import type { MessageWant } from '../scheduler/effects.ts';
import type { Chain } from '../scheduler/ports.ts';
import type { EffectContext, recording } from './door.ts';

type Parts<C extends EffectContext> = {
  readonly chain: Pick<Chain, 'pendingMessages' | 'preCommit' | 'sector'>;
  readonly run: ReturnType<typeof recording<C>>;
};

/** Why the message must not be signed: one for its sector is in the mempool that this database does not know, or its work is done. */
export async function cameUp<C extends EffectContext>(sender: string, want: MessageWant, parts: Parts<C>): Promise<string | undefined> {
  // The mempool first: what it had and the chain has by now is found there.
  const alike = (await parts.chain.pendingMessages(sender)).filter(({ sectors }) => sectors.includes(want.number));
  if (alike.length > 0) {
    const cids = alike.map(({ cid }) => cid);
    const own = new Set(await parts.run(({ tx }) => tx.ownMessages(sender, cids)));
    const unknown = alike.find(({ cid }) => !own.has(cid));
    if (unknown !== undefined)
      return `message ${unknown.cid} (nonce ${unknown.nonce}) of ${sender} for sector ${want.number} is in the mempool and not in the restored database`;
  }
  return (await isDone(want, parts.chain)) ? `the chain shows the work of ${want.method} for sector ${want.number}` : undefined;
}

async function isDone(want: MessageWant, chain: Parts<EffectContext>['chain']): Promise<boolean> {
  if (want.method === 'PreCommitSectorBatch2') return (await chain.preCommit(want.miner, want.number)) !== undefined;
  const sector = await chain.sector(want.miner, want.number);
  return want.method === 'ProveCommitSectors3' ? sector !== undefined : sector !== undefined && sector.keyCommR !== null;
}
