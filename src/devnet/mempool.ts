/** Which messages are taken, and which may go into the next tipset: rules and words of Lotus' mempool. */
import { addressBytes } from '../chain/addresses.ts';
import { type LotusSignedMessage, signedMessageCbor, signedMessageCid } from '../chain/message.ts';
import { type Account, allAccounts, findAccount } from './accounts.ts';
import { BASE_FEE } from './actor/economics.ts';
import type { Ledger } from './ledger.ts';
import { findMessage, includedCount, insertPending, markReplaced, type MessageRow, pendingMessages } from './messages.ts';
import { signerOf } from './signatures.ts';

const MAX_MESSAGE_BYTES = 65_536;
/** A replacement must pay a quarter more than what it replaces. */
const REPLACE_NUMERATOR = 125n;
const REPLACE_DENOMINATOR = 100n;

/** The mempool refused a message. */
export class Refused extends Error {}

/** Takes a message into the mempool, durably, and answers its CID. Throws `Refused`. */
export function admit(ledger: Ledger, signed: LotusSignedMessage): string {
  return ledger.transaction(() => {
    const { Message: message } = signed;
    const account = checkSignature(ledger, signed);
    checkForm(signed, account);
    const least = nonceAfterHead(ledger, account);
    if (message.Nonce < least) {
      throw new Refused(`minimum expected nonce is ${least}, got ${message.Nonce}: message nonce too low`);
    }
    const rival = pendingMessages(ledger, account.address).find((row) => row.nonce === message.Nonce);
    if (rival !== undefined) {
      if (rival.cid === signedMessageCid(signed).toString()) {
        throw new Refused(
          `message from ${account.address} with nonce ${message.Nonce} already in mpool: message with nonce already exists`,
        );
      }
      const atLeast = (BigInt(rival.signed.Message.GasPremium) * REPLACE_NUMERATOR) / REPLACE_DENOMINATOR + 1n;
      if (BigInt(message.GasPremium) < atLeast) {
        throw new Refused(`replace by fee has too low GasPremium: ${message.GasPremium}, needs ${atLeast}`);
      }
      markReplaced(ledger, rival.cid);
    }
    if (findMessage(ledger, signedMessageCid(signed).toString()) !== undefined) {
      throw new Refused('the message was here before and was replaced by another with its nonce');
    }
    return insertPending(ledger, account.address, signed);
  });
}

/** The account's nonce once the head's own messages are executed: the state that the mempool goes by. */
export function nonceAfterHead(ledger: Ledger, account: Account): number {
  return account.nonce + includedCount(ledger, account.address);
}

/** The nonce after those on chain and every pending one that follows without a gap. */
export function nextNonce(ledger: Ledger, account: Account): number {
  let next = nonceAfterHead(ledger, account);
  for (const row of pendingMessages(ledger, account.address)) if (row.nonce === next) next++;
  return next;
}

/** Pending messages that may go into the next tipset: per sender in nonce order, up to the first gap. */
export function executable(ledger: Ledger): MessageRow[] {
  return allAccounts(ledger).flatMap((account) => {
    let next = nonceAfterHead(ledger, account);
    return pendingMessages(ledger, account.address).filter((row) => row.nonce === next && (next++, true));
  });
}

function checkSignature(ledger: Ledger, signed: LotusSignedMessage): Account {
  const signer = signerOf(signed);
  const account = findAccount(ledger, signed.Message.From);
  if (account === undefined) throw new Refused(`there is no account ${signed.Message.From}: actor not found`);
  if (signer !== account.address) throw new Refused(`signature verification failed: not signed by ${signed.Message.From}`);
  return account;
}

function checkForm(signed: LotusSignedMessage, account: Account): void {
  const { Message: message } = signed;
  const sizeBytes = signedMessageCbor(signed).length;
  if (sizeBytes > MAX_MESSAGE_BYTES) throw new Refused(`message too big: ${sizeBytes} bytes, at most ${MAX_MESSAGE_BYTES}`);
  try {
    addressBytes(message.To);
  } catch {
    throw new Refused(`message had invalid to address: ${message.To}`);
  }
  if (message.GasLimit <= 0) throw new Refused('message has no gas limit set');
  if (BigInt(message.GasPremium) > BigInt(message.GasFeeCap)) throw new Refused('gas premium exceeds gas fee cap');
  if (BigInt(message.GasFeeCap) < BASE_FEE) throw new Refused(`gas fee cap too low: the base fee is ${BASE_FEE}`);
  const needed = BigInt(message.Value) + BigInt(message.GasLimit) * BigInt(message.GasFeeCap);
  if (account.balance < needed) {
    throw new Refused(`not enough funds to execute transaction: ${account.address} has ${account.balance}, needs ${needed}`);
  }
}
