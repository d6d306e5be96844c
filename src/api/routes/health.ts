/** For operations, outside /v1 and without a token: does it live, can it serve. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { z } from 'zod';
import { SealpoolError } from '../../schema/problem.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';

export function healthRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  app.openapi(
    operation(parts, {
      method: 'get',
      path: '/healthz',
      who: 'none',
      summary: 'The process lives',
      answer: z.object({ ok: z.literal(true) }),
    }),
    (c) => c.json({ ok: true as const }, 200),
  );
  app.openapi(
    operation(parts, {
      method: 'get',
      path: '/readyz',
      who: 'none',
      summary: 'It can serve',
      answer: z.object({ ready: z.literal(true) }),
    }),
    async (c) => {
      const reason = parts.ending.aborted ? 'it is about to end' : await parts.notReady();
      if (reason !== undefined)
        throw new SealpoolError('unavailable', 'not_ready', `the control plane cannot serve now: ${reason}; try again in a few seconds`);
      return c.json({ ready: true as const }, 200);
    },
  );
}
