/** PUTs one part of a file, read in slices as the connection takes them: `fetch` would want it whole in memory. */
import { type Agent, type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { pause } from './lanes.ts';

/** The answer's status, its body's beginning, and its ETag. */
export type PutAnswer = { readonly status: number; readonly body: string; readonly etag: string | undefined };

const MAX_BODY_CHARS = 16 * 1024;

/** Of the body, what a server may want to see before it looks at the head: fasthttp does, which is under versitygw. */
const FIRST_BYTES = 8 * 1024;

/** Written at a time: few enough that a slow line takes them well within a stall's time. */
const WRITE_BYTES = 2 ** 20;

/** The answer may take so many times as long as a stall: what the kernel holds of a slow line has to go, and the store writes the part. */
const ANSWER_STALLS = 4;

export type PutBy = {
  readonly agent: Agent;
  readonly signal: AbortSignal;
  /** So long an answer is waited for after the head and the first few bytes, before the rest follows; by default not at all. */
  readonly hearMs?: number;
  /** A connection that takes no byte for so long is broken off. */
  readonly stallMs: number;
  /** Told of bytes of the body as the connection takes them. */
  readonly onSent?: (bytes: number) => void;
};

/**
 * Sends `sizeBytes` bytes: `next` gives them slice by slice, each of which may be reused once the following one is asked for. An
 * answer that comes before all is sent is the answer. Rejects when the connection breaks or stands still, or with the signal's
 * reason: also where a server answers and closes in the middle of the body, which takes the answer away; with `hearMs` it is heard.
 */
export async function putPart(
  url: string,
  headers: Readonly<Record<string, string>>,
  sizeBytes: number,
  next: (from: number) => Promise<Buffer>,
  { hearMs = 0, stallMs, onSent, ...by }: PutBy,
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
  const within = async <T>(ms: number, step: Promise<T>): Promise<T> => {
    const timer = setTimeout(() => request.destroy(new Error(`the connection stood still for ${ms / 1000} s`)), ms);
    return step.finally(() => clearTimeout(timer));
  };
  const write = async (bytes: Buffer): Promise<void> => {
    for (let from = 0; from < bytes.length && !over; from += WRITE_BYTES) {
      const some = bytes.subarray(from, from + WRITE_BYTES);
      // Called with an error, too, when the request ends before it is flushed.
      const taken = new Promise((resolve) => request.write(some, resolve));
      await within(stallMs, Promise.race([taken, answered.catch(() => undefined)]));
      if (!over) onSent?.(some.length);
    }
  };
  try {
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
      await write(bytes.subarray(first));
    }
    if (!over) request.end();
    const answer = await within(ANSWER_STALLS * stallMs, answered);
    return { status: answer.statusCode ?? 0, body: await within(stallMs, text(answer)), etag: answer.headers.etag };
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
