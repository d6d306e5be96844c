/** What was sent to a webhook and what came of it; sending again; a test. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { z } from 'zod';
import { DeliveryId, WebhookId } from '../../schema/ids.ts';
import type { DeliveryRow } from '../../scheduler/webhook-rows.ts';
import { redeliver, testWebhook } from '../../scheduler/webhooks.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';
import { notFound } from '../problems.ts';
import { DeliveryPage, DeliveryQuery, DeliveryView } from '../webhook-views.ts';
import { findWebhook } from './webhooks.ts';

const PATH = '/v1/webhooks/{id}';
const view = (row: DeliveryRow): DeliveryView => ({ ...row });

export function deliveryRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  app.openapi(
    operation(parts, {
      method: 'post',
      path: `${PATH}/test`,
      who: 'admin',
      summary: 'Send a delivery of the type webhook.test, once; the log says what came of it',
      params: z.object({ id: WebhookId }),
      body: z.strictObject({}),
      bodyOptional: true,
      answer: DeliveryView,
    }),
    async (c) => {
      const principal = c.get('principal');
      const { id } = c.req.valid('param');
      const row = await c.var.door.run((ctx) => testWebhook(ctx, findWebhook(ctx, principal, id), principal));
      return c.json(view(row), 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'get',
      path: `${PATH}/deliveries`,
      who: 'admin',
      summary: 'The log of deliveries, newest first; ended ones are kept for 30 days',
      params: z.object({ id: WebhookId }),
      query: DeliveryQuery,
      answer: DeliveryPage,
    }),
    async (c) => {
      const { cursor, limit } = c.req.valid('query');
      const page = await c.var.door.run((ctx) => {
        const { id } = findWebhook(ctx, c.get('principal'), c.req.valid('param').id);
        return ctx.tx.deliveries(id, limit, cursor ?? null);
      });
      return c.json({ items: page.items.map(view), cursor: page.cursor }, 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'post',
      path: `${PATH}/deliveries/{delivery}/redeliver`,
      who: 'admin',
      summary: 'Send it again now, under the same webhook-id',
      params: z.object({ id: WebhookId, delivery: DeliveryId }),
      body: z.strictObject({}),
      bodyOptional: true,
      answer: DeliveryView,
    }),
    async (c) => {
      const principal = c.get('principal');
      const { id, delivery } = c.req.valid('param');
      const row = await c.var.door.run((ctx) => {
        const webhook = findWebhook(ctx, principal, id);
        const found = ctx.tx.delivery(delivery);
        if (found === undefined || found.webhook !== webhook.id) throw notFound(`delivery ${delivery}`);
        return redeliver(ctx, webhook, found, principal);
      });
      return c.json(view(row), 200);
    },
  );
}
