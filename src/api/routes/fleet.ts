/** The fleet: join tokens, runners, and what an operator does to one. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { z } from 'zod';
import { RunnerId } from '../../schema/ids.ts';
import { setRunnerStatus } from '../../scheduler/fleet.ts';
import { wholeOnly } from '../auth.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';
import { JoinTokenRequest } from '../requests.ts';
import { newSecret } from '../secrets.ts';
import { JoinToken, RunnerView } from '../views.ts';
import { runnerView } from './shown.ts';

const Id = z.object({ id: RunnerId });
const Nothing = z.strictObject({});
/** What each action makes of a runner, and the least role for it. */
const ACTIONS = [
  { name: 'drain', status: 'draining', who: 'operator', summary: 'Finish what runs, take nothing new' },
  { name: 'cordon', status: 'cordoned', who: 'operator', summary: 'Grant nothing to it until it is lifted' },
  { name: 'ban', status: 'banned', who: 'admin', summary: 'End its credential and take its stages away' },
] as const;

export function fleetRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  app.openapi(
    operation(parts, {
      method: 'post',
      path: '/v1/runners/tokens',
      who: 'admin',
      summary: 'A single-use join token; it is shown once',
      body: JoinTokenRequest,
      answer: JoinToken,
    }),
    async (c) => {
      wholeOnly(c.get('principal'));
      const { trust, labels, ttlMs } = c.req.valid('json');
      const made = await c.var.door.run((ctx) => {
        const { secret, hash } = newSecret(ctx.ids, 'join');
        const expiresMs = ctx.nowMs + ttlMs;
        ctx.tx.insertJoinToken({ hash, trust, labels, expiresMs, usedBy: null });
        return { token: secret, trust, labels, expiresMs };
      });
      return c.json(made, 200);
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
            runnerView(ctx.tx, setRunnerStatus(ctx, id, status, `${name} by ${principal.actor}`, principal.actor)),
          ),
          200,
        );
      },
    );
  }
}
