/** PUTs one part of a file, read in slices as the connection takes them: `fetch` would want it whole in memory. */
import { type Agent, type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { pause } from './lanes.ts';

/** The answer's status, its body's beginning, and its ETag. */
export type PutAnswer = { readonly status: number; readonly body: string; readonly etag: string | undefined };

const MAX_BODY_CHARS = 16 * 1024;

/** Of the body, what a server may want to see before it looks at the head: fasthttp does, which is under versitygw. */
const FIRST_BYTES = 8 * 1024;

/** `hearMs`: so long an answer is waited for after the head and the first few bytes, before the rest follows; by default not at all. */
export type PutBy = { readonly agent: Agent; readonly signal: AbortSignal; readonly hearMs?: number };

/**
 * Sends `sizeBytes` bytes: `next` gives them slice by slice, each of which may be reused once the following one is asked for. An
 * answer that comes before all is sent is the answer. Rejects when the connection breaks, or with the signal's reason: also where a
 * server answers and closes in the middle of the body, which takes the answer away; with `hearMs` it is heard.
 */
export async function putPart(
  url: string,
  headers: Readonly<Record<string, string>>,
  sizeBytes: number,
  next: (from: number) => Promise<Buffer>,
  { hearMs = 0, ...by }: PutBy,
): Promise<PutAnswer> {
  by.signal.throwIfAborted();
  const ask = url.startsWith('https:') ? httpsRequest : httpRequest;
  const request = ask(url, { method: 'PUT', headers: { ...headers, 'content-length': String(sizeBytes) }, ...by });
  let over = false;
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    request
      .once('response', resolve)
      .once('error', reject)
      .once('close', () => reject(new Error('the connection was closed')));
  }).finally(() => {
    over = true;
  });
  answered.catch(() => undefined);
  try {
    // Called with an error, too, when the request ends before it is flushed.
    const write = (bytes: Buffer): Promise<unknown> =>
      Promise.race([new Promise((resolve) => request.write(bytes, resolve)), answered.catch(() => undefined)]);
    for (let sent = 0; sent < sizeBytes && !over;) {
      const bytes = await next(sent);
      const first = sent === 0 && hearMs > 0 ? FIRST_BYTES : 0;
      sent += bytes.length;
      if (first > 0 && !over) {
        await write(bytes.subarray(0, first));
        const heard = new AbortController();
        await Promise.race([pause(hearMs, heard.signal), answered.catch(() => undefined)]);
        heard.abort();
      }
      if (!over && bytes.length > first) await write(bytes.subarray(first));
    }
    if (!over) request.end();
    const answer = await answered;
    return { status: answer.statusCode ?? 0, body: await text(answer), etag: answer.headers.etag };
  } catch (error) {
    by.signal.throwIfAborted();
    throw error;
  } finally {
    // An answer before the end leaves a connection in the middle of a body.
    if (!request.writableFinished) request.destroy();
  }
}

/** As far as it comes: after an early answer the other side may close at once. */
async function text(answer: IncomingMessage): Promise<string> {
  let body = '';
  try {
    for await (const bytes of answer) if (body.length < MAX_BODY_CHARS) body += (bytes as Buffer).toString('utf8');
  } catch {
    // The status is known.
  }
  return body;
}
