/** What object storage holds that no job needs: a look at it, and its removal. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { Collected } from '../../schema/garbage.ts';
import { SealpoolError } from '../../schema/problem.ts';
import { did, wholeOnly } from '../auth.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';
import { CollectRequest, GarbageQuery } from '../requests.ts';

function collectorOf({ collector }: ApiParts): NonNullable<ApiParts['collector']> {
  if (collector !== undefined) return collector;
  throw new SealpoolError(
    'unavailable',
    'no_collector',
    'this control plane does not collect garbage by itself; look at the bucket by hand',
  );
}

export function objectGarbageRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  app.openapi(
    operation(parts, {
      method: 'get',
      path: '/v1/objects/garbage',
      who: 'admin',
      summary:
        'What of object storage no job needs (objects, and uploads that nobody finished), and why: what `POST …/collect` would remove now; unknown: with what this database knows nothing of',
      query: GarbageQuery,
      answer: Collected,
    }),
    async (c) => {
      wholeOnly(c.get('principal'));
      return c.json(await collectorOf(parts)({ remove: false, unknown: c.req.valid('query').unknown }), 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'post',
      path: '/v1/objects/garbage/collect',
      who: 'admin',
      summary: 'Remove what no job needs: it is written down at once and deleted by the outbox, which tries until it is done',
      body: CollectRequest,
      bodyOptional: true,
      answer: Collected,
    }),
    async (c) => {
      const principal = c.get('principal');
      wholeOnly(principal);
      const collect = collectorOf(parts);
      const { unknown = false } = c.req.valid('json');
      await c.var.door.run((ctx) => did(ctx, principal, 'objects.collect', { unknown }));
      return c.json(await collect({ remove: true, unknown }), 200);
    },
  );
}
