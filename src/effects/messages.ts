/**
 * Sends chain messages, each once. Sign → store the signed bytes → push; after a crash or a lost answer the
 * stored bytes are pushed again, so that there are never two messages for one step. All of a sender's
 * messages go one after the other, and earlier ones first: nonces have no gap.
 */
import { type EffectOutcome, type EffectRow, type MessageWant, type SignedMessage, reconcilingKey } from '../scheduler/effects.ts';
import type { Chain, Tx } from '../scheduler/ports.ts';
import { type EffectContext, type EffectDoor, type EffectEngine, recording } from './door.ts';
import { failureOf } from './failures.ts';

/** Bounds of the wait for an earlier message of the same sender, whose own next try decides. */
const LEAST_WAIT_MS = 250;
const MOST_WAIT_MS = 60_000;
/** How soon a message of a restored database looks again whether its job has been compared with the chain. */
const RECONCILING_WAIT_MS = 1_000;

export type Messages = {
  /** Sends the effect's message; `undefined` when the effect was withdrawn meanwhile. */
  send(effect: EffectRow, want: MessageWant): Promise<EffectOutcome | undefined>;
  /** Pushes stored bytes once more: the node has lost them. */
  pushAgain(message: SignedMessage): Promise<void>;
};

/** The sender of all addresses of one chain. */
export function openMessages<C extends EffectContext>(parts: {
  readonly door: EffectDoor<C>;
  readonly engine: EffectEngine<C>;
  readonly chain: Pick<Chain, 'sender' | 'sign' | 'push'>;
}): Messages {
  const { chain, engine } = parts;
  const run = recording(parts.door);
  const inTurn = turns();

  /** Brings messages that were signed earlier to the node; the wait when one of them cannot go now. */
  async function pushEarlier(earlier: readonly EffectRow[], nowMs: number): Promise<EffectOutcome | undefined> {
    for (const row of earlier) {
      try {
        await chain.push(row.signed as SignedMessage);
      } catch (error) {
        // A message that can never land holds up nobody: its nonce went to another one. Any other refusal leaves a gap.
        if (failureOf(error).code === 'nonce_taken') continue;
        // Nor does one whose nonce was used without proof yet that this was another's doing: no gap is left.
        if (failureOf(error).code === 'nonce_used') continue;
        const forMs = Math.min(Math.max(row.dueMs - nowMs, LEAST_WAIT_MS), MOST_WAIT_MS);
        return { outcome: 'wait', forMs, reason: `waits for nonce ${row.signed?.nonce} of the same sender: ${failureOf(error).message}` };
      }
    }
    return undefined;
  }

  async function sendInTurn(sender: string, id: EffectRow['id'], want: MessageWant): Promise<EffectOutcome | undefined> {
    const { effect, floor, waiting, restored, nowMs } = await run(({ tx, nowMs }) => {
      const effect = tx.effect(id);
      const waiting = tx.unpushed(sender);
      const floor = tx.lastNonce(sender) + 1;
      return { effect, floor, waiting, restored: [effect, ...waiting].some((row) => isReconciling(tx, row)), nowMs };
    });
    if (effect === undefined || effect.status !== 'open') return undefined;
    if (restored) {
      const reason = 'the database was restored: nothing is sent before its jobs have been compared with the chain';
      return { outcome: 'wait', forMs: RECONCILING_WAIT_MS, reason };
    }
    const own = effect.signed?.nonce ?? Number.POSITIVE_INFINITY;
    const held = await pushEarlier(
      waiting.filter(({ signed }) => (signed?.nonce ?? own) < own),
      nowMs,
    );
    if (held !== undefined) return held;
    let signed = effect.signed;
    if (signed === null) {
      const fresh = await chain.sign(want, floor);
      if (fresh.sender !== sender) {
        return {
          outcome: 'error',
          category: 'temporary',
          code: 'sender_changed',
          message: `${want.miner} changed its sender from ${sender} to ${fresh.sender} while a message was signed; it is signed again`,
        };
      }
      if (!(await run((ctx) => engine.effectSigned(ctx, id, fresh)))) return undefined;
      signed = fresh;
    }
    await chain.push(signed);
    return { outcome: 'pushed' };
  }

  return {
    async send(effect, want) {
      const sender = effect.signed?.sender ?? (await chain.sender(want.miner));
      return inTurn(sender, () => sendInTurn(sender, effect.id, want));
    },
    pushAgain: (message) => inTurn(message.sender, () => chain.push(message)),
  };
}

/** After a restore: whether the message's miner or job is still being compared with the chain. */
function isReconciling(tx: Tx, row: EffectRow | undefined): boolean {
  if (row === undefined || row.want.kind !== 'message') return false;
  if ((tx.meta(reconcilingKey(row.want.message.miner)) ?? '') !== '') return true;
  return row.job !== null && tx.openEffectsOfJob(row.job).some(({ want }) => want.kind === 'reconcile');
}

/** Runs the works of one key one after the other, those of different keys side by side. */
function turns(): <T>(key: string, work: () => Promise<T>) => Promise<T> {
  const tails = new Map<string, Promise<unknown>>();
  return async (key, work) => {
    const mine = (tails.get(key) ?? Promise.resolve()).then(work);
    const settled = mine.catch(() => undefined);
    tails.set(key, settled);
    try {
      return await mine;
    } finally {
      if (tails.get(key) === settled) tails.delete(key);
    }
  };
}
