/** Moves of single sectors between paths of miner storage: asked for, shown, stopped. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { z } from 'zod';
import { SectorName, parseSectorName } from '../../schema/ids.ts';
import { StorageId } from '../../schema/miner-storage.ts';
import type { Context } from '../../scheduler/context.ts';
import { requestMoves, stopMoves } from '../../scheduler/requested-moves.ts';
import { wholeOnly } from '../auth.ts';
import { once } from '../idempotency.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';
import { MoveView, moveView } from '../storage-views.ts';
import { asConfigured } from './sectors.ts';

const Sectors = z.array(SectorName).min(1).max(200);
const Move = z.strictObject({
  sectors: Sectors,
  /** The storage that takes their files. */
  to: StorageId,
  /** Also where nobody who does Window PoSt is told that the files are elsewhere. */
  force: z.boolean().optional(),
});
const Stop = z.strictObject({ sectors: Sectors });
const Items = z.object({ items: z.array(MoveView) });

function named(ctx: Context, sectors: readonly SectorName[]): ReturnType<typeof parseSectorName>[] {
  return sectors.map((sector) => {
    const { miner, number } = parseSectorName(sector);
    return { miner: asConfigured(ctx, miner), number };
  });
}

export function storageMoveRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  app.openapi(
    operation(parts, {
      method: 'get',
      path: '/v1/storage/moves',
      who: 'viewer',
      summary: 'Sectors whose files are on their way from one storage to another, and what stands against each',
      answer: Items,
    }),
    async (c) => {
      wholeOnly(c.get('principal'));
      return c.json({ items: await c.var.door.run((ctx) => ctx.tx.storageMoves().map(moveView)) }, 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'post',
      path: '/v1/storage/moves',
      who: 'operator',
      summary: 'Move the files of sectors to another storage of their runner, one after another; all of them or none',
      once: 'body',
      body: Move,
      answer: Items,
    }),
    async (c) => {
      const principal = c.get('principal');
      wholeOnly(principal);
      const { sectors, to, force = false } = c.req.valid('json');
      const asked = (ctx: Context) => ({ items: requestMoves(ctx, named(ctx, sectors), to, principal, force).map(moveView) });
      return c.json(await c.var.door.run((ctx) => once(ctx, c, () => asked(ctx))), 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'post',
      path: '/v1/storage/moves/stop',
      who: 'operator',
      summary: 'Stop moves that were asked for: the files stay where they are, and what was copied is removed',
      body: Stop,
      answer: Items,
    }),
    async (c) => {
      const principal = c.get('principal');
      wholeOnly(principal);
      const { sectors } = c.req.valid('json');
      return c.json({ items: await c.var.door.run((ctx) => stopMoves(ctx, named(ctx, sectors), principal).map(moveView)) }, 200);
    },
  );
}
