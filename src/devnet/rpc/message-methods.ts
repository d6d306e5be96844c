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
import { claimsOfMessage, executeMessage, gasNeeded } from '../execute.ts';
import { admit, nextNonce } from '../mempool.ts';
import { findLanded, findMessage, type MessageRow, pendingMessages } from '../messages.ts';
import { signMessage } from '../signatures.ts';
import { tipsetLink } from './chain-methods.ts';
import { HeadKey, method, type RpcContext, type RpcMethod, RpcRefused } from './method.ts';
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

type Lookup = {
  Message: { '/': string };
  Receipt: { ExitCode: number; Return: string | null; GasUsed: number; EventsRoot: null };
  ReturnDec: null;
  TipSet: { '/': string }[];
  Height: number;
};

/** Executes the message on the head without keeping anything, as nodes do: a refusal is told here already. */
async function estimate(context: RpcContext, message: LotusMessage): Promise<LotusMessage> {
  const { ledger, policy, producer } = context;
  const account = needAccount(ledger, message.From);
  const gasLimit = message.GasLimit > 0 ? message.GasLimit : Math.ceil(gasNeeded(message) * 1.25);
  const trial: LotusMessage = { ...message, From: account.address, Nonce: account.nonce, GasLimit: gasLimit, GasPremium: '0' };
  const epoch = ledger.epoch() + 1;
  const verdictOf = await producer.verdicts(claimsOfMessage({ ledger, policy, epoch }, account, trial));
  const receipt = ledger.dryRun(() =>
    executeMessage({ ledger, policy, epoch: ledger.epoch() + 1, verdictOf }, needAccount(ledger, message.From), trial),
  );
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

function lookup({ ledger }: RpcContext, cid: string, allowReplaced: boolean): Lookup | null {
  const row = findMessage(ledger, cid);
  if (row === undefined) return null;
  if (row.state === 'landed') return receiptOf(row);
  if (row.state === 'pending' || !allowReplaced) return null;
  const replacement = findLanded(ledger, row.sender, row.nonce);
  if (replacement === undefined) return null;
  if (!sameCall(row, replacement)) {
    throw new RpcRefused(`found message with equal nonce as the one we are looking for (nonce ${row.nonce}): ${replacement.cid}`);
  }
  return receiptOf(replacement);
}

function receiptOf(row: MessageRow): Lookup {
  const epoch = row.epoch as number;
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
