/** `POST /control`: what tests and operators of a dev chain may do to it. Fields are applied in this order. */
import { z } from 'zod';
import { AttoFil } from '../chain/message.ts';
import { findAccount, findMiner, setAccount, setMinerFunds, setMissesPost } from './accounts.ts';
import { setPledgePercent } from './actor/economics.ts';
import type { Ledger } from './ledger.ts';
import type { Producer } from './producer.ts';
import { FixedRandomness, fixedRandomness, fixRandomness } from './randomness.ts';

const Control = z.strictObject({
  /** Fixes every ticket, every seed; null lets them go again. */
  fixRandomness: FixedRandomness.nullable().optional(),
  /** Sets the balance of an account, or the available balance of a miner, in attoFIL. */
  setBalance: z.strictObject({ address: z.string(), attoFil: AttoFil }).optional(),
  /** Whether a miner's software posts no Window PoSt from now on: its sectors turn faulty as their windows close. */
  missWindowPost: z.strictObject({ miner: z.string(), misses: z.boolean() }).optional(),
  /** What new sectors and upgrades pledge, in percent of the usual. */
  pledgePercent: z.number().int().min(1).max(1_000_000).optional(),
  /** Length of an epoch from now on. */
  epochMs: z.number().int().min(1).max(3_600_000).optional(),
  /** True: epochs pass through `advance` only. */
  pause: z.boolean().optional(),
  /** Lets this many epochs pass at once. */
  advance: z.number().int().min(1).max(10_000_000).optional(),
});

/** A control request that was refused. */
export class ControlRefused extends Error {}

/** Applies a request; answers how the chain now stands. */
export async function control(ledger: Ledger, producer: Producer, body: unknown): Promise<unknown> {
  const request = Control.safeParse(body);
  if (!request.success) throw new ControlRefused(`the request has another shape: ${z.prettifyError(request.error)}`);
  const { advance, epochMs, pause, fixRandomness: fixed, setBalance, missWindowPost, pledgePercent } = request.data;
  if (fixed !== undefined) fixRandomness(ledger, fixed);
  if (setBalance !== undefined) changeBalance(ledger, setBalance.address, BigInt(setBalance.attoFil));
  if (missWindowPost !== undefined) setMissesPost(ledger, needMiner(ledger, missWindowPost.miner), missWindowPost.misses);
  if (pledgePercent !== undefined) setPledgePercent(ledger, pledgePercent);
  if (epochMs !== undefined || pause !== undefined) producer.setPace({ epochMs, paused: pause });
  if (advance !== undefined) await producer.advance(advance);
  return { epoch: ledger.epoch(), epochMs: producer.epochMs, paused: producer.paused, fixedRandomness: fixedRandomness(ledger) };
}

function needMiner(ledger: Ledger, address: string): number {
  const miner = findMiner(ledger, address);
  if (miner === undefined) throw new ControlRefused(`there is no miner ${address}; give a miner of this chain`);
  return miner.id;
}

function changeBalance(ledger: Ledger, address: string, attoFil: bigint): void {
  const miner = findMiner(ledger, address);
  if (miner !== undefined) {
    setMinerFunds(ledger, miner.id, miner.locked + attoFil, miner.locked);
    return;
  }
  const account = findAccount(ledger, address);
  if (account === undefined) throw new ControlRefused(`there is no actor ${address}; give an account or a miner of this chain`);
  setAccount(ledger, account.id, attoFil, account.nonce);
}
