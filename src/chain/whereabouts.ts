/**
 * Where a signed message is. Lotus executes the messages of a tipset when the next one comes: while ours is in the
 * head's tipset, it is neither in the mempool nor has it a receipt, and the mempool's next nonce has passed it
 * (chain/stmgr/searchwait.go, chain/messagepool). So only the nonce of an executed state says that a nonce is used.
 */
import { z } from 'zod';
import { ChainError } from './errors.ts';
import { Actor, CidLink, type MessageLookup, MessageLookup as MessageLookupSchema } from './lotus-answers.ts';
import type { LotusRpc } from './lotus-rpc.ts';
import { LotusMessage } from './message.ts';

/**
 * `chain`: executed, here is its receipt or that of its replacement (same call, other gas). `pool`: in the mempool.
 * `head`: in the head's tipset, which is executed next. `used`: its nonce was used and it has no receipt, which a
 * reorg may still change. `taken`: so for `TAKEN_CONFIDENCE_EPOCHS`, it can never land. `nowhere`: the node has lost
 * it, or never had it; its nonce is free, or that of another message that is not executed yet.
 */
export type Whereabouts =
  | { readonly at: 'chain'; readonly lookup: MessageLookup }
  | { readonly at: 'pool' | 'head' | 'used' | 'taken' | 'nowhere' };

/** Epochs after which a used nonce is believed: no fewer than a receipt needs. */
export const TAKEN_CONFIDENCE_EPOCHS = 5;

/** How often the head may move during a look. */
const MOST_LOOKS = 5;

const Key = z.array(z.object({ '/': z.string() }));
type TipSetKey = z.infer<typeof Key>;
const Head = z.object({ Cids: Key, Height: z.number().int() });
const TipSetMessages = z.array(z.object({ Cid: CidLink })).nullable();

/** `stranger`: the node has never stored the message. `rival`: another call was executed with its nonce. */
type Search = { readonly is: 'found'; readonly lookup: MessageLookup } | { readonly is: 'none' | 'stranger' | 'rival' };

/** Lotus' words for its two refusals that say where the message is not (`ErrMessageReplaced`, `ErrFailedToLoadMessage`). */
const RIVAL = /found message with equal nonce/i;
const STRANGER = /failed to load message/i;

async function search(rpc: LotusRpc, cid: string): Promise<Search> {
  try {
    const lookup = await rpc.call('StateSearchMsg', [[], { '/': cid }, -1, true], z.nullable(MessageLookupSchema));
    return lookup === null ? { is: 'none' } : { is: 'found', lookup };
  } catch (error) {
    if (!(error instanceof ChainError) || error.rpcCode === undefined) throw error;
    if (RIVAL.test(error.message)) return { is: 'rival' };
    if (STRANGER.test(error.message)) return { is: 'stranger' };
    throw error;
  }
}

/**
 * Asks the node where a message is. `nonce` and `sender` are asked for as well when they are not given: a node that
 * does not know them has lost the message. Throws `nonce_used` (temporary) when the nonce was used and the node
 * cannot say by which message, `head_moved` (temporary) when no look was of one head.
 */
export async function whereabouts(rpc: LotusRpc, cid: string, known?: { sender: string; nonce: number }): Promise<Whereabouts> {
  const own = known ?? (await ownOf(rpc, cid));
  if (own === undefined) return { at: (await isPending(rpc, cid)) ? 'pool' : 'nowhere' };
  const { sender, nonce } = own;
  for (let look = 0; look < MOST_LOOKS; look++) {
    const head = await rpc.call('ChainHead', [], Head);
    // Read before the search: ours, executed in between, is found by it.
    if ((await executedNonce(rpc, sender, head.Cids)) > nonce) return usedBy(rpc, { cid, sender, nonce, head: head.Height });
    const next = await rpc.call('ChainGetMessagesInTipset', [head.Cids], TipSetMessages);
    if (next?.some((message) => message.Cid === cid)) return { at: 'head' };
    if (await isPending(rpc, cid)) return { at: 'pool' };
    // It may have gone from the mempool into a newer head since.
    const after = await rpc.call('ChainHead', [], Head);
    if (sameKey(head.Cids, after.Cids)) return { at: 'nowhere' };
  }
  throw new ChainError(
    'temporary',
    'head_moved',
    `the head moved at each of ${MOST_LOOKS} looks for message ${cid}; it is looked for again, check that the node keeps up with the chain`,
  );
}

/** The nonce is used by an executed message: ours, or one that took it. */
async function usedBy(rpc: LotusRpc, own: { cid: string; sender: string; nonce: number; head: number }): Promise<Whereabouts> {
  const { cid, sender, nonce, head } = own;
  let found: Search;
  try {
    found = await search(rpc, cid);
  } catch (cause) {
    if (!(cause instanceof ChainError) || cause.rpcCode === undefined) throw cause;
    throw new ChainError(
      'temporary',
      'nonce_used',
      `nonce ${nonce} of ${sender} is used on chain, but the node cannot say whether by message ${cid} (${cause.message}); look it up with a node that keeps more history`,
      { rpcCode: cause.rpcCode, cause },
    );
  }
  if (found.is === 'found') return { at: 'chain', lookup: found.lookup };
  return { at: (await usedBefore(rpc, sender, nonce, head - TAKEN_CONFIDENCE_EPOCHS)) ? 'taken' : 'used' };
}

/** Whether the nonce was used in the state of that epoch already. */
async function usedBefore(rpc: LotusRpc, sender: string, nonce: number, epoch: number): Promise<boolean> {
  if (epoch < 0) return false;
  const { Cids } = await rpc.call('ChainGetTipSetByHeight', [epoch, []], Head);
  try {
    return (await executedNonce(rpc, sender, Cids)) > nonce;
  } catch (error) {
    // The account may be younger than that.
    if (error instanceof ChainError && error.rpcCode !== undefined && /actor not found/i.test(error.message)) return false;
    throw error;
  }
}

/** The next nonce of an account in the state that a tipset executes its messages on. */
async function executedNonce(rpc: LotusRpc, sender: string, key: TipSetKey): Promise<number> {
  const actor = await rpc.call('StateGetActor', [sender, key], Actor);
  return actor.Nonce;
}

/** Sender and nonce of a message that the node has stored. */
async function ownOf(rpc: LotusRpc, cid: string): Promise<{ sender: string; nonce: number } | undefined> {
  try {
    const message = await rpc.call('ChainGetMessage', [{ '/': cid }], LotusMessage);
    return { sender: message.From, nonce: message.Nonce };
  } catch (error) {
    if (error instanceof ChainError && error.rpcCode !== undefined && /not find|not found/i.test(error.message)) return undefined;
    throw error;
  }
}

/** Whether the node's mempool holds the message. */
async function isPending(rpc: LotusRpc, cid: string): Promise<boolean> {
  // Only the CID is read: the pool also holds kinds of messages and signatures that we never make.
  const pending = await rpc.call('MpoolPending', [[]], z.array(z.object({ CID: CidLink })).nullable());
  return (pending ?? []).some((signed) => signed.CID === cid);
}

function sameKey(a: TipSetKey, b: TipSetKey): boolean {
  return a.length === b.length && a.every((link, index) => link['/'] === b[index]?.['/']);
}
