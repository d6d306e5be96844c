/** Miner storage: its paths, where a sector's files are, keeping new sectors out, reading files against their hashes. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context as Call } from 'hono';
import { z } from 'zod';
import { SectorName, parseSectorName } from '../../schema/ids.ts';
import { StorageId, roomIn } from '../../schema/miner-storage.ts';
import type { Context } from '../../scheduler/context.ts';
import { declareAllIn } from '../../scheduler/declared.ts';
import { isCordoned, isDraining, setCordoned } from '../../scheduler/miner-storage.ts';
import { drain, stays, stopDraining } from '../../scheduler/storage-moves.ts';
import type { StorageMove } from '../../scheduler/storage-rows.ts';
import { type Principal, did, mayMiner, wholeOnly } from '../auth.ts';
import { once } from '../idempotency.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';
import { notFound } from '../problems.ts';
import { StorageAnswer, StorageView, StoredSectorView, moveView } from '../storage-views.ts';
import { asConfigured } from './sectors.ts';

const Id = z.object({ id: StorageId });
const Nothing = z.strictObject({});
const Drain = z.strictObject({
  /** Also where nobody who does Window PoSt is told that the files are elsewhere. */
  force: z.boolean().optional(),
});
const Items = z.object({ items: z.array(StorageView) });

/** All paths, or those of one storage: several runners may have one that they share. */
function shown(ctx: Context, id?: string): StorageView[] {
  const reserved = ctx.tx.storageReserved();
  const moves = ctx.tx.storageMoves();
  return ctx.tx
    .storagePaths()
    .filter(({ path }) => id === undefined || path.id === id)
    .map((row) => {
      const { runner, path, seenMs, checking } = row;
      const reservedBytes = reserved.get(path.id) ?? 0;
      return {
        ...path,
        runner,
        seenMs,
        reservedBytes,
        roomBytes: roomIn(path, { reservedBytes }),
        cordoned: isCordoned(ctx, path.id),
        draining: isDraining(ctx, path.id),
        moving: movingFrom(moves, path.id),
        moves: moves.filter(({ from }) => from === path.id).length,
        stays: stays(ctx, row),
        sectors: ctx.tx.countSectorsIn(path.id),
        undeclared: ctx.tx.countUndeclaredIn(path.id),
        checking: checking === null ? null : SectorName.parse(`s-${checking.miner}-${checking.number}`),
      };
    });
}

function movingFrom(moves: readonly StorageMove[], id: string): StorageView['moving'] {
  const own = moves.filter(({ from }) => from === id);
  const live = own.filter(({ phase }) => phase !== 'failed');
  const move = live.find(({ asked }) => asked !== null) ?? live[0] ?? own[0];
  return move === undefined ? null : { sector: SectorName.parse(`s-${move.miner}-${move.number}`), to: move.to, step: move.phase };
}

/** Throws 404 where no runner has it and no sector is in it. */
function known(ctx: Context, id: string): StorageView[] {
  const paths = shown(ctx, id);
  if (paths.length === 0 && ctx.tx.countSectorsIn(id) === 0) throw notFound(`storage ${id}`);
  return paths;
}

/** Does that to a storage; answers its paths as they are then. Throws 404 where there is none, 403 for a token of some miners. */
function changed(c: Call<Env>, id: string, act: (ctx: Context, id: string, principal: Principal) => void): Promise<StorageView[]> {
  const principal = c.get('principal');
  wholeOnly(principal);
  return c.var.door.run((ctx) => {
    known(ctx, id);
    act(ctx, id, principal);
    return known(ctx, id);
  });
}

export function storageRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  app.openapi(
    operation(parts, {
      method: 'get',
      path: '/v1/storage',
      who: 'viewer',
      summary: 'Paths of miner storage: room, rules, what stands against each',
      answer: Items,
    }),
    async (c) => {
      wholeOnly(c.get('principal'));
      return c.json({ items: await c.var.door.run((ctx) => shown(ctx)) }, 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'get',
      path: '/v1/storage/sectors/{sector}',
      who: 'viewer',
      summary: "Where a sector's files are, and how they were found when they were last read",
      params: z.object({ sector: SectorName }),
      answer: StoredSectorView,
    }),
    async (c) => {
      const principal = c.get('principal');
      const { sector } = c.req.valid('param');
      const found = await c.var.door.run((ctx) => {
        const named = parseSectorName(sector);
        const miner = asConfigured(ctx, named.miner);
        const stored = mayMiner(principal, miner) ? ctx.tx.storedSector(miner, named.number) : undefined;
        const files = stored?.record.files ?? null;
        if (stored === undefined || files === null) throw notFound(`stored sector ${sector}`);
        const { checkedMs, damage, declared } = stored;
        const move = ctx.tx.storageMove(miner, named.number);
        const moving = move === undefined ? null : moveView(move);
        return { sector, miner, ...files, checkedMs, damage: [...damage], declared, moving };
      });
      return c.json(found, 200);
    },
  );
  for (const [name, cordoned, summary] of [
    ['cordon', true, 'Put no new sectors there; those that are there stay and are used'],
    ['uncordon', false, 'Let new sectors in again, and end a drain'],
  ] as const) {
    app.openapi(
      operation(parts, {
        method: 'post',
        path: `/v1/storage/{id}/${name}`,
        who: 'operator',
        summary,
        params: Id,
        body: Nothing,
        bodyOptional: true,
        answer: Items,
      }),
      async (c) => {
        const items = await changed(c, c.req.valid('param').id, (ctx, id, principal) => {
          setCordoned(ctx, id, cordoned, principal);
          if (!cordoned) stopDraining(ctx, id, principal);
        });
        return c.json({ items }, 200);
      },
    );
  }
  app.openapi(
    operation(parts, {
      method: 'post',
      path: '/v1/storage/{id}/drain',
      who: 'operator',
      summary: 'Move its sectors to other paths of its runner, one after another, and put no new ones there',
      params: Id,
      body: Drain,
      bodyOptional: true,
      answer: Items,
    }),
    async (c) => {
      const force = c.req.valid('json').force === true;
      const items = await changed(c, c.req.valid('param').id, (ctx, id, principal) => drain(ctx, id, principal, force));
      return c.json({ items }, 200);
    },
  );
  for (const [name, summary, ask] of [
    ['scrub', 'Read the files of all sectors there against their hashes, one after another, now instead of when it is their turn', scrub],
    ['declare', 'Tell whoever does Window PoSt of the sectors there that nobody was told of; 500 at most with one request', declareAllIn],
  ] as const) {
    app.openapi(
      operation(parts, {
        method: 'post',
        path: `/v1/storage/{id}/${name}`,
        who: 'operator',
        summary,
        once: 'body',
        params: Id,
        body: Nothing,
        bodyOptional: true,
        answer: StorageAnswer,
      }),
      async (c) => {
        const principal = c.get('principal');
        wholeOnly(principal);
        const { id } = c.req.valid('param');
        const asked = (ctx: Context): StorageAnswer => {
          known(ctx, id);
          const sectors = ask(ctx, id);
          did(ctx, principal, `storage.${name}`, { storage: id, sectors });
          return { storage: id, sectors };
        };
        return c.json(await c.var.door.run((ctx) => once(ctx, c, () => asked(ctx))), 200);
      },
    );
  }
}

function scrub(ctx: Context, id: string): number {
  ctx.signals.add('runners');
  return ctx.tx.checkAllIn(id);
}
