/** Follows a pushed message until it has landed with confidence and the chain shows our replica. */
import type { EffectOutcome, EffectWant, HeldBy, SignedMessage } from '../scheduler/effects.ts';
import type { Chain, MessageState } from '../scheduler/ports.ts';
import { failureOf } from './failures.ts';
import type { Messages } from './messages.ts';

/** Epochs on top of a message before it is believed (Lotus' own default). */
export const CONFIDENCE_EPOCHS = 5;
/** A node that lags, among several behind one address, does not show yet what another one told of; one further behind than this is not asked. */
const LAG_EPOCHS = 20;
/** What an actor answers for a sector it refused inside a message that went through (`ErrIllegalArgument`). */
const SECTOR_REFUSED = 16;

type Landed = Extract<EffectWant, { kind: 'landed' }>;

export type Following = {
  readonly chain: Pick<Chain, 'message' | 'preCommit' | 'sector'>;
  readonly messages: Pick<Messages, 'pushAgain' | 'closeGapBelow'>;
  /** Length of an epoch. */
  readonly epochMs: number;
  /** Since when it has been followed. */
  readonly waitedMs: number;
  /** The stored bytes of the message; undefined when they are not ours. */
  readonly stored: () => Promise<SignedMessage | undefined>;
};

/** What the chain says of the message now. Throws what the chain throws. */
export async function followMessage(want: Landed, parts: Following): Promise<EffectOutcome> {
  const state = await parts.chain.message(want.message, { number: want.number });
  if (state.state === 'pending') {
    const heldBy = await behind(parts);
    const reason = `message ${want.message} is in the mempool`;
    return { outcome: 'wait', forMs: parts.epochMs, reason, pending: true, ...(heldBy === undefined ? {} : { heldBy }) };
  }
  if (state.state === 'unknown') return pushLost(want, parts);
  if (state.confidence < CONFIDENCE_EPOCHS) {
    const missing = CONFIDENCE_EPOCHS - state.confidence;
    return {
      outcome: 'wait',
      forMs: missing * parts.epochMs,
      reason: `message ${want.message} landed at epoch ${state.epoch}; ${missing} more epochs until it is believed`,
    };
  }
  const exitCode = exitCodeOf(state);
  const shown = await shownOnChain(want, parts.chain);
  // A message that failed because another one (of a database that was lost, or sent by hand) had done its work.
  const doneAlready = exitCode !== 0 && shown?.commR === want.commR;
  if (doneAlready) return { outcome: 'landed', epoch: shown.epoch, exitCode: 0, onChain: true, detail: '' };
  if (exitCode !== 0) return { outcome: 'landed', epoch: state.epoch, exitCode, onChain: false, detail: state.detail };
  const onChain = shown?.commR === want.commR;
  if (!onChain && state.confidence < CONFIDENCE_EPOCHS + LAG_EPOCHS) {
    return { outcome: 'wait', forMs: parts.epochMs, reason: `${comparison(want, shown)}; the node may lag, it is asked again` };
  }
  return { outcome: 'landed', epoch: state.epoch, exitCode, onChain, detail: comparison(want, shown) };
}

/** What became of our sector in a message that landed: 0 when it did its work. */
export function exitCodeOf(state: Extract<MessageState, { state: 'landed' }>): number {
  return state.exitCode === 0 && !state.sectorOk ? SECTOR_REFUSED : state.exitCode;
}

/** What it waits behind. The first block usually takes it: only one that waits longer may wait for an earlier one. */
async function behind({ messages, waitedMs, epochMs, stored }: Following): Promise<HeldBy | undefined> {
  const message = waitedMs < 2 * epochMs ? undefined : await stored();
  // The message waits as before, whatever comes of it.
  return message === undefined ? undefined : messages.closeGapBelow(message.sender, message.nonce, epochMs).catch(() => undefined);
}

/** The node does not know the message: a restart or a reorg lost it. The same bytes go out again. */
async function pushLost(want: Landed, parts: Following): Promise<EffectOutcome> {
  const stored = await parts.stored();
  if (stored === undefined) {
    return {
      outcome: 'error',
      category: 'critical',
      code: 'message_lost',
      message: `neither the chain nor the database has message ${want.message}; look for it on the chain before you resume`,
    };
  }
  try {
    await parts.messages.pushAgain(stored);
  } catch (error) {
    if (failureOf(error).category === 'temporary') throw error;
    // Its nonce is gone. Whatever took it (a replacement with another fee) may have done the work.
    const shown = await shownOnChain(want, parts.chain);
    if (shown?.commR !== want.commR) throw error;
    return { outcome: 'landed', epoch: shown.epoch, exitCode: 0, onChain: true, detail: comparison(want, shown) };
  }
  return {
    outcome: 'wait',
    forMs: parts.epochMs,
    reason: `the node had lost message ${want.message}; the same bytes were pushed again`,
    pending: true,
  };
}

/** The sector as the chain shows it. A pre-commit is gone once it was proven: the sector stands for it. */
async function shownOnChain(want: Landed, chain: Following['chain']): Promise<{ commR: string; epoch: number } | undefined> {
  const preCommit = want.what === 'preCommit' ? await chain.preCommit(want.miner, want.number) : undefined;
  if (preCommit !== undefined) return preCommit;
  const sector = await chain.sector(want.miner, want.number);
  return sector === undefined ? undefined : { commR: sector.commR, epoch: sector.activationEpoch };
}

function comparison(want: Landed, shown: { commR: string } | undefined): string {
  if (shown === undefined) return `message ${want.message} succeeded, but the chain shows no sector ${want.number} of ${want.miner}`;
  return shown.commR === want.commR
    ? ''
    : `the chain shows CommR ${shown.commR} for sector ${want.number} of ${want.miner}, ours is ${want.commR}`;
}
