/** Serves the embedded store's signed URLs: GET of an object with ranges, PUT of a part. Mounted at the root: `app.route('/', …)`. */
import { Readable } from 'node:stream';
import { type Context, Hono } from 'hono';
import { SealpoolError, toProblem } from '../schema/problem.ts';
import type { LocalObjects } from './local.ts';
import { parseRange } from './range.ts';

/** Two parts of the usual size. */
const DRAIN_BYTES = 128 * 2 ** 20;

/**
 * Routes `/objects/*`; no bearer token is asked for, the signature is the permission. `onBroken` gets every
 * error that is no refusal, since the answer does not tell it.
 */
export function objectRoutes(store: LocalObjects, onBroken: (error: unknown) => void = () => undefined): Hono {
  const app = new Hono();
  app.put('/objects/-/uploads/:uploadId/:number', async (c) => {
    const body = c.req.raw.body;
    const bytes = body === null ? Readable.from([]) : Readable.fromWeb(body as Parameters<typeof Readable.fromWeb>[0]);
    try {
      check(store, 'PUT', c);
      const part = { sizeBytes: contentLength(c), crc32: checksum(c), bytes };
      const etag = await store.receivePart(c.req.param('uploadId'), Number(c.req.param('number')), part);
      return c.body(null, 200, { etag: `"${etag}"` });
    } catch (error) {
      await drain(bytes);
      throw error;
    }
  });
  app.get('/objects/*', async (c) => {
    check(store, 'GET', c);
    const object = await store.open(c.req.path.slice('/objects/'.length));
    const wanted = c.req.header('if-match');
    if (wanted !== undefined && wanted !== '*' && wanted !== object.etag) {
      throw new SealpoolError(
        'conflict',
        'object_changed',
        'the object under this URL is another one than before; start the download from its beginning',
      );
    }
    const headers = {
      etag: object.etag,
      'accept-ranges': 'bytes',
      'content-type': 'application/octet-stream',
      'cache-control': 'private, immutable',
    };
    const range = parseRange(c.req.header('range'), object.sizeBytes);
    if (range === 'unsatisfiable') {
      return problem(
        new SealpoolError(
          'bad_request',
          'range_unsatisfiable',
          `the object has ${object.sizeBytes} bytes and none of the range; ask for a range inside it`,
        ),
        416,
        {
          'content-range': `bytes */${object.sizeBytes}`,
        },
      );
    }
    const { from, to } = range === 'whole' ? { from: 0, to: object.sizeBytes - 1 } : range;
    const sizes = {
      'content-length': String(to - from + 1),
      ...(range === 'whole' ? {} : { 'content-range': `bytes ${from}-${to}/${object.sizeBytes}` }),
    };
    const empty = object.sizeBytes === 0 || c.req.method === 'HEAD';
    const body = empty ? null : (Readable.toWeb(object.stream(from, to)) as ConstructorParameters<typeof Response>[0]);
    return new Response(body, { status: range === 'whole' ? 200 : 206, headers: { ...headers, ...sizes } });
  });
  app.onError((error) => {
    if (!(error instanceof SealpoolError)) onBroken(error);
    return problem(error, error instanceof SealpoolError && error.code === 'object_changed' ? 412 : undefined);
  });
  return app;
}

function check(store: LocalObjects, verb: 'GET' | 'PUT', c: Context): void {
  store.checkUrl(verb, c.req.path, c.req.query('expires'), c.req.query('signature'));
}

/**
 * Reads the rest of a refused body, up to a limit: a client that is still sending when the connection closes
 * sees a broken connection and not the refusal.
 */
async function drain(bytes: Readable): Promise<void> {
  let left = DRAIN_BYTES;
  try {
    for await (const chunk of bytes) {
      left -= (chunk as Uint8Array).length;
      if (left < 0) return;
    }
  } catch {
    // The client went away, or the stream was cut off: nobody reads the refusal.
  }
}

function contentLength(c: Context): number {
  const header = c.req.header('content-length');
  if (header === undefined || !/^[0-9]{1,15}$/.test(header)) {
    throw new SealpoolError(
      'bad_request',
      'length_required',
      'a part needs a content-length header; send it with its length and not chunked',
    );
  }
  return Number(header);
}

/** The part's CRC-32 (zlib) from base64 of its four bytes, as S3 spells it. */
function checksum(c: Context): number {
  const bytes = Buffer.from(c.req.header('x-amz-checksum-crc32') ?? '', 'base64');
  if (bytes.length !== 4) {
    throw new SealpoolError(
      'bad_request',
      'checksum_required',
      'a part needs the header x-amz-checksum-crc32 (base64 of its CRC-32); send it so that damage is noticed',
    );
  }
  return bytes.readUInt32BE();
}

function problem(error: unknown, status?: number, headers: Record<string, string> = {}): Response {
  const document = toProblem(error);
  const answer = { ...document, status: status ?? document.status };
  return new Response(JSON.stringify(answer), {
    status: answer.status,
    headers: { 'content-type': 'application/problem+json', ...headers },
  });
}
