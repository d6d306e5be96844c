/** The fleet: join tokens, runners, and what an operator does to one. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { z } from 'zod';
import { JoinTokenId, RunnerId, joinTokenId } from '../../schema/ids.ts';
import type { Context } from '../../scheduler/context.ts';
import { setRunnerStatus } from '../../scheduler/fleet.ts';
import { did, wholeOnly } from '../auth.ts';
import { once } from '../idempotency.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';
import { notFound } from '../problems.ts';
import { JoinTokenRequest } from '../requests.ts';
import { newSecret } from '../secrets.ts';
import { JoinToken, JoinTokenView, RunnerLog, RunnerView } from '../views.ts';
import { joinTokenView, runnerLogs, runnerView } from './shown.ts';

const Id = z.object({ id: RunnerId });
const Nothing = z.strictObject({});
/** What each action makes of a runner, and the least role for it. */
const ACTIONS = [
  { name: 'drain', status: 'draining', who: 'operator', summary: 'Finish what runs, take nothing new' },
  { name: 'cordon', status: 'cordoned', who: 'operator', summary: 'Grant nothing to it until it is lifted' },
  { name: 'uncordon', status: 'ready', who: 'operator', summary: 'Lift a drain, a cordon or a quarantine' },
  { name: 'ban', status: 'banned', who: 'admin', summary: 'End its credential and take its stages away' },
] as const;

/** What whoever lost the answer with the secret is to do. */
const told = ({ trust }: JoinToken): string =>
  `this Idempotency-Key made a join token for one ${trust} runner already, and it was told in the first answer only; use that one, or make another with a new key: the first ends by itself`;

export function fleetRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  app.openapi(
    operation(parts, {
      method: 'post',
      path: '/v1/runners/tokens',
      who: 'admin',
      summary: 'A single-use join token; it is shown once',
      once: 'body',
      body: JoinTokenRequest,
      answer: JoinToken,
    }),
    async (c) => {
      const principal = c.get('principal');
      wholeOnly(principal);
      const { trust, labels, ttlMs } = c.req.valid('json');
      const make = (ctx: Context): JoinToken => {
        const { secret, hash } = newSecret(ctx.ids, 'join');
        const expiresMs = ctx.nowMs + ttlMs;
        ctx.tx.insertJoinToken({ hash, trust, labels, expiresMs, usedBy: null });
        did(ctx, principal, 'join_token.created', { trust, labels, expiresMs });
        return { id: joinTokenId(hash), token: secret, trust, labels, expiresMs };
      };
      return c.json(await c.var.door.run((ctx) => once(ctx, c, () => make(ctx), { secret: { field: 'token', told } })), 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'get',
      path: '/v1/runners/tokens',
      who: 'admin',
      summary: 'Join tokens that may still be used, without secrets',
      answer: z.object({ items: z.array(JoinTokenView) }),
    }),
    async (c) => {
      wholeOnly(c.get('principal'));
      return c.json({ items: await c.var.door.run((ctx) => ctx.tx.openJoinTokens(ctx.nowMs).map(joinTokenView)) }, 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'delete',
      path: '/v1/runners/tokens/{id}',
      who: 'admin',
      summary: 'End a join token before anybody uses it',
      params: z.object({ id: JoinTokenId }),
      answer: JoinTokenView,
    }),
    async (c) => {
      const principal = c.get('principal');
      wholeOnly(principal);
      const { id } = c.req.valid('param');
      const revoke = (ctx: Context): JoinTokenView => {
        const token = ctx.tx.openJoinTokens(ctx.nowMs).find(({ hash }) => joinTokenId(hash) === id);
        if (token === undefined || !ctx.tx.revokeJoinToken(token.hash)) throw notFound(`a join token ${id} that may still be used`);
        did(ctx, principal, 'join_token.revoked', { token: id });
        return joinTokenView(token);
      };
      return c.json(await c.var.door.run(revoke), 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'get',
      path: '/v1/runners',
      who: 'viewer',
      summary: 'Registered runners',
      answer: z.object({ items: z.array(RunnerView) }),
    }),
    async (c) => {
      wholeOnly(c.get('principal'));
      return c.json({ items: await c.var.door.run((ctx) => ctx.tx.runners().map((row) => runnerView(ctx.tx, row))) }, 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'get',
      path: '/v1/runners/{id}',
      who: 'viewer',
      summary: 'One runner: what it has, runs and is running',
      params: Id,
      answer: RunnerView,
    }),
    async (c) => {
      wholeOnly(c.get('principal'));
      const { id } = c.req.valid('param');
      const shown = await c.var.door.run((ctx) => {
        const row = ctx.tx.runner(id);
        return row === undefined ? undefined : runnerView(ctx.tx, row);
      });
      if (shown === undefined) throw notFound(`runner ${id}`);
      return c.json(shown, 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'get',
      path: '/v1/runners/{id}/logs',
      who: 'viewer',
      summary: 'Its attempts, running and ended, newest first, each with the end of its log',
      params: Id,
      query: z.object({ limit: z.coerce.number().int().min(1).max(200).default(20) }),
      answer: z.object({ items: z.array(RunnerLog) }),
    }),
    async (c) => {
      wholeOnly(c.get('principal'));
      const { id } = c.req.valid('param');
      const { limit } = c.req.valid('query');
      return c.json({ items: await c.var.door.run((ctx) => runnerLogs(ctx.tx, id, limit)) }, 200);
    },
  );
  for (const { name, status, who, summary } of ACTIONS) {
    app.openapi(
      operation(parts, {
        method: 'post',
        path: `/v1/runners/{id}/${name}`,
        who,
        summary,
        params: Id,
        body: Nothing,
        bodyOptional: true,
        answer: RunnerView,
      }),
      async (c) => {
        const principal = c.get('principal');
        wholeOnly(principal);
        const { id } = c.req.valid('param');
        return c.json(
          await c.var.door.run((ctx) =>
            runnerView(
              ctx.tx,
              setRunnerStatus(ctx, id, status, status === 'ready' ? null : `${name} by ${principal.actor}`, principal.actor),
            ),
          ),
          200,
        );
      },
    );
  }
}
