/** API tokens. A secret is told once; the database has its hash. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { z } from 'zod';
import { TokenId } from '../../schema/ids.ts';
import type { Context } from '../../scheduler/context.ts';
import { did, wholeOnly } from '../auth.ts';
import { once } from '../idempotency.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';
import { ApiTokenRequest, RotateRequest } from '../requests.ts';
import { createApiToken, revokeApiToken, rotateApiToken } from '../tokens.ts';
import { NewToken, TokenView } from '../views.ts';
import { configuredMiner } from './sectors.ts';
import { tokenView } from './shown.ts';

/** How long an older secret goes on after a rotation. */
const USUAL_GRACE_MS = 86_400_000;
const Id = z.object({ id: TokenId });

/** What whoever lost the answer with the secret is to do. */
const told = ({ id }: { id: string }): string =>
  `this Idempotency-Key made the token ${id} already, and its secret was told in the first answer only; use that one, or revoke ${id} and make another with a new key`;

export function tokenRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  app.openapi(
    operation(parts, {
      method: 'post',
      path: '/v1/tokens',
      who: 'admin',
      summary: 'Create an API token; its secret is shown once',
      once: 'body',
      body: ApiTokenRequest,
      answer: NewToken,
    }),
    async (c) => {
      const principal = c.get('principal');
      wholeOnly(principal);
      const { name, role, miners: typed, ttlMs, expiresMs } = c.req.valid('json');
      const create = (ctx: Context) => {
        const miners = typed === null ? null : [...new Set(typed.map((miner) => configuredMiner(ctx, principal, miner)))];
        const made = createApiToken(ctx, {
          name,
          role,
          miners,
          expiresMs: ttlMs === undefined ? (expiresMs ?? null) : ctx.nowMs + ttlMs,
        });
        did(ctx, principal, 'token.created', { token: made.id, name, role, miners, expiresMs: made.expiresMs });
        return made;
      };
      return c.json(await c.var.door.run((ctx) => once(ctx, c, () => create(ctx), { secret: { field: 'token', told } })), 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'get',
      path: '/v1/tokens',
      who: 'admin',
      summary: 'API tokens, without secrets',
      answer: z.object({ items: z.array(TokenView) }),
    }),
    async (c) => {
      wholeOnly(c.get('principal'));
      return c.json({ items: await c.var.door.run((ctx) => ctx.tx.apiTokens().map(tokenView)) }, 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'post',
      path: '/v1/tokens/{id}/rotate',
      who: 'admin',
      summary: 'Give an API token a new secret, shown once; the older one goes on for a while (a day unless said)',
      params: Id,
      body: RotateRequest,
      bodyOptional: true,
      answer: NewToken,
    }),
    async (c) => {
      const principal = c.get('principal');
      wholeOnly(principal);
      const [{ id }, { graceMs = USUAL_GRACE_MS }] = [c.req.valid('param'), c.req.valid('json')];
      return c.json(await c.var.door.run((ctx) => rotateApiToken(ctx, id, graceMs, principal)), 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'delete',
      path: '/v1/tokens/{id}',
      who: 'admin',
      summary: 'Revoke an API token with all its secrets, at once',
      params: Id,
      answer: TokenView,
    }),
    async (c) => {
      const principal = c.get('principal');
      wholeOnly(principal);
      const { id } = c.req.valid('param');
      return c.json(await c.var.door.run((ctx) => revokeApiToken(ctx, id, principal)), 200);
    },
  );
}
