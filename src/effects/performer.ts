/**
 * Performs the outbox. Each effect is performed at least once and made so that repeating it is harmless;
 * what came of it is reported to the engine, which decides what happens next. Nothing is kept in memory
 * that a crash could lose.
 */
import type { EffectId } from '../schema/ids.ts';
import type { EffectOutcome, EffectRow, SignedMessage } from '../scheduler/effects.ts';
import type { Chain, ObjectStore } from '../scheduler/ports.ts';
import { type EffectContext, type EffectDoor, type EffectEngine, NotRecorded, recording } from './door.ts';
import { type Declare, declareStored } from './declare.ts';
import { failureOf } from './failures.ts';
import { followMessage } from './landed.ts';
import { oldTicket, reconcile } from './known-sector.ts';
import { type Messages, openMessages } from './messages.ts';
import { type SettledSenders, openSettledSenders } from './settled-sender.ts';
import { drawSeed } from './seed.ts';

/** Effects under way at a time: a slow node must not be flooded. */
const AT_ONCE = 16;
/** Of these, declarations of stored files, and deletions: whoever is told, or the object store, may hang, and messages must not wait behind it. */
const ASIDE_AT_ONCE = 4;
/** Messages, whoever signs for their miners: questions must not wait behind a node that hangs over one. */
const MESSAGES_AT_ONCE = 12;
/** Messages of one sender: they go one after the other, so that more would only wait in the places of others. */
const OF_A_SENDER_AT_ONCE = 2;
/** The outbox is read at least this often. */
const MOST_SLEEP_MS = 30_000;
/** Wait after the database took no change (a full disk): nothing can be sent before it does. */
const NOT_RECORDED_WAIT_MS = 1_000;

export type PerformerParts<C extends EffectContext> = {
  readonly door: EffectDoor<C>;
  readonly engine: EffectEngine<C>;
  readonly chain: Chain;
  readonly objects: Pick<ObjectStore, 'delete' | 'abortUpload' | 'head'>;
  /** Tells whoever does Window PoSt of stored files; absent where nobody is told. */
  readonly declare?: Declare | undefined;
  /** Told what came of an effect once that is recorded. */
  readonly onOutcome?: (effect: EffectRow, outcome: EffectOutcome) => void;
  /** Told what the engine is not: failures of the database. */
  readonly onError: (error: unknown) => void;
  /** Wait after the database took no change. */
  readonly notRecordedWaitMs?: number;
  /** Ends the loop; what is under way is finished first. */
  readonly ending: AbortSignal;
};

/** Performs effects until `ending` fires; resolves when the last one under way has been recorded. */
export async function performEffects<C extends EffectContext>(parts: PerformerParts<C>): Promise<void> {
  const perform = performer(parts);
  const run = recording(parts.door);
  const { notRecordedWaitMs = NOT_RECORDED_WAIT_MS } = parts;
  const underWay = new Map<EffectId, Promise<void>>();
  /** Effects under way by what they take a place of. */
  const taken = new Map<string, Set<EffectId>>();
  /** Ended since the outbox was last read: that reading may still call them open. */
  const ended = new Set<EffectId>();
  let freed = Promise.withResolvers<void>();

  async function one(effect: EffectRow): Promise<void> {
    try {
      const outcome = await perform(effect);
      if (outcome !== undefined) {
        await run((ctx) => parts.engine.effectDone(ctx, effect.id, outcome));
        parts.onOutcome?.(effect, outcome);
      }
    } catch (error) {
      parts.onError(error);
      await sleep(notRecordedWaitMs, parts.ending);
    } finally {
      underWay.delete(effect.id);
      for (const [of, ids] of taken) if (ids.delete(effect.id) && ids.size === 0) taken.delete(of);
      ended.add(effect.id);
      freed.resolve();
    }
  }

  while (!parts.ending.aborted) {
    freed = Promise.withResolvers<void>();
    const nap = new AbortController();
    // Asked for before reading, so that a change in between is not missed.
    const changed = parts.door.changed('effects', AbortSignal.any([nap.signal, parts.ending]));
    let sleepMs = notRecordedWaitMs;
    try {
      sleepMs = await start();
    } catch (error) {
      parts.onError(error);
    }
    await Promise.race([changed, freed.promise, sleep(sleepMs, nap.signal)]);
    nap.abort();
  }
  await Promise.all(underWay.values());

  /** Starts what is due and not under way; answers how long to sleep at most. */
  async function start(): Promise<number> {
    for (let limit = underWay.size + AT_ONCE; ; limit *= 4) {
      ended.clear();
      const { due, nextMs, nowMs } = await run(({ tx, nowMs }) => ({
        due: tx.effectsDue(nowMs, limit),
        nextMs: tx.nextEffectMs(nowMs),
        nowMs,
      }));
      for (const effect of due) {
        if (underWay.size >= AT_ONCE) break;
        if (underWay.has(effect.id) || ended.has(effect.id)) continue;
        const places = placesOf(effect);
        if (places.some(({ of, most }) => (taken.get(of)?.size ?? 0) >= most)) continue;
        for (const { of } of places) taken.set(of, (taken.get(of) ?? new Set()).add(effect.id));
        underWay.set(effect.id, one(effect));
      }
      // Behind those that wait their turn there may be others.
      if (underWay.size >= AT_ONCE || due.length < limit)
        return Math.min(nextMs === undefined ? MOST_SLEEP_MS : nextMs - nowMs, MOST_SLEEP_MS);
    }
  }
}

/** What the effect takes a place of, and how many may be taken: those that hang leave room for others. */
function placesOf({ want, signed }: EffectRow): readonly { readonly of: string; readonly most: number }[] {
  if (want.kind === 'declare' || want.kind === 'delete') return [{ of: want.kind, most: ASIDE_AT_ONCE }];
  if (want.kind !== 'message') return [];
  const sender = signed?.sender ?? want.message.miner;
  return [
    { of: want.kind, most: MESSAGES_AT_ONCE },
    { of: sender, most: OF_A_SENDER_AT_ONCE },
  ];
}

/**
 * Performs one effect; the outcome is reported by the caller. `undefined`: the effect was withdrawn
 * meanwhile. Throws `NotRecorded` only: errors of the outside are outcomes.
 */
export function performer<C extends EffectContext>(
  parts: Omit<PerformerParts<C>, 'ending' | 'onError'>,
): (effect: EffectRow) => Promise<EffectOutcome | undefined> {
  const messages = openMessages(parts);
  const outside = { ...parts, messages, settled: openSettledSenders({ ...parts, messages }) };
  return async (effect) => {
    try {
      return await performOnce(effect, outside);
    } catch (error) {
      if (error instanceof NotRecorded) throw error;
      return (await waitsFor(error, parts.chain)) ?? failureOf(error);
    }
  };
}

async function performOnce<C extends EffectContext>(
  effect: EffectRow,
  parts: Omit<PerformerParts<C>, 'ending' | 'onError'> & {
    readonly messages: Messages;
    readonly settled: SettledSenders;
  },
): Promise<EffectOutcome | undefined> {
  const { want } = effect;
  const { chain, messages } = parts;
  switch (want.kind) {
    case 'number': {
      const taken = await chain.allocated(want.miner, [want.number]);
      return { outcome: 'number', taken: taken.includes(want.number) };
    }
    case 'ticket':
      return { outcome: 'ticket', ...(await chain.ticket(want.miner)) };
    case 'oldTicket':
      return { outcome: 'oldTicket', ticket: await oldTicket(chain, want) };
    case 'sector':
      return { outcome: 'sector', sector: (await chain.sector(want.miner, want.number)) ?? null };
    case 'reconcile':
      return reconcile(effect, want, parts);
    case 'seed':
      return drawSeed(want, chain);
    case 'message': {
      const outcome = await messages.send(effect, want.message);
      if (outcome?.outcome === 'compareAgain') parts.settled.lookAnew(outcome.sender);
      return outcome;
    }
    case 'landed': {
      const { epochMs } = await chain.network();
      const run = recording(parts.door);
      const stored = (): Promise<SignedMessage | undefined> => run(({ tx }) => storedMessage(tx, effect, want.message));
      const waitedMs = (await run(({ nowMs }) => nowMs)) - effect.createdMs;
      return followMessage(want, { chain, messages, epochMs, waitedMs, stored });
    }
    case 'declare':
      return declareStored(want, effect, recording(parts.door), parts.declare);
    case 'delete':
      // First the uploads: one that is being completed at this moment leaves an object, which goes below.
      for (const { key, uploadId } of want.uploads ?? []) await parts.objects.abortUpload(key, uploadId);
      for (const key of want.keys) await parts.objects.delete(key);
      return { outcome: 'deleted' };
  }
}

/** What the chain says has to be waited for, such as a deadline that is closed to changes: no failure. */
async function waitsFor(error: unknown, chain: Pick<Chain, 'network'>): Promise<EffectOutcome | undefined> {
  const { waitEpochs } = (error ?? {}) as { waitEpochs?: unknown };
  if (typeof waitEpochs !== 'number') return undefined;
  const { code, message } = failureOf(error);
  const epochMs = await chain.network().then(
    (network) => network.epochMs,
    () => MOST_SLEEP_MS,
  );
  return { outcome: 'wait', forMs: Math.max(1, waitEpochs) * epochMs, reason: message, code };
}

/** The signed bytes of a message of the effect's job, by message CID. */
function storedMessage(tx: EffectContext['tx'], effect: EffectRow, cid: string): SignedMessage | undefined {
  const rows = effect.job === null ? [] : tx.effectsOfJob(effect.job);
  return rows.find(({ signed }) => signed?.cid === cid)?.signed ?? undefined;
}

function sleep(ms: number, abort: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      abort.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    if (abort.aborted) done();
    else abort.addEventListener('abort', done, { once: true });
  });
}
