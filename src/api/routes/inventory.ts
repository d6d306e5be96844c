/** Sectors in and out: records of what others sealed, and of all that is known. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from '../../scheduler/context.ts';
import { takeOver } from '../../scheduler/inventory.ts';
import { did, mayMiner } from '../auth.ts';
import { once } from '../idempotency.ts';
import { ExportQuery, ImportAnswer, ImportRequest, SectorRecordPage } from '../inventory.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';
import { asConfigured, configuredMiner } from './sectors.ts';

export function inventoryRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  const { log } = parts;
  app.openapi(
    operation(parts, {
      method: 'post',
      path: '/v1/sectors/import',
      who: 'operator',
      summary: 'Take existing sectors over; each that cannot be is refused on its own',
      once: 'body',
      body: ImportRequest,
      largeBody: true,
      answer: ImportAnswer,
    }),
    async (c) => {
      const principal = c.get('principal');
      const { records } = c.req.valid('json');
      const take = (ctx: Context) => {
        const named = records.map((record) => ({ ...record, miner: asConfigured(ctx, record.miner) }));
        const taken = takeOver(ctx, named, (miner) => mayMiner(principal, miner));
        did(ctx, principal, 'sectors.imported', { imported: taken.imported, unchanged: taken.unchanged, refused: taken.refused.length });
        return taken;
      };
      const outcome = await c.var.door.run((ctx) => once(ctx, c, () => take(ctx)));
      const { imported, unchanged, refused } = outcome;
      log.info({ actor: principal.actor, imported, unchanged, refused: refused.length }, 'sectors imported');
      return c.json(outcome, 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'get',
      path: '/v1/sectors/export',
      who: 'viewer',
      summary: 'Records of all known sectors, by miner and number',
      query: ExportQuery,
      answer: SectorRecordPage,
    }),
    async (c) => {
      const principal = c.get('principal');
      const { miner, cursor, limit } = c.req.valid('query');
      const page = await c.var.door.run((ctx) => {
        const named = miner === undefined ? undefined : configuredMiner(ctx, principal, miner);
        return ctx.tx.sectorRecords({ miner: named, miners: principal.miners ?? undefined }, limit, cursor ?? null);
      });
      return c.json({ items: [...page.items], cursor: page.cursor }, 200);
    },
  );
}
