/** Executes messages on the state: value, actor method, gas; an abort takes everything but gas and nonce back. */
import { type LotusMessage, METHOD } from '../chain/message.ts';
import { decodePreCommitSectorBatch2, decodeProveCommitSectors3, decodeProveReplicaUpdates3 } from '../chain/params-decode.ts';
import { type Account, findAccount, findMiner, setAccount, setMinerFunds } from './accounts.ts';
import { ActorAbort, EXIT } from './actor/abort.ts';
import { type ActorContext, MissingVerdict } from './actor/context.ts';
import { BASE_FEE, gasUsed } from './actor/economics.ts';
import { preCommitSectorBatch2 } from './actor/pre-commit.ts';
import { claimsOf, proveCommitSectors3 } from './actor/prove-commit.ts';
import { claimsOfUpdates, proveReplicaUpdates3 } from './actor/prove-replica-updates.ts';
import type { Ledger } from './ledger.ts';
import type { MessageRow, Receipt } from './messages.ts';
import type { Policy } from './options.ts';
import type { ProofClaim } from './proof-claim.ts';

export type Execution = {
  readonly ledger: Ledger;
  readonly policy: Policy;
  /** The epoch that the message executes in. */
  readonly epoch: number;
  readonly verdictOf: (claim: ProofClaim) => boolean;
};

/** Executes a message of `sender`. Throws only `MissingVerdict` and real faults; an actor's refusal is a receipt. */
export function executeMessage(execution: Execution, sender: Account, message: LotusMessage): Receipt {
  const { ledger } = execution;
  const params = Uint8Array.from(Buffer.from(message.Params, 'base64'));
  const needed = gasUsed(params.length, sectorCount(message.Method, params));
  const used = Math.min(needed, message.GasLimit);
  const fee = BigInt(used) * BASE_FEE + BigInt(message.GasLimit) * BigInt(message.GasPremium);
  const paid = sender.balance > fee ? sender.balance - fee : 0n;
  setAccount(ledger, sender.id, paid, sender.nonce + 1);
  try {
    const returned = ledger.transaction(() => {
      if (needed > message.GasLimit) throw new ActorAbort(EXIT.SysOutOfGas, `out of gas: needs ${needed}, limit is ${message.GasLimit}`);
      return transferAndCall(execution, { ...sender, balance: paid, nonce: sender.nonce + 1 }, message, params);
    });
    return { exitCode: EXIT.Ok, returned, gasUsed: used, reason: '' };
  } catch (error) {
    if (!(error instanceof ActorAbort)) throw error;
    return { exitCode: error.exitCode, returned: new Uint8Array(), gasUsed: used, reason: error.message };
  }
}

/**
 * Executes messages in order and tells each receipt; answers the claims that nobody has judged. A message that
 * makes one, or whose turn has not come because an earlier one of its sender was not executed, is passed over.
 */
export function executeTipset(
  execution: Execution,
  rows: readonly MessageRow[],
  executed: (row: MessageRow, receipt: Receipt) => void = () => undefined,
): ProofClaim[] {
  const { ledger } = execution;
  const unjudged: ProofClaim[] = [];
  for (const row of rows) {
    const sender = findAccount(ledger, row.sender);
    if (sender === undefined || sender.nonce !== row.nonce) continue;
    try {
      ledger.transaction(() => executed(row, executeMessage(execution, sender, row.signed.Message)));
    } catch (error) {
      if (!(error instanceof MissingVerdict)) throw error;
      unjudged.push(error.claim);
    }
  }
  return unjudged;
}

/** Whether messages of this method have proofs to be verified. */
export function bringsProofs({ Method }: LotusMessage): boolean {
  return Method === METHOD.ProveCommitSectors3 || Method === METHOD.ProveReplicaUpdates3;
}

/** The proofs that executing this message would have to verify. */
export function claimsOfMessage(execution: Omit<Execution, 'verdictOf'>, sender: Account, message: LotusMessage): ProofClaim[] {
  const miner = findMiner(execution.ledger, message.To);
  if (miner === undefined) return [];
  const context = { ...execution, caller: sender, miner };
  const params = Uint8Array.from(Buffer.from(message.Params, 'base64'));
  if (message.Method === METHOD.ProveCommitSectors3) return claimsOf(context, params);
  return message.Method === METHOD.ProveReplicaUpdates3 ? claimsOfUpdates(context, params) : [];
}

/** Gas the message would use, for the estimate. */
export function gasNeeded(message: LotusMessage): number {
  const params = Uint8Array.from(Buffer.from(message.Params, 'base64'));
  return gasUsed(params.length, sectorCount(message.Method, params));
}

function transferAndCall(execution: Execution, sender: Account, message: LotusMessage, params: Uint8Array): Uint8Array {
  const { ledger } = execution;
  const value = BigInt(message.Value);
  if (sender.balance < value) {
    throw new ActorAbort(EXIT.SysInsufficientFunds, `sender has ${sender.balance} attoFIL, the message sends ${value}`);
  }
  setAccount(ledger, sender.id, sender.balance - value, sender.nonce);
  const miner = findMiner(ledger, message.To);
  if (miner === undefined) return payAccount(ledger, message, value);
  const credited = { ...miner, balance: miner.balance + value };
  setMinerFunds(ledger, miner.id, credited.balance, miner.locked);
  const context: ActorContext = { ...execution, caller: sender, miner: credited };
  switch (message.Method) {
    case METHOD.Send:
      return new Uint8Array();
    case METHOD.PreCommitSectorBatch2:
      return preCommitSectorBatch2(context, params);
    case METHOD.ProveCommitSectors3:
      return proveCommitSectors3(context, params);
    case METHOD.ProveReplicaUpdates3:
      return proveReplicaUpdates3(context, params);
    default:
      throw new ActorAbort(EXIT.UnhandledMessage, `the miner actor of this dev chain has no method ${message.Method}`);
  }
}

function payAccount(ledger: Ledger, message: LotusMessage, value: bigint): Uint8Array {
  const receiver = findAccount(ledger, message.To);
  if (receiver === undefined) throw new ActorAbort(EXIT.SysInvalidReceiver, `there is no actor ${message.To}`);
  if (message.Method !== METHOD.Send) throw new ActorAbort(EXIT.UnhandledMessage, `an account has no method ${message.Method}`);
  setAccount(ledger, receiver.id, receiver.balance + value, receiver.nonce);
  return new Uint8Array();
}

function sectorCount(method: number, params: Uint8Array): number {
  try {
    if (method === METHOD.PreCommitSectorBatch2) return decodePreCommitSectorBatch2(params).length;
    if (method === METHOD.ProveCommitSectors3) return decodeProveCommitSectors3(params).sectors.length;
    if (method === METHOD.ProveReplicaUpdates3) return decodeProveReplicaUpdates3(params).updates.length;
  } catch {
    // The actor refuses it later; it still costs its bytes.
  }
  return 0;
}
