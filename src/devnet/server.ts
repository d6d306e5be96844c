/**
 * HTTP: `POST /rpc/v1` (Lotus JSON-RPC), `POST /control`, both with the bearer token, and
 * `GET /messages` (public, as everything on a chain): one JSON line per message ever pushed.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { stream } from 'hono/streaming';
import { control, ControlRefused } from './control.ts';
import { everyMessage, type MessageRow } from './messages.ts';
import { dispatch } from './rpc/dispatch.ts';
import type { RpcContext } from './rpc/method.ts';

/** Twice what a full message needs in JSON; batches of them are not sent. */
const MAX_BODY_BYTES = 2 ** 20;

/** The dev chain's routes. */
export function devnetApp(context: RpcContext, token: string): Hono {
  const app = new Hono();
  const tokenDigest = sha256(`Bearer ${token}`);
  app.use(bodyLimit({ maxSize: MAX_BODY_BYTES }));
  app.get('/messages', (c) => {
    c.header('content-type', 'application/x-ndjson');
    return stream(c, async (out) => {
      for (const row of everyMessage(context.ledger)) await out.write(`${JSON.stringify(messageLine(row))}\n`);
    });
  });
  app.use(async (c, next) => {
    // Digests are compared, so that neither time nor length tells about the token.
    if (timingSafeEqual(sha256(c.req.header('authorization') ?? ''), tokenDigest)) return next();
    return c.json({ error: 'the bearer token is missing or wrong; it stands in devnet.token in the data folder' }, 401);
  });
  app.post('/rpc/v1', async (c) => c.json((await dispatch(context, await c.req.text())) as object));
  app.post('/control', async (c) => {
    const text = await c.req.text();
    try {
      return c.json((await control(context.ledger, context.producer, JSON.parse(text))) as object);
    } catch (error) {
      if (error instanceof ControlRefused) return c.json({ error: error.message }, 400);
      if (error instanceof SyntaxError) return c.json({ error: 'the body is not JSON; send an object such as {"advance":1}' }, 400);
      throw error;
    }
  });
  return app;
}

function messageLine(row: MessageRow): unknown {
  const { Message: message } = row.signed;
  return {
    cid: row.cid,
    from: row.sender,
    to: message.To,
    nonce: row.nonce,
    value: message.Value,
    method: message.Method,
    params: message.Params,
    // In a tipset, but not executed yet: nothing came of it so far.
    state: row.state === 'included' ? 'pending' : row.state,
    exitCode: row.exitCode,
    epoch: row.state === 'included' ? null : row.epoch,
    reason: row.reason ?? '',
  };
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
