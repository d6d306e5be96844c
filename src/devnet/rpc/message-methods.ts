/** Gas, nonces, signing, the mempool, and what became of messages. */
import { z } from 'zod';
import { CidLink } from '../../chain/lotus-answers.ts';
import {
  type LotusMessage,
  LotusMessage as LotusMessageSchema,
  LotusSignedMessage,
  messageCid,
  signedMessageCid,
} from '../../chain/message.ts';
import { BASE_FEE } from '../actor/economics.ts';
import { MissingVerdict } from '../actor/context.ts';
import { executeMessage, executeTipset, gasNeeded } from '../execute.ts';
import { admit, nextNonce } from '../mempool.ts';
import {
  findLanded,
  findMessage,
  includedMessages,
  type MessageRow,
  messagesOfTipset,
  pendingMessages,
  type Receipt,
} from '../messages.ts';
import type { ProofClaim } from '../proof-claim.ts';
import { signMessage } from '../signatures.ts';
import { epochOfKey, tipsetLink } from './chain-methods.ts';
import { HeadKey, method, type RpcContext, type RpcMethod, RpcRefused, TipsetKey } from './method.ts';
import { needAccount } from './state-methods.ts';

const SendSpec = z.looseObject({ MaxFee: z.string().optional() }).nullable();
const SearchLimit = z.number().int();
const GAS_PREMIUM = 100_000n;

export const MESSAGE_METHODS: Readonly<Record<string, RpcMethod>> = {
  GasEstimateMessageGas: method(z.tuple([LotusMessageSchema, SendSpec, HeadKey]), (context, [message]) => estimate(context, message)),
  MpoolGetNonce: method(z.tuple([z.string()]), ({ ledger }, [address]) => nextNonce(ledger, needAccount(ledger, address))),
  WalletSignMessage: method(z.tuple([z.string(), LotusMessageSchema]), ({ ledger }, [address, message]) =>
    shown(signMessage(message, needAccount(ledger, address).privateKey)),
  ),
  MpoolPush: method(z.tuple([LotusSignedMessage]), ({ ledger }, [signed]) => ({ '/': admit(ledger, signed) })),
  MpoolPushMessage: method(z.tuple([LotusMessageSchema, SendSpec]), async (context, [message]) => {
    const { ledger } = context;
    const account = needAccount(ledger, message.From);
    const estimated = await estimate(context, { ...message, From: account.address });
    // Taking the nonce, signing and admitting is one synchronous step: no two can take the same.
    const signed = signMessage({ ...estimated, Nonce: nextNonce(ledger, account) }, account.privateKey);
    admit(ledger, signed);
    return shown(signed);
  }),
  MpoolPending: method(z.tuple([HeadKey]), ({ ledger }) => pendingMessages(ledger).map((row) => shown(row.signed))),
  ChainGetMessage: method(z.tuple([CidLink]), ({ ledger }, [cid]) => {
    const row = findMessage(ledger, cid);
    if (row === undefined) throw new RpcRefused(`message ${cid} not found: ipld: could not find it`);
    return { ...row.signed.Message, CID: { '/': messageCid(row.signed.Message).toString() } };
  }),
  ChainGetMessagesInTipset: method(z.tuple([TipsetKey]), ({ ledger }, [key]) =>
    messagesOfTipset(ledger, epochOfKey(ledger, key)).map((row) => ({ Cid: { '/': row.cid }, Message: row.signed.Message })),
  ),
  StateSearchMsg: method(z.tuple([HeadKey, CidLink, SearchLimit, z.boolean()]), (context, [, cid, , allowReplaced]) =>
    lookup(context, cid, allowReplaced),
  ),
  StateWaitMsg: method(
    z.tuple([CidLink, z.number().int().nonnegative(), SearchLimit, z.boolean()]),
    async (context, [cid, confidence, , allowReplaced]) => {
      while (!context.producer.closed) {
        const found = lookup(context, cid, allowReplaced);
        if (found !== null && context.ledger.epoch() >= found.Height + confidence) return found;
        await context.producer.nextHead();
      }
      throw new RpcRefused('the chain is being stopped; ask again when it runs');
    },
  ),
};

/** The receipt that a message would get now. */
async function dryRun({ ledger, policy, producer }: RpcContext, message: LotusMessage): Promise<Receipt> {
  const claims: ProofClaim[] = [];
  for (;;) {
    const verdictOf = await producer.verdicts(claims);
    const run = (): { receipt: Receipt } | { unjudged: ProofClaim[] } => {
      const execution = { ledger, policy, epoch: ledger.epoch(), verdictOf };
      const unjudged = executeTipset(execution, [...includedMessages(ledger), ...pendingMessages(ledger, message.From)]);
      if (unjudged.length > 0) return { unjudged };
      const sender = needAccount(ledger, message.From);
      try {
        return { receipt: executeMessage(execution, sender, { ...message, Nonce: sender.nonce }) };
      } catch (error) {
        if (!(error instanceof MissingVerdict)) throw error;
        return { unjudged: [error.claim] };
      }
    };
    const result = ledger.dryRun(run);
    if ('receipt' in result) return result.receipt;
    claims.push(...result.unjudged);
  }
}

type Lookup = {
  Message: { '/': string };
  Receipt: { ExitCode: number; Return: string | null; GasUsed: number; EventsRoot: null };
  ReturnDec: null;
  TipSet: { '/': string }[];
  Height: number;
};

/**
 * Executes the message without keeping anything, as Lotus does: in the head's epoch, after the head's own messages
 * and the sender's pending ones, without what the end of the epoch brings. A refusal is told here already.
 */
async function estimate(context: RpcContext, message: LotusMessage): Promise<LotusMessage> {
  const account = needAccount(context.ledger, message.From);
  const gasLimit = message.GasLimit > 0 ? message.GasLimit : Math.ceil(gasNeeded(message) * 1.25);
  const trial: LotusMessage = { ...message, From: account.address, GasLimit: gasLimit, GasPremium: '0' };
  const receipt = await dryRun(context, trial);
  if (receipt.exitCode !== 0) {
    throw new RpcRefused(
      `estimating gas used: message execution failed: exit (${receipt.exitCode}), reason: ${receipt.reason} (RetCode=${receipt.exitCode})`,
    );
  }
  return {
    ...message,
    GasLimit: gasLimit,
    GasPremium: message.GasPremium === '0' ? GAS_PREMIUM.toString() : message.GasPremium,
    GasFeeCap: message.GasFeeCap === '0' ? (BASE_FEE * 20n + GAS_PREMIUM).toString() : message.GasFeeCap,
  };
}

/** The receipt of a message, `null` while there is none; the refusals are Lotus' own, in its words. */
function lookup({ ledger }: RpcContext, cid: string, allowReplaced: boolean): Lookup | null {
  const row = findMessage(ledger, cid);
  if (row === undefined) throw new RpcRefused(`failed to load message: ipld: could not find ${cid}`);
  if (row.state === 'landed') return receiptOf(row);
  const replacement = findLanded(ledger, row.sender, row.nonce);
  if (replacement === undefined || !allowReplaced) return null;
  if (!sameCall(row, replacement)) {
    throw new RpcRefused(
      `message was replaced: found message with equal nonce as the one we are looking for that is NOT a valid replacement message (F:${cid} n ${row.nonce}, TS: ${replacement.cid} n${replacement.nonce})`,
    );
  }
  return receiptOf(replacement);
}

/** Lotus names the tipset that executed the message: the one after that which has it. */
function receiptOf(row: MessageRow): Lookup {
  const epoch = (row.epoch as number) + 1;
  return {
    Message: { '/': row.cid },
    Receipt: { ExitCode: row.exitCode as number, Return: row.returnBase64, GasUsed: row.gasUsed ?? 0, EventsRoot: null },
    ReturnDec: null,
    TipSet: [tipsetLink(epoch)],
    Height: epoch,
  };
}

/** Whether two messages ask for the same and differ in gas alone. */
function sameCall(a: MessageRow, b: MessageRow): boolean {
  const [x, y] = [a.signed.Message, b.signed.Message];
  return x.To === y.To && x.Value === y.Value && x.Method === y.Method && x.Params === y.Params;
}

function shown(signed: LotusSignedMessage): unknown {
  return {
    Message: { ...signed.Message, CID: { '/': messageCid(signed.Message).toString() } },
    Signature: signed.Signature,
    CID: { '/': signedMessageCid(signed).toString() },
  };
}
