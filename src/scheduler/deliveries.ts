/**
 * Deliveries of events to webhooks: made of the events after the webhook's cursor, tried at least once, ended once.
 * Everything is in the database, so that a process may end at any point. The schedule and the meaning of answers are
 * those of Standard Webhooks.
 */
import { type Event, eventType } from '../schema/event.ts';
import type { DeliveryId, WebhookId } from '../schema/ids.ts';
import type { Context } from './context.ts';
import { audit } from './happened.ts';
import type { DeliveryRow, WebhookRow } from './webhook-rows.ts';

const [SECOND_MS, MINUTE_MS, HOUR_MS] = [1_000, 60_000, 3_600_000];
const DAY_MS = 24 * HOUR_MS;

/** Wait before each further try; the first one is made at once. With them a delivery is tried for three days. */
export const RETRY_WAITS_MS: readonly number[] = [
  5 * SECOND_MS,
  5 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  5 * HOUR_MS,
  10 * HOUR_MS,
  14 * HOUR_MS,
  20 * HOUR_MS,
  24 * HOUR_MS,
];
/** A wait is longer by up to this part, lest all that failed together is tried together. */
const JITTER = 0.1;
/**
 * A webhook whose tries have all failed for so long is disabled: before its deliveries run out of tries, so that all of
 * them go on when it is enabled again.
 */
export const GIVE_UP_MS = 3 * DAY_MS;
/** So many tries of one delivery failed at least: a single failure after a quiet time says nothing. */
const GIVE_UP_TRIES = 3;
/** How long ended deliveries stay in the log. */
export const KEPT_MS = 30 * DAY_MS;
/** Deliveries made in one transaction of one webhook, and dropped in one. */
const BATCH = 200;

/** What came of one try. `status` is the receiver's; null: it did not answer, and `error` says why. */
export type DeliveryOutcome = { readonly status: number | null; readonly error: string | null };

/** One delivery ready to be sent. */
export type Parcel = { readonly delivery: DeliveryRow; readonly webhook: WebhookRow; readonly body: string };

export type DeliveryTurn = {
  readonly parcels: readonly Parcel[];
  /** When the next delivery is due; undefined: none is known to be. */
  readonly nextMs: number | undefined;
  /** Events are left of which no deliveries were made yet. */
  readonly more: boolean;
  readonly nowMs: number;
};

/** Moves the cursor over the next events and makes deliveries of those that the webhook wants; true: there are more. */
export function fanOut(ctx: Context, webhook: WebhookRow, limit = BATCH): boolean {
  const { tx, nowMs } = ctx;
  // All of them, so that a turn costs the same whatever is wanted, and the cursor never scans what it passed.
  const events = tx.eventsAfter(webhook.cursor, limit);
  const last = events.at(-1);
  if (last === undefined) return false;
  for (const event of events.filter((one) => wants(webhook, one))) {
    tx.insertDelivery({
      ...NEW,
      id: ctx.ids.next('d') as DeliveryId,
      webhook: webhook.id,
      message: `ev-${event.seq}`,
      type: eventType(event.kind),
      event: event.seq,
      dueMs: nowMs,
      createdMs: nowMs,
    });
  }
  tx.updateWebhook({ ...webhook, cursor: last.seq });
  return events.length === limit;
}

function wants({ types, miners }: WebhookRow, { kind, miner }: Event): boolean {
  if (types !== null && !types.includes(eventType(kind))) return false;
  return miners === null || (miner !== null && miners.includes(miner));
}

/** What every delivery begins with. */
export const NEW = { status: 'open', tries: 0, lastStatus: null, lastError: null, endedMs: null } as const;

/**
 * Makes deliveries of new events and answers what is to be sent now: of each enabled webhook at most `atOnce` together
 * with those of it that are under way.
 */
export function deliveryTurn(ctx: Context, underWay: ReadonlyMap<DeliveryId, WebhookId>, atOnce: number): DeliveryTurn {
  const parcels: Parcel[] = [];
  let nextMs: number | undefined;
  let more = false;
  for (const webhook of ctx.tx.webhooks()) {
    if (webhook.status !== 'enabled') continue;
    if (fanOut(ctx, webhook)) more = true;
    const busy = [...underWay.values()].filter((id) => id === webhook.id).length;
    // Those under way are open still, and the first of the future says when to come again.
    const open = ctx.tx.deliveriesDue(webhook.id, Number.MAX_SAFE_INTEGER, busy + atOnce + 1);
    const due = open.filter(({ id, dueMs }) => dueMs <= ctx.nowMs && !underWay.has(id));
    for (const delivery of due.slice(0, Math.max(0, atOnce - busy))) parcels.push({ delivery, webhook, body: payload(ctx, delivery) });
    const later = open.find(({ dueMs }) => dueMs > ctx.nowMs)?.dueMs;
    if (later !== undefined) nextMs = Math.min(nextMs ?? later, later);
  }
  return { parcels, nextMs, more, nowMs: ctx.nowMs };
}

/** The body, the same bytes on every try. */
function payload(ctx: Context, delivery: DeliveryRow): string {
  const event = delivery.event === null ? undefined : ctx.tx.event(delivery.event);
  const timestamp = new Date(event?.atMs ?? delivery.createdMs).toISOString();
  return JSON.stringify({ type: delivery.type, timestamp, data: event ?? { webhook: delivery.webhook } });
}

/** Records one try. Nothing when the delivery ended or was deleted meanwhile. */
export function deliveryTried(ctx: Context, id: DeliveryId, outcome: DeliveryOutcome): void {
  const delivery = ctx.tx.delivery(id);
  const before = delivery === undefined ? undefined : ctx.tx.webhook(delivery.webhook);
  if (delivery === undefined || before === undefined || delivery.status !== 'open') return;
  const tried = { ...delivery, tries: delivery.tries + 1, lastStatus: outcome.status };
  const done = outcome.status !== null && outcome.status >= 200 && outcome.status < 300;
  if (done) {
    ctx.tx.updateDelivery({ ...tried, status: 'done', lastError: null, endedMs: ctx.nowMs });
    if (before.failingSinceMs !== null) ctx.tx.updateWebhook({ ...before, failingSinceMs: null });
    return;
  }
  const webhook = failed(ctx, before, delivery, outcome);
  const final = delivery.event === null || outcome.status === 410;
  const waitMs = final ? undefined : RETRY_WAITS_MS[delivery.tries];
  // Out of tries as the webhook is disabled, by this one or just before: it goes on with the others when that is enabled.
  const kept = !final && webhook.status === 'disabled';
  ctx.tx.updateDelivery({
    ...tried,
    lastError: outcome.error ?? meaning(outcome.status),
    ...(waitMs !== undefined
      ? { dueMs: ctx.nowMs + jittered(ctx, waitMs) }
      : kept
        ? { dueMs: ctx.nowMs }
        : { status: 'failed', endedMs: ctx.nowMs }),
  });
}

/** The webhook after a try of this delivery failed; disabled where that was the last straw. */
function failed(ctx: Context, webhook: WebhookRow, { event, tries }: DeliveryRow, outcome: DeliveryOutcome): WebhookRow {
  const gone = outcome.status === 410;
  // A test that fails says nothing of what happens.
  if (event === null && !gone) return webhook;
  const failingSinceMs = webhook.failingSinceMs ?? ctx.nowMs;
  const longEnough = ctx.nowMs - failingSinceMs >= GIVE_UP_MS && tries + 1 >= GIVE_UP_TRIES;
  let after: WebhookRow = { ...webhook, failingSinceMs };
  if (webhook.status === 'enabled' && (gone || longEnough)) {
    const reason = gone
      ? 'the receiver answered 410 Gone and wants nothing more; enable the webhook again if it should be called again'
      : `every try has failed for three days (the last one: ${outcome.error ?? meaning(outcome.status)}); mend the receiver, then enable the webhook again`;
    after = { ...after, status: 'disabled', reason };
    audit(ctx, 'engine', 'webhooks.disable', { webhook: webhook.id, reason });
  }
  if (after.status !== webhook.status || webhook.failingSinceMs === null) ctx.tx.updateWebhook(after);
  return after;
}

function meaning(status: number | null): string {
  if (status === null) return 'the receiver did not answer';
  return status >= 300 && status < 400 ? `the receiver answered ${status}; redirects are not followed` : `the receiver answered ${status}`;
}

function jittered(ctx: Context, waitMs: number): number {
  return Math.round(waitMs * (1 + (JITTER * Number.parseInt(ctx.ids.hex(2), 16)) / 0xffff));
}

/** Drops what ended long ago from the log; true: there may be more. */
export function dropOldDeliveries(ctx: Context): boolean {
  return ctx.tx.dropDeliveries(ctx.nowMs - KEPT_MS, BATCH) === BATCH;
}
