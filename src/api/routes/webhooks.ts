/** Webhooks: where events are posted to. What somebody else's token may not see is not there. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { z } from 'zod';
import { WebhookId } from '../../schema/ids.ts';
import { SealpoolError } from '../../schema/problem.ts';
import type { Context } from '../../scheduler/context.ts';
import type { WebhookRow } from '../../scheduler/webhook-rows.ts';
import {
  type WebhookChoice,
  changeWebhook,
  createWebhook,
  deleteWebhook,
  disableWebhook,
  enableWebhook,
  rotateSecret,
} from '../../scheduler/webhooks.ts';
import type { Principal } from '../auth.ts';
import { IfMatchHeader, refuseChanged, tagOfVersion } from '../conditional.ts';
import { once } from '../idempotency.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';
import { notFound } from '../problems.ts';
import { NewWebhook, WebhookPatch, WebhookRequest, WebhookView } from '../webhook-views.ts';
import { configuredMiner } from './sectors.ts';
import { webhookPayloads } from './webhook-payloads.ts';

const PATH = '/v1/webhooks';
const params = z.object({ id: WebhookId });
const etag = ({ version }: { version: number }): string => tagOfVersion(version);

function view({ secret: _secret, ...row }: WebhookRow): WebhookView {
  return row as WebhookView;
}

const isOwn = ({ miners }: Principal, webhook: WebhookRow): boolean =>
  miners === null || (webhook.miners?.every((miner) => miners.includes(miner)) ?? false);

/** The webhook; 404 when it is not there, or about more miners than the token is for. */
export function findWebhook(ctx: Context, principal: Principal, id: WebhookId): WebhookRow {
  const webhook = ctx.tx.webhook(id);
  if (webhook === undefined || !isOwn(principal, webhook)) throw notFound(`webhook ${id}`);
  return webhook;
}

/** Miners as the configuration spells them; 404 for one that is not there or not this token's. */
function minersOf(ctx: Context, principal: Principal, typed: WebhookRow['miners']): WebhookRow['miners'] {
  if (typed === null) {
    if (principal.miners === null) return null;
    throw new SealpoolError('forbidden', 'forbidden', 'this token is for some miners only; name the miners of the webhook (miners)');
  }
  return [...new Set(typed.map((miner) => configuredMiner(ctx, principal, miner)))];
}

/** Where private addresses may be reached, only who is responsible for the whole house says which. */
function mayReach(principal: Principal, { allowPrivate }: Pick<WebhookChoice, 'allowPrivate'>): void {
  if (!allowPrivate || principal.miners === null) return;
  throw new SealpoolError(
    'forbidden',
    'forbidden',
    'private addresses are allowed by an admin of all miners only; use a public address, or ask such an admin',
  );
}

function change(ctx: Context, principal: Principal, webhook: WebhookRow, patch: z.output<typeof WebhookPatch>): WebhookRow {
  const { miners, ...rest } = patch;
  const allowPrivate = rest.allowPrivate ?? webhook.allowPrivate;
  if (rest.url !== undefined || rest.allowPrivate !== undefined) mayReach(principal, { allowPrivate });
  const named = miners === undefined ? rest : { ...rest, miners: minersOf(ctx, principal, miners) };
  return changeWebhook(ctx, webhook, named as Partial<WebhookChoice>, principal);
}

const told = ({ id }: NewWebhook): string =>
  `webhook ${id} was made by the first request with this key, and its secret is told once; if that answer was lost, give it a new secret (POST /v1/webhooks/${id}/rotate)`;

export function webhookRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  webhookPayloads(app);
  app.openapi(
    operation(parts, {
      method: 'post',
      path: PATH,
      who: 'admin',
      summary: 'Have events posted to a URL, from now on; the secret that signs them is shown once',
      once: 'body',
      body: WebhookRequest,
      answer: NewWebhook,
    }),
    async (c) => {
      const [principal, body] = [c.get('principal'), c.req.valid('json')];
      const made = await c.var.door.run((ctx) =>
        once(
          ctx,
          c,
          () => {
            mayReach(principal, body);
            const row = createWebhook(ctx, { ...body, miners: minersOf(ctx, principal, body.miners) }, principal);
            return { ...view(row), secret: row.secret };
          },
          { secret: { field: 'secret', told } },
        ),
      );
      return c.json(made, 200, { etag: etag(made) });
    },
  );
  app.openapi(
    operation(parts, {
      method: 'get',
      path: PATH,
      who: 'admin',
      summary: 'Webhooks, without secrets',
      answer: z.object({ items: z.array(WebhookView) }),
    }),
    async (c) => {
      const principal = c.get('principal');
      const rows = await c.var.door.run((ctx) => ctx.tx.webhooks());
      return c.json({ items: rows.filter((row) => isOwn(principal, row)).map(view) }, 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'get',
      path: `${PATH}/{id}`,
      who: 'admin',
      summary: 'One webhook, with its ETag',
      params,
      answer: WebhookView,
    }),
    async (c) => {
      const row = await c.var.door.run((ctx) => findWebhook(ctx, c.get('principal'), c.req.valid('param').id));
      return c.json(view(row), 200, { etag: etag(row) });
    },
  );
  app.openapi(
    operation(parts, {
      method: 'patch',
      path: `${PATH}/{id}`,
      who: 'admin',
      summary: 'Change a webhook; with If-Match only as long as its ETag is that (else 412 changed_meanwhile)',
      headers: IfMatchHeader,
      params,
      body: WebhookPatch,
      answer: WebhookView,
    }),
    async (c) => {
      const [principal, patch] = [c.get('principal'), c.req.valid('json')];
      const row = await c.var.door.run((ctx) => {
        const webhook = findWebhook(ctx, principal, c.req.valid('param').id);
        refuseChanged(c, tagOfVersion(webhook.version), `webhook ${webhook.id}`);
        return change(ctx, principal, webhook, patch);
      });
      return c.json(view(row), 200, { etag: etag(row) });
    },
  );
  app.openapi(
    operation(parts, {
      method: 'delete',
      path: `${PATH}/{id}`,
      who: 'admin',
      summary: 'Delete a webhook with its log; what is open is not sent',
      headers: IfMatchHeader,
      params,
      answer: WebhookView,
    }),
    async (c) => {
      const principal = c.get('principal');
      const row = await c.var.door.run((ctx) => {
        const webhook = findWebhook(ctx, principal, c.req.valid('param').id);
        refuseChanged(c, tagOfVersion(webhook.version), `webhook ${webhook.id}`);
        deleteWebhook(ctx, webhook, principal);
        return webhook;
      });
      return c.json(view(row), 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'post',
      path: `${PATH}/{id}/rotate`,
      who: 'admin',
      summary: 'Sign with a fresh secret from the next try on; it is shown once',
      params,
      body: z.strictObject({}),
      bodyOptional: true,
      answer: NewWebhook,
    }),
    async (c) => {
      const principal = c.get('principal');
      const row = await c.var.door.run((ctx) => rotateSecret(ctx, findWebhook(ctx, principal, c.req.valid('param').id), principal));
      return c.json({ ...view(row), secret: row.secret }, 200, { etag: etag(row) });
    },
  );
  for (const [word, turn, summary] of [
    ['enable', enableWebhook, 'Let it go on where it stopped'],
    ['disable', disableWebhook, 'Send nothing until it is enabled'],
  ] as const) {
    app.openapi(
      operation(parts, {
        method: 'post',
        path: `${PATH}/{id}/${word}`,
        who: 'admin',
        summary,
        params,
        body: z.strictObject({}),
        bodyOptional: true,
        answer: WebhookView,
      }),
      async (c) => {
        const principal = c.get('principal');
        const row = await c.var.door.run((ctx) => turn(ctx, findWebhook(ctx, principal, c.req.valid('param').id), principal));
        return c.json(view(row), 200, { etag: etag(row) });
      },
    );
  }
}
