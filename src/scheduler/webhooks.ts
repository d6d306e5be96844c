/**
 * Webhooks as people change them. Each change raises the version, which is the ETag, and says who made it. Rows are given as
 * the same transaction has read them: they are written whole, the cursor included.
 */
import type { DeliveryId, WebhookId } from '../schema/ids.ts';
import { SealpoolError } from '../schema/problem.ts';
import type { Context } from './context.ts';
import { NEW } from './deliveries.ts';
import { type Who, actorOf, audit } from './happened.ts';
import type { DeliveryRow, WebhookRow } from './webhook-rows.ts';
import { webhookSecret } from './webhook-secret.ts';

/** Each may have a delivery under way whatever the others do, so there is a most of them. */
export const MOST_WEBHOOKS = 100;

/** What people choose of a webhook. */
export type WebhookChoice = Pick<WebhookRow, 'url' | 'description' | 'types' | 'miners' | 'allowPrivate'>;

/** Makes an enabled webhook that is told what happens from now on. Its secret is in the row. */
export function createWebhook(ctx: Context, choice: WebhookChoice, actor: Who): WebhookRow {
  checkUrl(choice);
  if (ctx.tx.webhooks().length >= MOST_WEBHOOKS) {
    throw new SealpoolError('conflict', 'too_many_webhooks', `there are ${MOST_WEBHOOKS} webhooks already; delete one that is not needed`);
  }
  const webhook: WebhookRow = {
    id: ctx.ids.next('w') as WebhookId,
    ...choice,
    secret: webhookSecret(ctx.ids),
    status: 'enabled',
    reason: null,
    cursor: ctx.tx.lastEventSeq(),
    version: 1,
    failingSinceMs: null,
    createdMs: ctx.nowMs,
  };
  ctx.tx.insertWebhook(webhook);
  audit(ctx, actor, 'webhooks.create', { webhook: webhook.id, miners: webhook.miners, allowPrivate: webhook.allowPrivate });
  return webhook;
}

/** Changes what is named. The audit event has the names of what changed and not the URL, which may be a permission. */
export function changeWebhook(ctx: Context, webhook: WebhookRow, patch: Partial<WebhookChoice>, actor: Who): WebhookRow {
  const named = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
  // Another receiver has not failed yet.
  const changed = { ...webhook, ...named, ...(patch.url === undefined ? {} : { failingSinceMs: null }) };
  checkUrl(changed);
  return write(ctx, changed, actor, 'webhooks.update', { fields: Object.keys(named) });
}

/** Gives it a fresh secret, which signs from the next try on. */
export function rotateSecret(ctx: Context, webhook: WebhookRow, actor: Who): WebhookRow {
  return write(ctx, { ...webhook, secret: webhookSecret(ctx.ids) }, actor, 'webhooks.rotate');
}

/** It goes on where it stopped: with what was open, its tries begun anew, and with the events since. Nothing when it is enabled. */
export function enableWebhook(ctx: Context, webhook: WebhookRow, actor: Who): WebhookRow {
  if (webhook.status === 'enabled') return webhook;
  // Those that came near their last try must not end with the first failure from now on.
  ctx.tx.renewOpenDeliveries(webhook.id, ctx.nowMs);
  return write(ctx, { ...webhook, status: 'enabled', reason: null, failingSinceMs: null }, actor, 'webhooks.enable');
}

/** Nothing is sent any more until it is enabled. Nothing when it is disabled. */
export function disableWebhook(ctx: Context, webhook: WebhookRow, actor: Who): WebhookRow {
  if (webhook.status === 'disabled') return webhook;
  return write(ctx, { ...webhook, status: 'disabled', reason: `${actorOf(actor)} disabled it` }, actor, 'webhooks.disable');
}

/** Deletes it with its log; what is open is not sent. */
export function deleteWebhook(ctx: Context, webhook: WebhookRow, actor: Who): void {
  ctx.tx.deleteWebhook(webhook.id);
  audit(ctx, actor, 'webhooks.delete', { webhook: webhook.id });
}

/** A delivery of no event, tried once. */
export function testWebhook(ctx: Context, webhook: WebhookRow, actor: Who): DeliveryRow {
  mustBeEnabled(webhook);
  const id = ctx.ids.next('d') as DeliveryId;
  const delivery: DeliveryRow = {
    ...NEW,
    id,
    webhook: webhook.id,
    message: `test-${id.slice(2)}`,
    type: 'webhook.test',
    event: null,
    dueMs: ctx.nowMs,
    createdMs: ctx.nowMs,
  };
  ctx.tx.insertDelivery(delivery);
  audit(ctx, actor, 'webhooks.test', { webhook: webhook.id, delivery: id });
  return delivery;
}

/** Sends it again under the same id: one that ended begins its tries anew, an open one is tried now. */
export function redeliver(ctx: Context, webhook: WebhookRow, delivery: DeliveryRow, actor: Who): DeliveryRow {
  mustBeEnabled(webhook);
  const changed: DeliveryRow =
    delivery.status === 'open'
      ? { ...delivery, dueMs: Math.min(delivery.dueMs, ctx.nowMs) }
      : { ...delivery, status: 'open', tries: 0, dueMs: ctx.nowMs, endedMs: null };
  ctx.tx.updateDelivery(changed);
  audit(ctx, actor, 'webhooks.redeliver', { webhook: webhook.id, delivery: delivery.id });
  return changed;
}

function write(ctx: Context, changed: WebhookRow, actor: Who, action: string, detail: Record<string, unknown> = {}): WebhookRow {
  const row = { ...changed, version: changed.version + 1 };
  ctx.tx.updateWebhook(row);
  audit(ctx, actor, action, { webhook: row.id, ...detail });
  return row;
}

function mustBeEnabled({ id, status }: WebhookRow): void {
  if (status === 'enabled') return;
  throw new SealpoolError('conflict', 'webhook_disabled', `webhook ${id} is disabled and sends nothing; enable it first`);
}

function checkUrl({ url, allowPrivate }: WebhookChoice): void {
  if (allowPrivate || /^https:/i.test(url)) return;
  throw new SealpoolError(
    'bad_request',
    'https_needed',
    'the receiver must be reached by https; give an https URL, or allow private addresses for a receiver inside the house',
  );
}
