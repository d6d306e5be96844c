/**
 * An HTTP proxy between a client and one server that breaks what passes, as the test says, request by request. It passes
 * requests on byte by byte and with their own Host header, so that signatures hold.
 */
import { type IncomingMessage, type Server, type ServerResponse, createServer, request as ask } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Fault =
  /** Answered so, after the request was read; the server never sees it. */
  | { readonly kind: 'status'; readonly status: number }
  /** The connections to both sides break after so many bytes of the request's body. */
  | { readonly kind: 'break-request'; readonly afterBytes: number }
  /** So many bytes of the answer's body arrive, then the connection breaks. */
  | { readonly kind: 'break-answer'; readonly afterBytes: number }
  /** The answer's body ends after so many bytes, and its headers say that this was all. */
  | { readonly kind: 'truncate-answer'; readonly afterBytes: number }
  /** One bit of the body differs, on the way up or down. */
  | { readonly kind: 'flip-request' | 'flip-answer'; readonly atByte: number }
  /** The server does it, and the client never hears of it. */
  | { readonly kind: 'lose-answer' }
  /** What the server answered to the same question before, where it was asked: a list or a look-up that lags behind. */
  | { readonly kind: 'stale' }
  /** Not passed on before this. */
  | { readonly kind: 'hold'; readonly until: Promise<unknown> };

export type Passed = {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly range: string | undefined;
  readonly ifMatch: string | undefined;
  readonly contentLength: number | undefined;
  readonly fault: Fault['kind'] | undefined;
  /** Bytes of body that the client sent. */
  sentBytes: number;
  /** Bytes of body that the client got. */
  answeredBytes: number;
  status: number | undefined;
};

export class FaultyProxy {
  /** Every request, in order. */
  readonly passed: Passed[] = [];
  /** What happens to a request; `time` counts those of the same method, path, upload and part. */
  fault: (about: Passed, time: number) => Fault | undefined = () => undefined;
  readonly #earlier = new Map<string, { readonly status: number; readonly headers: IncomingMessage['headers']; readonly body: Buffer }>();
  readonly #target: URL;
  readonly #server: Server;

  private constructor(target: string) {
    this.#target = new URL(target);
    this.#server = createServer((request, response) => void this.#pass(request, response));
  }

  static async start(target: string): Promise<FaultyProxy> {
    const proxy = new FaultyProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', () => resolve()));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Forgets what passed, and breaks nothing any more. */
  reset(): void {
    this.passed.length = 0;
    this.fault = () => undefined;
  }

  /** How often each part was sent. */
  partsSent(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const about of this.passed) {
      const part = partOf(about);
      if (part !== undefined) counts[part] = (counts[part] ?? 0) + 1;
    }
    return counts;
  }

  /** Bytes of bodies that clients sent and got, of all requests that the filter lets through. */
  bytes(of: (about: Passed) => boolean = () => true): { readonly sent: number; readonly got: number } {
    const passed = this.passed.filter(of);
    return {
      sent: passed.reduce((sum, { sentBytes }) => sum + sentBytes, 0),
      got: passed.reduce((sum, { answeredBytes }) => sum + answeredBytes, 0),
    };
  }

  async close(): Promise<void> {
    await new Promise((resolve) => {
      this.#server.close(resolve);
      this.#server.closeAllConnections();
    });
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    const { about, fault } = this.#look(request);
    if (fault?.kind === 'hold') await fault.until;
    if (fault?.kind === 'status') {
      request.on('data', (chunk: Buffer) => (about.sentBytes += chunk.length));
      request.resume().once('end', () => {
        about.status = fault.status;
        response.writeHead(fault.status, { 'content-length': 0 }).end();
      });
      return;
    }
    const earlier = fault?.kind === 'stale' ? this.#earlier.get(questionOf(about)) : undefined;
    if (earlier !== undefined) {
      request.resume();
      about.status = earlier.status;
      response.writeHead(earlier.status, earlier.headers).end(earlier.body);
      return;
    }
    const { hostname, port } = this.#target;
    const on = ask({ hostname, port, method: request.method, path: request.url, headers: request.headers, agent: false }, (answer) =>
      this.#answer(about, fault, answer, response),
    );
    on.on('error', () => response.destroy());
    let sent = 0;
    request.on('data', (chunk: Buffer) => {
      const from = sent;
      sent += chunk.length;
      about.sentBytes = sent;
      if (fault?.kind === 'break-request' && sent > fault.afterBytes) {
        on.destroy();
        request.destroy();
        return;
      }
      if (!on.write(fault?.kind === 'flip-request' ? flipped(chunk, fault.atByte - from) : chunk)) {
        request.pause();
        on.once('drain', () => request.resume());
      }
    });
    request.once('end', () => on.end());
  }

  #look(request: IncomingMessage): { about: Passed; fault: Fault | undefined } {
    const { pathname, searchParams } = new URL(request.url as string, this.#target);
    const { range, 'if-match': ifMatch, 'content-length': length } = request.headers;
    const about = {
      method: request.method as string,
      path: pathname,
      query: searchParams,
      range,
      ifMatch,
      contentLength: length === undefined ? undefined : Number(length),
      fault: undefined,
      sentBytes: 0,
      answeredBytes: 0,
      status: undefined,
    };
    const alike = (one: Passed): boolean =>
      one.method === about.method &&
      one.path === pathname &&
      ['partNumber', 'uploadId'].every((name) => one.query.get(name) === searchParams.get(name));
    const fault = this.fault(about, this.passed.filter(alike).length + 1);
    const kept: Passed = { ...about, fault: fault?.kind };
    this.passed.push(kept);
    return { about: kept, fault };
  }

  /** Keeps the first answer to a question about a list or an object's head. */
  #remember(about: Passed, answer: IncomingMessage): void {
    const question = questionOf(about);
    const small = about.method === 'HEAD' || (about.method === 'GET' && about.query.size > 1 && about.range === undefined);
    if (!small || this.#earlier.has(question)) return;
    const { statusCode: status = 0, headers } = answer;
    const chunks: Buffer[] = [];
    answer.on('data', (chunk: Buffer) => chunks.push(chunk));
    answer.once('end', () => {
      if (!this.#earlier.has(question)) this.#earlier.set(question, { status, headers, body: Buffer.concat(chunks) });
    });
  }

  #answer(about: Passed, fault: Fault | undefined, answer: IncomingMessage, response: ServerResponse): void {
    about.status = answer.statusCode;
    answer.on('error', () => response.destroy());
    if (fault?.kind === 'lose-answer') {
      answer.resume().once('end', () => response.destroy());
      return;
    }
    const headers = { ...answer.headers };
    if (fault?.kind === 'truncate-answer') headers['content-length'] = String(fault.afterBytes);
    response.writeHead(answer.statusCode as number, headers);
    this.#remember(about, answer);
    let got = 0;
    answer.on('data', (chunk: Buffer) => {
      const from = got;
      got += chunk.length;
      const limit = fault?.kind === 'break-answer' || fault?.kind === 'truncate-answer' ? fault.afterBytes - from : chunk.length;
      const rest = chunk.subarray(0, Math.max(0, limit));
      about.answeredBytes += rest.length;
      if (!response.write(fault?.kind === 'flip-answer' ? flipped(rest, fault.atByte - from) : rest)) {
        answer.pause();
        response.once('drain', () => answer.resume());
      }
      if (limit >= chunk.length) return;
      answer.destroy();
      if (fault?.kind === 'truncate-answer') response.end();
      // Only once the bytes before it are on their way.
      else response.write('', () => response.destroy());
    });
    answer.once('end', () => response.end());
  }
}

/** The number of the part that a request sends, in either store's URLs. */
export function partOf({ method, query, path }: Passed): string | undefined {
  if (method !== 'PUT') return undefined;
  return query.get('partNumber') ?? /\/uploads\/[0-9a-f]+\/([0-9]+)$/.exec(path)?.[1];
}

function questionOf({ method, path, query }: Passed): string {
  const asked = [...query].filter(([name]) => !name.startsWith('X-Amz-')).sort();
  return JSON.stringify([method, path, asked]);
}

function flipped(chunk: Buffer, at: number): Buffer {
  if (at < 0 || at >= chunk.length) return chunk;
  const copy = Buffer.from(chunk);
  copy[at] = (copy[at] as number) ^ 1;
  return copy;
}
