/** The `webhooks` section of the description: which types of events are posted, and what is in them. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { z } from 'zod';
import type { Env } from '../parts.ts';
import { PAYLOADS } from '../webhook-views.ts';

/** As Standard Webhooks names them. */
const HEADERS = z.object({
  'webhook-id': z.string().describe('the same on every try of a delivery'),
  'webhook-timestamp': z.string().describe('Unix seconds of this try'),
  'webhook-signature': z.string().describe('`v1,` and base64 of the HMAC-SHA256 of id, timestamp and body, with full stops in between'),
});

/** Describes what a receiver is posted. */
export function webhookPayloads(app: OpenAPIHono<Env>): void {
  for (const { type, payload } of PAYLOADS) {
    app.openAPIRegistry.registerWebhook({
      method: 'post',
      path: type,
      operationId: `webhook_${type.replaceAll(/\W/g, '_')}`,
      // By its signature the receiver knows who calls.
      security: [],
      summary: type === 'webhook.test' ? 'Somebody tests the webhook' : `An event of the type ${type}`,
      request: { headers: HEADERS, body: { required: true, content: { 'application/json': { schema: payload } } } },
      responses: {
        '2XX': { description: 'taken' },
        410: { description: 'the receiver wants nothing more: the webhook is disabled' },
        default: { description: 'not taken, redirects included: it is tried again over three days' },
      },
    });
  }
}
