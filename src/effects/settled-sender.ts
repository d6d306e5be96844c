/**
 * After a restore: waits until no message that the lost database sent can change the chain any more. What it
 * knows is kept in memory only; a process that starts anew waits anew.
 */
import type { Chain } from '../scheduler/ports.ts';
import { type EffectContext, type EffectDoor, recording } from './door.ts';
import { CONFIDENCE_EPOCHS } from './landed.ts';
import type { Messages } from './messages.ts';

/** How a sender stands: nothing foreign is under way, or what is waited for and for how many epochs at least. */
export type Standing = { readonly settled: true } | { readonly settled: false; readonly epochs: number; readonly reason: string };

type Look = {
  readonly epoch: number;
  /** Highest nonce of a message that was in the mempool at the first look and is not ours; later ones are not the lost database's. */
  readonly upTo: number;
  /** Since when none of them has been there; null while one is. */
  readonly quietSince: number | null;
  readonly standing: Standing;
};

export type SettledSenders = {
  /** Looks once per epoch however many ask. */
  standing(sender: string): Promise<Standing>;
  /** A foreign message came up later: the next to ask waits for that one too. */
  lookAnew(sender: string): void;
};

/**
 * A message leaves the mempool with the block that has it, and the state shows its result only some epochs
 * later (and a reorg may put it back): so the mempool must have been without foreign messages for the
 * confidence that any landed message needs. Messages of other software that uses the same address are waited
 * for when they were there at the first look, not when they came later.
 */
export function openSettledSenders<C extends EffectContext>(parts: {
  readonly door: EffectDoor<C>;
  readonly chain: Pick<Chain, 'head' | 'pendingMessages'>;
  readonly messages: Pick<Messages, 'closeGapBelow'>;
}): SettledSenders {
  const { chain, messages } = parts;
  const run = recording(parts.door);
  const senders = new Map<string, { last: Look | undefined; turn: Promise<void> }>();

  async function look(sender: string, before: Look | undefined): Promise<Look> {
    // The head is asked for first: the mempool is then at least as new.
    const { epoch } = await chain.head();
    if (before !== undefined && (before.standing.settled || before.epoch >= epoch)) return before;
    const pending = await chain.pendingMessages(sender);
    const own = new Set(
      await run(({ tx }) =>
        tx.ownMessages(
          sender,
          pending.map(({ cid }) => cid),
        ),
      ),
    );
    const foreign = pending.filter(({ cid }) => !own.has(cid));
    const upTo = before?.upTo ?? Math.max(-1, ...foreign.map(({ nonce }) => nonce));
    const [first] = foreign.filter(({ nonce }) => nonce <= upTo);
    if (first !== undefined) {
      // It may wait for one of ours whose job waits for it.
      await messages.closeGapBelow(sender, first.nonce).catch(() => undefined);
      const reason = `message ${first.cid} (nonce ${first.nonce}) of ${sender} is in the mempool and not in the restored database; what it does to the chain is waited for`;
      return { epoch, upTo, quietSince: null, standing: { settled: false, epochs: 1, reason } };
    }
    const quietSince = before?.quietSince ?? epoch;
    const epochs = quietSince + CONFIDENCE_EPOCHS - epoch;
    if (epochs <= 0) return { epoch, upTo, quietSince, standing: { settled: true } };
    const reason = `the mempool has no message of ${sender} that the restored database does not know; ${epochs} more epochs until the chain is believed`;
    return { epoch, upTo, quietSince, standing: { settled: false, epochs, reason } };
  }

  function watch(sender: string): { last: Look | undefined; turn: Promise<void> } {
    const watched = senders.get(sender) ?? { last: undefined, turn: Promise.resolve() };
    senders.set(sender, watched);
    return watched;
  }

  async function standing(sender: string): Promise<Standing> {
    const watched = watch(sender);
    // One after the other: whoever comes second in an epoch finds what the first one saw.
    const mine = watched.turn.then(async () => {
      watched.last = await look(sender, watched.last);
      return watched.last.standing;
    });
    watched.turn = mine.then(
      () => undefined,
      () => undefined,
    );
    return mine;
  }

  return {
    standing,
    lookAnew(sender) {
      const watched = watch(sender);
      watched.turn = watched.turn.then(() => {
        watched.last = undefined;
      });
    },
  };
}
