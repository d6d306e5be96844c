/** Webhooks and what is on its way to them, as the database has them. */
import type { EventType } from '../schema/event.ts';
import type { DeliveryId, MinerId, WebhookId } from '../schema/ids.ts';

export type WebhookRow = {
  readonly id: WebhookId;
  readonly url: string;
  readonly description: string;
  /** Null: all. */
  readonly types: readonly EventType[] | null;
  /** Null: all miners, and what is of none. */
  readonly miners: readonly MinerId[] | null;
  /** Receivers inside the house may be reached. */
  readonly allowPrivate: boolean;
  /** `whsec_` and base64. */
  readonly secret: string;
  readonly status: 'enabled' | 'disabled';
  /** Why it is disabled. */
  readonly reason: string | null;
  /** Number of the last event that deliveries were made of. */
  readonly cursor: number;
  readonly version: number;
  /** Since when every try has failed; null: the last one did not. */
  readonly failingSinceMs: number | null;
  readonly createdMs: number;
};

export type DeliveryRow = {
  readonly id: DeliveryId;
  readonly webhook: WebhookId;
  /** `webhook-id`. */
  readonly message: string;
  readonly type: EventType | 'webhook.test';
  /** Number of the event; null: a test. */
  readonly event: number | null;
  readonly status: 'open' | 'done' | 'failed';
  readonly tries: number;
  /** Not before this time. */
  readonly dueMs: number;
  /** HTTP status of the last try; null: there was no answer. */
  readonly lastStatus: number | null;
  readonly lastError: string | null;
  readonly createdMs: number;
  readonly endedMs: number | null;
};
