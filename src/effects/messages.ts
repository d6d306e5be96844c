/**
 * Sends chain messages, each once. Sign → store the signed bytes → push; after a crash or a lost answer the
 * stored bytes are pushed again, so that there are never two messages for one step. All of a sender's
 * messages go one after the other, and earlier ones first: nonces have no gap.
 */
import {
  EVER_RESTORED,
  type EffectOutcome,
  type EffectRow,
  type HeldBy,
  type MessageWant,
  type SignedMessage,
  reconcilingKey,
} from '../scheduler/effects.ts';
import type { Chain, Tx } from '../scheduler/ports.ts';
import { type EffectContext, type EffectDoor, type EffectEngine, recording } from './door.ts';
import { cameUp } from './came-up.ts';
import { failureOf } from './failures.ts';

/** Bounds of the wait for an earlier message of the same sender, whose own next try decides. */
const LEAST_WAIT_MS = 250;
const MOST_WAIT_MS = 60_000;
/** How soon a message of a restored database looks again whether its job has been compared with the chain. */
const RECONCILING_WAIT_MS = 1_000;
/** Messages below a waiting one that are looked for at a time; those lower still follow once these have landed. */
const GAP_LOOKED_AT = 500;

export type Messages = {
  /** Sends the effect's message; `undefined` when the effect was withdrawn meanwhile. */
  send(effect: EffectRow, want: MessageWant): Promise<EffectOutcome | undefined>;
  /** Pushes stored bytes once more: the node has lost them. */
  pushAgain(message: SignedMessage): Promise<void>;
  /**
   * A message of this nonce waits in the mempool. It waits for ever behind an earlier one of ours that the node has lost,
   * and whose job does not look any more (paused, given up, or being compared after a restore): those bytes go out again.
   * Looks once in `everyMs` for each sender, however many ask. Answers what the message waits behind; undefined: nothing is known.
   */
  closeGapBelow(sender: string, nonce: number, everyMs?: number): Promise<HeldBy | undefined>;
};

/** The sender of all addresses of one chain. */
export function openMessages<C extends EffectContext>(parts: {
  readonly door: EffectDoor<C>;
  readonly engine: EffectEngine<C>;
  readonly chain: Pick<Chain, 'sender' | 'sign' | 'push' | 'message' | 'pendingMessages' | 'preCommit' | 'sector'>;
}): Messages {
  const { chain, engine } = parts;
  const run = recording(parts.door);
  const inTurn = turns();
  /** When a gap was looked for last, by sender, and what is first in line. */
  const looks = new Map<string, { readonly atMs: number; readonly first: HeldBy | undefined }>();
  /** What the node said last against a message that later ones wait for, by sender: until then it is not asked for each of them. */
  const refusals = new Map<string, { readonly cid: string; readonly untilMs: number; readonly why: string }>();

  /** Brings messages that were signed earlier to the node; the wait when one of them cannot go now. */
  async function pushEarlier(earlier: readonly EffectRow[], nowMs: number): Promise<EffectOutcome | undefined> {
    for (const row of earlier) {
      const signed = row.signed as SignedMessage;
      const refused = refusals.get(signed.sender);
      if (refused !== undefined && refused.cid === signed.cid && nowMs < refused.untilMs) {
        return heldUp(row, refused.untilMs - nowMs, refused.why);
      }
      try {
        await chain.push(signed);
      } catch (error) {
        if (leavesNoGap(error)) continue;
        const forMs = Math.min(Math.max(row.dueMs - nowMs, LEAST_WAIT_MS), MOST_WAIT_MS);
        const why = failureOf(error).message;
        // Asking may have taken long.
        const untilMs = (await run((ctx) => ctx.nowMs)) + forMs;
        refusals.set(signed.sender, { cid: signed.cid, untilMs, why });
        return heldUp(row, forMs, why);
      }
    }
    return undefined;
  }

  async function sendInTurn(sender: string, id: EffectRow['id'], want: MessageWant): Promise<EffectOutcome | undefined> {
    const { effect, floor, waiting, restored, everRestored, nowMs } = await run(({ tx, nowMs }) => {
      const effect = tx.effect(id);
      const waiting = tx.unpushed(sender);
      const floor = tx.lastNonce(sender) + 1;
      const restored = [effect, ...waiting].some((row) => isReconciling(tx, row));
      return { effect, floor, waiting, restored, everRestored: tx.meta(EVER_RESTORED) !== undefined, nowMs };
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
      const reason = everRestored ? await cameUp(sender, want, { chain, run }) : undefined;
      if (reason !== undefined) return { outcome: 'compareAgain', sender, reason };
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
    refusals.delete(sender);
    await chain.push(signed);
    return { outcome: 'pushed' };
  }

  /** A nonce that another message used was executed as well. */
  async function stateOf({ cid }: SignedMessage): Promise<'unknown' | 'pending' | 'landed'> {
    try {
      return (await chain.message(cid, { number: null })).state;
    } catch (error) {
      if (leavesNoGap(error)) return 'landed';
      throw error;
    }
  }

  async function closeGapInTurn(sender: string, nonce: number, everyMs: number): Promise<HeldBy | undefined> {
    const nowMs = await run((ctx) => ctx.nowMs);
    const last = looks.get(sender);
    let first = last?.first;
    // Of all that wait for the same gap one looks; at a base-fee peak there are hundreds.
    if (last === undefined || nowMs - last.atMs >= everyMs) {
      looks.set(sender, { atMs: nowMs, first });
      first = await firstInLine(sender, nonce);
      looks.set(sender, { atMs: nowMs, first });
    }
    return first !== undefined && first.nonce < nonce ? first : undefined;
  }

  /** Pushes what the node has lost; answers the lowest message of the sender that waits to be executed. */
  async function firstInLine(sender: string, nonce: number): Promise<HeldBy | undefined> {
    const pending = await chain.pendingMessages(sender);
    const known = new Set(pending.map(({ cid }) => cid));
    const top = Math.max(nonce, ...pending.map((message) => message.nonce));
    const below = await run(({ tx }) => tx.pushedBelow(sender, top, GAP_LOOKED_AT));
    const jobs = new Map(below.map(({ signed, job }) => [signed?.nonce, job]));
    const line = (at: number, why: string | null): HeldBy => ({ sender, nonce: at, job: jobs.get(at) ?? null, why });
    const waiting = pending.map((message) => line(message.nonce, null));
    const lost: SignedMessage[] = [];
    for (const { signed } of below) {
      if (signed === null || known.has(signed.cid)) continue;
      const state = await stateOf(signed);
      // Nonces are executed in order: below this one there is no gap.
      if (state === 'landed') break;
      if (state === 'unknown') lost.unshift(signed);
    }
    for (const message of lost) {
      try {
        await chain.push(message);
        waiting.push(line(message.nonce, null));
      } catch (error) {
        // One that the node refuses (replaced by hand, or too little money) is no failure of those that wait: it is tried again later.
        const replaced = pending.some((other) => other.nonce === message.nonce);
        if (!leavesNoGap(error) && !replaced) waiting.push(line(message.nonce, failureOf(error).message));
      }
    }
    return waiting.reduce<HeldBy | undefined>((least, one) => (least === undefined || one.nonce < least.nonce ? one : least), undefined);
  }

  return {
    async send(effect, want) {
      const sender = effect.signed?.sender ?? (await chain.sender(want.miner));
      return inTurn(sender, () => sendInTurn(sender, effect.id, want));
    },
    pushAgain: (message) => inTurn(message.sender, () => chain.push(message)),
    closeGapBelow: (sender, nonce, everyMs = 0) => inTurn(sender, () => closeGapInTurn(sender, nonce, everyMs)),
  };
}

/** The wait for an earlier message of the sender that the node does not take. */
function heldUp({ signed, job }: EffectRow, forMs: number, why: string): EffectOutcome {
  const { sender, nonce } = signed as SignedMessage;
  const heldBy = { sender, nonce, job, why };
  return { outcome: 'wait', forMs, reason: `waits for nonce ${nonce} of the same sender: ${why}`, heldBy };
}

/**
 * A message that can never land holds up nobody: its nonce went to another one. Nor does one whose nonce was used without
 * proof yet that this was another's doing. Any other refusal leaves a gap.
 */
function leavesNoGap(error: unknown): boolean {
  const { code } = failureOf(error);
  return code === 'nonce_taken' || code === 'nonce_used';
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
