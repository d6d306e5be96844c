/** What a miner can pay with: the wallets that send for it, and what of its own is free for deposits and pledges. */
import { z } from 'zod';
import type { MinerId } from '../schema/ids.ts';
import type { MinerInfo } from './lotus-answers.ts';
import type { LotusRpc } from './lotus-rpc.ts';
import { AttoFil } from './message.ts';

/** Money at one address, in attoFIL. `available`: of the miner itself, what is neither locked nor pledged; below zero in debt. */
export type Balance = { readonly address: string; readonly kind: 'worker' | 'control' | 'available'; readonly attoFil: bigint };

export type Balances = { balances(miner: MinerId): Promise<readonly Balance[]> };

const Available = z.string().regex(/^-?(0|[1-9][0-9]{0,38})$/, 'attoFIL as a decimal string');

/** Worker and control addresses as the miner's state names them, then the miner. Rejects when the node does not answer. */
export async function balancesOf(rpc: LotusRpc, miner: MinerId, info: MinerInfo): Promise<readonly Balance[]> {
  const wallets = [
    { address: info.Worker, kind: 'worker' as const },
    ...(info.ControlAddresses ?? []).map((address) => ({ address, kind: 'control' as const })),
  ];
  const [available, ...paid] = await Promise.all([
    rpc.call('StateMinerAvailableBalance', [miner, []], Available),
    ...wallets.map(async (one) => ({ ...one, attoFil: BigInt(await rpc.call('WalletBalance', [one.address], AttoFil)) })),
  ]);
  return [...paid, { address: miner, kind: 'available', attoFil: BigInt(available) }];
}
