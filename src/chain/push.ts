/**
 * Pushing signed bytes so that doing it again is no error. The answer of a push can be lost, so a
 * refusal is settled by asking where the message is, not by the words of the refusal (nodes differ).
 */
import type { SignedMessage } from '../scheduler/effects.ts';
import { ChainError } from './errors.ts';
import { CidLink } from './lotus-answers.ts';
import type { LotusRpc } from './lotus-rpc.ts';
import { LotusSignedMessage } from './message.ts';
import { explainRefusal } from './refusals.ts';
import { TAKEN_CONFIDENCE_EPOCHS, whereabouts } from './whereabouts.ts';

/**
 * Hands the stored bytes to the node. Resolves when the node has the message, in its mempool, in its head's tipset or
 * executed. Throws `nonce_taken` (permanent) when another message was executed with its nonce and is believed: this one
 * can never land; `nonce_used` (temporary) when that is not proven yet. Neither leaves a gap that later nonces wait for.
 */
export async function pushSigned(rpc: LotusRpc, message: SignedMessage): Promise<void> {
  const signed = LotusSignedMessage.parse(JSON.parse(message.signed));
  try {
    await rpc.call('MpoolPush', [signed], CidLink);
  } catch (error) {
    // Without an answer of the node nothing is known: the caller pushes the same bytes again.
    if (!(error instanceof ChainError) || error.rpcCode === undefined) throw error;
    const { sender, nonce, cid } = message;
    const { at } = await whereabouts(rpc, cid, { sender, nonce });
    const detail = { rpcCode: error.rpcCode, cause: error };
    switch (at) {
      case 'chain':
      case 'pool':
      case 'head':
        return;
      case 'taken':
        throw new ChainError(
          'permanent',
          'nonce_taken',
          `nonce ${nonce} of ${sender} went to another message, so ${cid} cannot land; sign the message anew, and give this address to one sender only`,
          detail,
        );
      case 'used':
        throw new ChainError(
          'temporary',
          'nonce_used',
          `nonce ${nonce} of ${sender} was used by another message than ${cid}; that is believed after ${TAKEN_CONFIDENCE_EPOCHS} epochs`,
          { ...detail, waitEpochs: TAKEN_CONFIDENCE_EPOCHS },
        );
      case 'nowhere':
        // A pending message with our nonce may be ours with a raised fee, put there by hand: nothing is proven until it lands.
        throw explainRefusal(error, { sender });
    }
  }
}
