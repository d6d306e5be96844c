/** Webhooks as the API takes and shows them, and what is posted to receivers. A secret is in `NewWebhook` only. */
import { z } from 'zod';
import { EVENT_TYPES, Event, EventType, eventKind } from '../schema/event.ts';
import { DeliveryId, MinerId, WebhookId } from '../schema/ids.ts';
import { UnixMs } from '../schema/units.ts';

const NOT_A_URL = 'an http or https URL of at most 2,000 characters without user, password and fragment';

function isReceiver(text: string): boolean {
  if (!/^https?:\/\/[^\s\\]+$/i.test(text) || !URL.canParse(text)) return false;
  const { username, password, hash } = new URL(text);
  return username === '' && password === '' && hash === '';
}

const Url = z.string().max(2_000).refine(isReceiver, NOT_A_URL);
const Description = z
  .string()
  .max(200)
  .regex(/^[^\x00-\x1f\x7f-\x9f]*$/, 'no control characters');
const Types = z
  .array(EventType)
  .min(1)
  .max(EVENT_TYPES.length)
  .transform((types) => [...new Set(types)]);
const Miners = z.array(MinerId).min(1).max(100);

export const WebhookRequest = z.strictObject({
  url: Url,
  description: Description.default(''),
  /** Null: all. */
  types: Types.nullable().default(null),
  /** Null: all miners, and what is of no miner. */
  miners: Miners.nullable().default(null),
  /** Receivers inside the house: private addresses and http are allowed. */
  allowPrivate: z.boolean().default(false),
});
export type WebhookRequest = z.input<typeof WebhookRequest>;

/** What is not named stays. */
export const WebhookPatch = z.strictObject({
  url: Url.optional(),
  description: Description.optional(),
  types: Types.nullable().optional(),
  miners: Miners.nullable().optional(),
  allowPrivate: z.boolean().optional(),
});
export type WebhookPatch = z.input<typeof WebhookPatch>;

export const WebhookView = z.object({
  id: WebhookId,
  url: z.string(),
  description: z.string(),
  types: z.array(EventType).nullable(),
  miners: z.array(MinerId).nullable(),
  allowPrivate: z.boolean(),
  status: z.enum(['enabled', 'disabled']),
  /** Why it is disabled. */
  reason: z.string().nullable(),
  /** Number of the last event that deliveries were made of. */
  cursor: z.number().int().nonnegative(),
  /** The ETag: rises with each change by hand. */
  version: z.number().int().positive(),
  /** Since when every try has failed; null: the last one did not. */
  failingSinceMs: UnixMs.nullable(),
  createdMs: UnixMs,
});
export type WebhookView = z.infer<typeof WebhookView>;

/** The secret is answered once, here, and never again. */
export const NewWebhook = WebhookView.extend({ secret: z.string() });
export type NewWebhook = z.infer<typeof NewWebhook>;

const DeliveryType = z.enum([...EVENT_TYPES, 'webhook.test']);

export const DeliveryView = z.object({
  id: DeliveryId,
  webhook: WebhookId,
  /** `webhook-id`: the same on every try. */
  message: z.string(),
  type: DeliveryType,
  /** Number of the event; null: a test. */
  event: z.number().int().nullable(),
  status: z.enum(['open', 'done', 'failed']),
  tries: z.number().int().nonnegative(),
  /** The next try is not made before this time. */
  dueMs: UnixMs,
  /** HTTP status of the last try; null: there was no answer. */
  lastStatus: z.number().int().nullable(),
  lastError: z.string().nullable(),
  createdMs: UnixMs,
  endedMs: UnixMs.nullable(),
});
export type DeliveryView = z.infer<typeof DeliveryView>;

/** Newest first. */
export const DeliveryPage = z.object({ items: z.array(DeliveryView), cursor: z.string().nullable() });
export type DeliveryPage = z.infer<typeof DeliveryPage>;

export const DeliveryQuery = z.strictObject({
  cursor: z
    .string()
    .regex(/^[0-9]{1,15}$/, 'the cursor of the page before')
    .optional(),
  limit: z.coerce.number().int().min(1).max(500).default(50),
});

/** What a receiver is posted, by type. */
export const PAYLOADS = [
  ...EVENT_TYPES.map((type) => ({
    type: type as string,
    payload: z.object({
      type: z.literal(type),
      timestamp: z.iso.datetime(),
      data: Event.extend({ kind: z.literal(eventKind(type)) }),
    }),
  })),
  {
    type: 'webhook.test',
    payload: z.object({ type: z.literal('webhook.test'), timestamp: z.iso.datetime(), data: z.object({ webhook: WebhookId }) }),
  },
] as const;
