/** Client data: raw bytes in, kept until a sector takes them. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context as Call } from 'hono';
import { z } from 'zod';
import type { MinerId, PieceId } from '../../schema/ids.ts';
import { SealpoolError } from '../../schema/problem.ts';
import { payloadBytes } from '../../schema/seal-proof.ts';
import type { Context, MinerSettings } from '../../scheduler/context.ts';
import type { PieceRow, Tx } from '../../scheduler/ports.ts';
import { type Principal, did } from '../auth.ts';
import { once } from '../idempotency.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';
import { PieceListQuery, PieceQuery } from '../requests.ts';
import { PieceView } from '../views.ts';
import { configuredMiner } from './sectors.ts';
import { pieceView } from './shown.ts';

/** For bodies that come without a Content-Length. */
const SizeHeader = z.object({
  'x-piece-size': z
    .string()
    .regex(/^\d{1,15}$/, "the piece's length in bytes, as a number")
    .optional()
    .describe("The piece's length in bytes: one that is too large is refused before it is sent, and one of another length is not kept"),
});

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

const otherSize = (announced: number): SealpoolError =>
  new SealpoolError(
    'bad_request',
    'piece_size_differs',
    `the piece has not the ${announced} bytes that x-piece-size announced, and nothing of it was kept; send all of it, or the header with its length`,
  );

/** The piece's length as its uploader says; undefined where that is not said. */
type Said = { readonly announced: number | undefined; readonly length: number | undefined };

function sizeIn(c: Call<Env>, header: string): number | undefined {
  const said = c.req.header(header);
  return said === undefined ? undefined : Number(said);
}

/** Passes chunks on until there are more than fit; a reader that stops early is told why. */
async function* limited(body: ReadableStream<Uint8Array>, refuse: (sizeBytes: number) => void): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0;
  for await (const chunk of body) {
    sizeBytes += chunk.length;
    refuse(sizeBytes);
    yield chunk;
  }
}

async function store(
  parts: ApiParts,
  principal: Principal,
  asked: { readonly miner: MinerId; readonly reserved: boolean },
  { announced, length }: Said,
  body: ReadableStream<Uint8Array> | null,
  onceOf: (ctx: Context, bytes: string, make: () => PieceView) => PieceView,
): Promise<PieceView> {
  const { reserved } = asked;
  const miner = configuredMiner(parts, principal, asked.miner);
  const largest = payloadBytes((parts.settings.miners[miner] as MinerSettings).sealProof);
  const declared = length ?? announced;
  if (declared !== undefined && declared > largest) throw tooLarge(miner, largest);
  if (body === null || declared === 0)
    throw new SealpoolError('bad_request', 'empty_piece', 'the piece has no bytes; send the raw bytes as the body');
  const id = await parts.door.run((ctx) => ctx.ids.next('p') as PieceId);
  const key = `pieces/${miner}/${id}`;
  const { sizeBytes, hash } = await parts.objects.put(
    key,
    limited(body, (size) => {
      if (size > largest) throw tooLarge(miner, largest);
      if (announced !== undefined && size > announced) throw otherSize(announced);
    }),
    largest,
  );
  if (sizeBytes === 0) {
    await parts.objects.delete(key);
    throw new SealpoolError('bad_request', 'empty_piece', 'the piece has no bytes; send the raw bytes as the body');
  }
  if (announced !== undefined && sizeBytes !== announced) {
    await parts.objects.delete(key);
    throw otherSize(announced);
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
      headers: SizeHeader,
      rawBody: 'application/octet-stream',
      answer: PieceView,
    }),
    async (c) => {
      const { miner, reserved = false } = c.req.valid('query');
      const [asked, said] = [
        { miner, reserved },
        { announced: sizeIn(c, 'x-piece-size'), length: sizeIn(c, 'content-length') },
      ];
      const shown = await store({ ...parts, door: c.var.door }, c.get('principal'), asked, said, c.req.raw.body, (ctx, bytes, make) =>
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
      const miner = configuredMiner(parts, c.get('principal'), typed);
      const listed = ({ tx }: { tx: Tx }) => (reserved === true ? tx.reservedPieces(miner, limit) : tx.waitingPieces(miner, limit));
      return c.json({ items: await c.var.door.run((ctx) => listed(ctx).map(pieceView)) }, 200);
    },
  );
}
