/** What became of a message: on chain with its receipt, on its way there, or not known to the node. */
import { sameAddress } from './addresses.ts';
import { z } from 'zod';
import type { MessageState, PendingMessage } from '../scheduler/ports.ts';
import { CidLink, type MessageLookup, TipSet } from './lotus-answers.ts';
import type { LotusRpc } from './lotus-rpc.ts';
import { LotusMessage, METHOD } from './message.ts';
import { whereabouts } from './whereabouts.ts';
import {
  decodeActivationReturn,
  decodePreCommitSectorBatch2,
  decodeProveCommitSectors3,
  decodeProveReplicaUpdates3,
} from './params-decode.ts';

/** Every message of this sender in the mempool. */
export async function pendingOf(rpc: LotusRpc, sender: string): Promise<PendingMessage[]> {
  const Message = z.object({ From: z.string(), Nonce: z.number(), Method: z.number(), Params: z.string().nullish() });
  const Line = z.object({ Message, CID: CidLink });
  const pending = await rpc.call('MpoolPending', [[]], z.array(Line).nullable());
  return (pending ?? [])
    .filter(({ Message }) => sameAddress(Message.From, sender))
    .map(({ Message, CID }) => ({ cid: CID, nonce: Message.Nonce, sectors: sectorsNamed(Message.Method, Message.Params ?? '') }));
}

/** The sectors that a message in the mempool is about. What the chain could not decode either does nothing to any. */
function sectorsNamed(method: number, params: string): number[] {
  try {
    const numbers =
      method === METHOD.PreCommitSectorBatch2
        ? decodePreCommitSectorBatch2(bytesOf(params)).map(({ sectorNumber }) => sectorNumber)
        : sectorsOf({ Method: method, Params: params });
    return (numbers ?? []).map(Number);
  } catch {
    return [];
  }
}

/** The state of a message as it concerns sector `number`, if one is named. */
export async function messageState(rpc: LotusRpc, cid: string, number: number | null): Promise<MessageState> {
  const found = await whereabouts(rpc, cid);
  if (found.at !== 'chain') return { state: found.at === 'pool' || found.at === 'head' ? 'pending' : 'unknown' };
  const { lookup } = found;
  const head = await rpc.call('ChainHead', [], TipSet);
  const { ExitCode: exitCode } = lookup.Receipt;
  const failedWith = exitCode === 0 && number !== null ? await sectorExitCode(rpc, lookup, number) : exitCode;
  return {
    state: 'landed',
    epoch: lookup.Height,
    confidence: Math.max(0, head.Height - lookup.Height),
    exitCode,
    sectorOk: failedWith === 0,
    detail: failedWith === 0 ? '' : `exit code ${failedWith}: ${exitCodeMeaning(failedWith)}`,
  };
}

/** A receipt of 0 of methods 34 and 35 may hide sectors that failed: its return names them by position. */
async function sectorExitCode(rpc: LotusRpc, lookup: MessageLookup, number: number): Promise<number> {
  const bytes = Buffer.from(lookup.Receipt.Return ?? '', 'base64');
  if (bytes.length === 0) return 0;
  const message = await rpc.call('ChainGetMessage', [{ '/': lookup.Message }], LotusMessage);
  const numbers = sectorsOf(message);
  if (numbers === undefined) return 0;
  const { failures } = decodeActivationReturn(Uint8Array.from(bytes));
  const index = numbers.findIndex((candidate) => BigInt(candidate) === BigInt(number));
  return failures.find((failure) => failure.index === index)?.exitCode ?? 0;
}

/** The sectors of a message whose return names them by position, in that order. */
function sectorsOf(message: Pick<LotusMessage, 'Method' | 'Params'>): readonly (number | bigint)[] | undefined {
  const params = bytesOf(message.Params);
  if (message.Method === METHOD.ProveCommitSectors3) return decodeProveCommitSectors3(params).sectors.map((sector) => sector.sectorNumber);
  if (message.Method === METHOD.ProveReplicaUpdates3)
    return decodeProveReplicaUpdates3(params).updates.map((update) => update.sectorNumber);
  return undefined;
}

function bytesOf(base64: string): Uint8Array {
  return Uint8Array.from(Buffer.from(base64, 'base64'));
}

const MEANINGS: Readonly<Record<number, string>> = {
  6: 'the sender had not the value it sent',
  7: 'out of gas',
  16: 'the actor refused an argument (proof, ticket, expiration, CommD, or a deadline that must not change now)',
  17: 'the sector is not where it should be on chain',
  18: 'the sender or the moment is not allowed',
  19: 'the miner had too little available balance',
  20: 'the actor is in a state that forbids it',
  21: 'the parameters could not be decoded',
};

/** A few words for an exit code of the chain. */
export function exitCodeMeaning(exitCode: number): string {
  return MEANINGS[exitCode] ?? 'see the actor error codes of the network';
}
