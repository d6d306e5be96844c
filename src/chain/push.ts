/**
 * Pushing signed bytes so that doing it again is no error. The answer of a push can be lost, so a
 * refusal is settled by asking where the message is, not by the words of the refusal (nodes differ).
 */
import { z } from 'zod';
import type { SignedMessage } from '../scheduler/effects.ts';
import { ChainError } from './errors.ts';
import { CidLink } from './lotus-answers.ts';
import type { LotusRpc } from './lotus-rpc.ts';
import { isPending, pendingNonce, searchMessage } from './message-state.ts';
import { LotusSignedMessage } from './message.ts';
import { explainRefusal } from './refusals.ts';

/**
 * Hands the stored bytes to the node. Resolves when the node has the message, in its mempool or on chain.
 * Throws `nonce_taken` (permanent) when another message landed with its nonce: this one can never land.
 */
export async function pushSigned(rpc: LotusRpc, message: SignedMessage): Promise<void> {
  const signed = LotusSignedMessage.parse(JSON.parse(message.signed));
  try {
    await rpc.call('MpoolPush', [signed], CidLink);
  } catch (error) {
    // Without an answer of the node nothing is known: the caller pushes the same bytes again.
    if (!(error instanceof ChainError) || error.rpcCode === undefined) throw error;
    if (await isPending(rpc, message.cid)) return;
    if ((await searchMessage(rpc, message.cid)) !== null) return;
    const next = await rpc.call('MpoolGetNonce', [message.sender], z.number().int().nonnegative());
    // A pending message with our nonce may be ours with a raised fee, put there by hand: nothing is proven until it lands.
    if (next > message.nonce && !(await pendingNonce(rpc, message.sender, message.nonce))) {
      throw new ChainError(
        'permanent',
        'nonce_taken',
        `nonce ${message.nonce} of ${message.sender} went to another message, so ${message.cid} cannot land; sign the message anew, and give this address to one sender only`,
        { rpcCode: error.rpcCode, cause: error },
      );
    }
    throw explainRefusal(error, { sender: message.sender });
  }
}
