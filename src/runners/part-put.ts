/** PUTs one part of a file, read in slices as the connection takes them: `fetch` would want it whole in memory. */
import { type Agent, type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';

/** The answer's status, its body's beginning, and its ETag. */
export type PutAnswer = { readonly status: number; readonly body: string; readonly etag: string | undefined };

const MAX_BODY_CHARS = 16 * 1024;

/**
 * Sends `sizeBytes` bytes: `next` gives them slice by slice, each of which may be reused once the following one is asked for. An
 * answer that comes before all is sent is the answer. Rejects when the connection breaks, or with the signal's reason.
 */
export async function putPart(
  url: string,
  headers: Readonly<Record<string, string>>,
  sizeBytes: number,
  next: (from: number) => Promise<Buffer>,
  by: { readonly agent: Agent; readonly signal: AbortSignal },
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
    for (let sent = 0; sent < sizeBytes && !over;) {
      const bytes = await next(sent);
      sent += bytes.length;
      // Called with an error, too, when the request ends before it is flushed.
      if (!over) await Promise.race([new Promise((resolve) => request.write(bytes, resolve)), answered.catch(() => undefined)]);
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
