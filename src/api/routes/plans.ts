/** `GET /v1/plans`: the state tables, from the constant that the engine runs. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { z } from 'zod';
import { planTables } from '../../scheduler/plans/all.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';

const Tables = z.record(z.string(), z.record(z.string(), z.record(z.string(), z.string())));

export function planRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  app.openapi(
    operation(parts, {
      method: 'get',
      path: '/v1/plans',
      who: 'viewer',
      summary: 'State tables: plan, state, event, next state',
      answer: Tables,
    }),
    (c) => c.json(planTables() as z.infer<typeof Tables>, 200),
  );
}
