/** For operations, outside /v1 and without a token: does it live, can it serve, what does it count. */
import { type OpenAPIHono, createRoute } from '@hono/zod-openapi';
import { z } from 'zod';
import { SealpoolError } from '../../schema/problem.ts';
import { groupOf, operationIdOf } from '../naming.ts';
import { operation } from '../operation.ts';
import { type ApiParts, Check, type Env } from '../parts.ts';

/** Prometheus' text format. */
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

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
      summary: 'It can serve: the database was written, the chain node and the object store answered',
      answer: z.object({ ready: z.literal(true), checks: z.array(Check) }),
    }),
    async (c) => {
      if (parts.ending.aborted) {
        throw new SealpoolError('unavailable', 'not_ready', 'the control plane is about to end; try again when it is back');
      }
      const checks = [...(await parts.checks())];
      const failed = checks.filter(({ ok }) => !ok);
      if (failed.length > 0) {
        const named = failed.map(({ name, detail }) => `${name} (${detail})`).join(', ');
        throw new SealpoolError('unavailable', 'not_ready', `the control plane cannot serve now: ${named}; the log says more`, {
          checks,
        });
      }
      return c.json({ ready: true as const, checks }, 200);
    },
  );
  const metrics = createRoute({
    method: 'get',
    path: '/metrics',
    operationId: operationIdOf('get', '/metrics'),
    tags: [groupOf('/metrics')],
    security: [],
    summary: 'Counts for Prometheus',
    'x-sealpool-who': 'none',
    responses: { 200: { description: 'done', content: { 'text/plain': { schema: z.string() } } } },
  });
  app.openapi(metrics, async (c) => {
    if (parts.metrics === undefined)
      throw new SealpoolError('not_found', 'no_metrics', 'nothing is measured here; ask the platform for it');
    return c.text(await parts.metrics(), 200, { 'content-type': METRICS_TYPE });
  });
}
