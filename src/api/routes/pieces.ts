/** Client data: raw bytes in, kept until a sector takes them. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { z } from 'zod';
import type { MinerId, PieceId } from '../../schema/ids.ts';
import { SealpoolError } from '../../schema/problem.ts';
import { payloadBytes } from '../../schema/seal-proof.ts';
import type { Context } from '../../scheduler/context.ts';
import type { PieceRow, Tx } from '../../scheduler/ports.ts';
import { type Principal, did, mayMiner } from '../auth.ts';
import { once } from '../idempotency.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';
import { notFound } from '../problems.ts';
import { PieceListQuery, PieceQuery } from '../requests.ts';
import { PieceView } from '../views.ts';
import { pieceView } from './shown.ts';
import { asConfigured } from './sectors.ts';

/** Smallest power of two that holds `sizeBytes` of payload after fr32 padding (127 → 128 bytes). */
export function paddedBytes(sizeBytes: number): number {
  const padded = Math.ceil(sizeBytes / 127) * 128;
  return 2 ** Math.max(7, Math.ceil(Math.log2(padded)));
}

const tooLarge = (miner: string, largest: number): SealpoolError =>
  new SealpoolError(
    'too_large',
    'piece_too_large',
    `this piece does not fit a sector of ${miner}: the largest has ${largest} bytes; split it, or send it to a miner with larger sectors`,
    { largestBytes: largest },
  );

/** Passes chunks on until there are more than fit; a reader that stops early is told why. */
async function* limited(body: ReadableStream<Uint8Array>, refuse: (sizeBytes: number) => void): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.length;
    refuse(sizeBytes);
    yield chunk;
  }
}

function limitOf(parts: ApiParts, principal: Principal, miner: MinerId): number {
  const settings = Object.hasOwn(parts.settings.miners, miner) ? parts.settings.miners[miner] : undefined;
  if (settings === undefined || !mayMiner(principal, miner)) throw notFound(`miner ${miner}`);
  return payloadBytes(settings.sealProof);
}

async function store(
  parts: ApiParts,
  principal: Principal,
  { miner, reserved }: { readonly miner: MinerId; readonly reserved: boolean },
  declared: number,
  body: ReadableStream<Uint8Array> | null,
  onceOf: (ctx: Context, bytes: string, make: () => PieceView) => PieceView,
): Promise<PieceView> {
  const largest = limitOf(parts, principal, miner);
  if (declared > largest) throw tooLarge(miner, largest);
  if (body === null || declared === 0)
    throw new SealpoolError('bad_request', 'empty_piece', 'the piece has no bytes; send the raw bytes as the body');
  const id = await parts.door.run((ctx) => ctx.ids.next('p') as PieceId);
  const key = `pieces/${miner}/${id}`;
  const { sizeBytes, hash } = await parts.objects.put(
    key,
    limited(body, (size) => {
      if (size > largest) throw tooLarge(miner, largest);
    }),
    largest,
  );
  if (sizeBytes === 0) {
    await parts.objects.delete(key);
    throw new SealpoolError('bad_request', 'empty_piece', 'the piece has no bytes; send the raw bytes as the body');
  }
  const insert = (ctx: Context): PieceView => {
    const row: PieceRow = {
      id,
      miner,
      key,
      sizeBytes: String(sizeBytes),
      hash,
      paddedSizeBytes: String(paddedBytes(sizeBytes)),
      cid: null,
      job: null,
      reserved,
      createdMs: ctx.nowMs,
    };
    ctx.tx.insertPiece(row);
    did(ctx, principal, 'piece.uploaded', { piece: id, miner, sizeBytes: row.sizeBytes, hash, reserved });
    return pieceView(row);
  };
  try {
    const shown = await parts.door.run((ctx) => onceOf(ctx, hash, () => insert(ctx)));
    // The same bytes with the same key as before: the first piece stays, these go.
    if (shown.id !== id) await parts.objects.delete(key);
    return shown;
  } catch (error) {
    // Other bytes than the key stands for: no row names them.
    if (error instanceof SealpoolError && error.code === 'idempotency_key_reused') await parts.objects.delete(key);
    throw error;
  }
}

export function pieceRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  app.openapi(
    operation(parts, {
      method: 'post',
      path: '/v1/pieces',
      who: 'operator',
      summary: 'Upload a piece: the body is its raw bytes; reserved, only a request that names it takes it',
      query: PieceQuery,
      once: 'stream',
      rawBody: 'application/octet-stream',
      answer: PieceView,
    }),
    async (c) => {
      const { miner: typed, reserved = false } = c.req.valid('query');
      const miner = asConfigured(parts, typed);
      const declared = c.req.header('content-length') ?? c.req.header('x-piece-size');
      const size = declared === undefined ? Number.NaN : Number(declared);
      const asked = { miner, reserved };
      const shown = await store({ ...parts, door: c.var.door }, c.get('principal'), asked, size, c.req.raw.body, (ctx, bytes, make) =>
        once(ctx, c, make, { streamed: bytes }),
      );
      return c.json(shown, 200);
    },
  );
  app.openapi(
    operation(parts, {
      method: 'get',
      path: '/v1/pieces',
      who: 'viewer',
      summary: 'Pieces of a miner that no sector took yet, oldest first: those any sector may take, or the reserved ones',
      query: PieceListQuery,
      answer: z.object({ items: z.array(PieceView) }),
    }),
    async (c) => {
      const { miner: typed, limit, reserved } = c.req.valid('query');
      const miner = asConfigured(parts, typed);
      limitOf(parts, c.get('principal'), miner);
      const listed = ({ tx }: { tx: Tx }) => (reserved === true ? tx.reservedPieces(miner, limit) : tx.waitingPieces(miner, limit));
      return c.json({ items: await c.var.door.run((ctx) => listed(ctx).map(pieceView)) }, 200);
    },
  );
}
