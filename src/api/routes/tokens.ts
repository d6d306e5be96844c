/** API tokens. The secret is told once; the database has its hash. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { z } from 'zod';
import { TokenId } from '../../schema/ids.ts';
import { SealpoolError } from '../../schema/problem.ts';
import type { Context } from '../../scheduler/context.ts';
import type { ApiTokenRow } from '../../scheduler/ports.ts';
import { wholeOnly } from '../auth.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';
import { notFound } from '../problems.ts';
import { ApiTokenRequest } from '../requests.ts';
import { newSecret } from '../secrets.ts';
import { NewToken, TokenView } from '../views.ts';
import { tokenView } from './shown.ts';

/** Makes a token in the transaction of `ctx`; the secret leaves through the answer only. */
export function createApiToken(ctx: Context, given: Pick<ApiTokenRow, 'name' | 'role' | 'miners'>): NewToken {
  const { secret, hash } = newSecret(ctx.ids, 'api');
  const row: ApiTokenRow = {
    id: ctx.ids.next('t') as ApiTokenRow['id'],
    hash,
    ...given,
    createdMs: ctx.nowMs,
    revokedMs: null,
    expiresMs: null,
    previousHash: null,
    previousUntilMs: null,
  };
  ctx.tx.insertApiToken(row);
  return { ...tokenView(row), token: secret };
}

function revoke(ctx: Context, id: TokenId): TokenView {
  const row = ctx.tx.apiTokens().find((token) => token.id === id);
  if (row === undefined) throw notFound(`token ${id}`);
  const others = ctx.tx
    .apiTokens()
    .some((token) => token.id !== id && token.role === 'admin' && token.miners === null && token.revokedMs === null);
  if (row.role === 'admin' && row.revokedMs === null && !others) {
    throw new SealpoolError('conflict', 'last_admin', `token ${id} is the last admin token; create another one first`);
  }
  if (!ctx.tx.revokeApiToken(id, ctx.nowMs))
    throw new SealpoolError('conflict', 'revoked_already', `token ${id} was revoked before; there is nothing to do`);
  return { ...tokenView(row), revokedMs: ctx.nowMs };
}

export function tokenRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  app.openapi(
    operation(parts, {
      method: 'post',
      path: '/v1/tokens',
      who: 'admin',
      summary: 'Create an API token; its secret is shown once',
      body: ApiTokenRequest,
      answer: NewToken,
    }),
    async (c) => {
      wholeOnly(c.get('principal'));
      const { name, role, miners } = c.req.valid('json');
      return c.json(await c.var.door.run((ctx) => createApiToken(ctx, { name, role, miners })), 200);
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
      method: 'delete',
      path: '/v1/tokens/{id}',
      who: 'admin',
      summary: 'Revoke an API token at once',
      params: z.object({ id: TokenId }),
      answer: TokenView,
    }),
    async (c) => {
      wholeOnly(c.get('principal'));
      const { id } = c.req.valid('param');
      return c.json(await c.var.door.run((ctx) => revoke(ctx, id)), 200);
    },
  );
}
