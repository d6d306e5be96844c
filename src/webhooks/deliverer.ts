/**
 * Sends deliveries until the process ends. Each webhook has a bounded number under way, and the first of each needs no
 * place among all: a receiver that hangs holds up nobody else. What came of a try is recorded after it, so a crash in
 * between repeats the try, under the same id.
 */
import type { DeliveryId, WebhookId } from '../schema/ids.ts';
import type { DeliveryRow, WebhookRow } from '../scheduler/webhook-rows.ts';
import type { SendOutcome, Sender } from './send.ts';

type Parcel = { readonly delivery: DeliveryRow; readonly webhook: WebhookRow; readonly body: string };
type Turn = { readonly parcels: readonly Parcel[]; readonly nextMs: number | undefined; readonly more: boolean; readonly nowMs: number };

/** The engine's functions about deliveries. */
export type DeliveryEngine<C> = {
  deliveryTurn(ctx: C, underWay: ReadonlyMap<DeliveryId, WebhookId>, atOnce: number): Turn;
  deliveryTried(ctx: C, id: DeliveryId, outcome: SendOutcome): void;
  dropOldDeliveries(ctx: C): boolean;
};

export type DelivererParts<C> = {
  readonly door: {
    run<T>(fn: (ctx: C) => T extends PromiseLike<unknown> ? never : T): Promise<T>;
    changed(signal: 'events', abort: AbortSignal): Promise<void>;
  };
  readonly engine: DeliveryEngine<C>;
  readonly sender: Sender;
  /** Told what the engine is not: failures of the database. */
  readonly onError: (error: unknown) => void;
  /** Resolves after `ms` or when the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Under way at a time of one webhook, and of all besides the first of each. */
  readonly atOnce?: number;
  readonly inAll?: number;
  /** Wait after the database took no change. */
  readonly notRecordedWaitMs?: number;
  readonly ending: AbortSignal;
};

/** Deliveries are looked for at least this often. */
const MOST_SLEEP_MS = 30_000;
const DROP_EVERY_MS = 3_600_000;

/** Delivers until `ending`; tries under way are broken off then and are made again by the next process. */
export async function deliver<C>(parts: DelivererParts<C>): Promise<void> {
  const { door, engine, sender, ending, sleep, atOnce = 4, inAll = 64, notRecordedWaitMs = 1_000 } = parts;
  const underWay = new Map<DeliveryId, WebhookId>();
  const tasks = new Set<Promise<void>>();
  /** Ended since the deliveries were last read: that reading may still call them open. */
  const ended = new Set<DeliveryId>();
  let freed = Promise.withResolvers<void>();
  let dropAtMs = 0;

  async function one(parcel: Parcel): Promise<void> {
    const { id } = parcel.delivery;
    try {
      const outcome = await sender.send(parcel, ending);
      // What was broken off by ourselves is no try.
      if (ending.aborted && outcome.status === null) return;
      await door.run((ctx) => void engine.deliveryTried(ctx, id, outcome));
    } catch (error) {
      parts.onError(error);
      await sleep(notRecordedWaitMs, ending);
    } finally {
      underWay.delete(id);
      ended.add(id);
      freed.resolve();
    }
  }

  /** Starts what is due; answers how long to sleep at most. */
  async function start(): Promise<number> {
    ended.clear();
    const { parcels, nextMs, more, nowMs } = await door.run((ctx) => engine.deliveryTurn(ctx, underWay, atOnce));
    for (const parcel of parcels) {
      const { delivery, webhook } = parcel;
      if (underWay.has(delivery.id) || ended.has(delivery.id)) continue;
      const alone = ![...underWay.values()].includes(webhook.id);
      if (!alone && underWay.size >= inAll) continue;
      underWay.set(delivery.id, webhook.id);
      const task = one(parcel).finally(() => tasks.delete(task));
      tasks.add(task);
    }
    if (nowMs >= dropAtMs) {
      const left = await door.run((ctx) => engine.dropOldDeliveries(ctx));
      dropAtMs = left ? nowMs : nowMs + DROP_EVERY_MS;
      if (left) return 0;
    }
    if (more) return 0;
    return Math.min(nextMs === undefined ? MOST_SLEEP_MS : Math.max(0, nextMs - nowMs), MOST_SLEEP_MS);
  }

  while (!ending.aborted) {
    freed = Promise.withResolvers<void>();
    const nap = new AbortController();
    // Asked for before reading, so that a change in between is not missed.
    const stop = AbortSignal.any([nap.signal, ending]);
    const changed = door.changed('events', stop);
    let sleepMs = notRecordedWaitMs;
    try {
      sleepMs = await start();
    } catch (error) {
      parts.onError(error);
    }
    await Promise.race([changed, freed.promise, sleep(sleepMs, stop)]);
    nap.abort();
  }
  await Promise.all(tasks);
}
