/**
 * The network between one runner and the control plane, to be cut and held at will. URLs of objects in grants lead
 * through it as well. What was held goes on late, unless who sent it has hung up.
 */
import { type IncomingMessage, type Server, type ServerResponse, createServer, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { NextAnswer, NextRequest } from '../../src/schema/runner.ts';

/** A moment of a stage, as its traffic shows it. */
export type Moment = 'fetching' | 'sending' | 'reporting';

type Passing = { readonly method: string; readonly path: string; readonly body: Buffer };

const NEXT = '/v1/runners/self/next';

export class RunnerProxy {
  readonly #server: Server;
  readonly #target: URL;
  #cut: PromiseWithResolvers<void> | undefined;
  #held: { readonly at: string; readonly reached: () => void; readonly released: PromiseWithResolvers<void> } | undefined;
  /** By attempt, and by the URLs of its files: which stage it is. */
  readonly #stages = new Map<string, string>();
  /** What the runner last said of itself. */
  said: Pick<NextRequest, 'bootId' | 'running' | 'resources'> | undefined;
  /** What its reports were answered, by attempt. */
  readonly answers = new Map<string, string[]>();

  private constructor(target: string) {
    this.#target = new URL(target);
    this.#server = createServer((request, response) => void this.#pass(request, response).catch(() => response.destroy()));
  }

  static async listen(target: string): Promise<RunnerProxy> {
    const proxy = new RunnerProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Nothing arrives any more, in either direction. */
  cut(): void {
    this.#cut ??= Promise.withResolvers<void>();
  }

  mend(): void {
    this.#cut?.resolve();
    this.#cut = undefined;
  }

  /** Holds what the runner sends at that moment of that stage, until released; resolves when something is held. */
  hold(stage: string, moment: Moment): Promise<void> {
    const reached = Promise.withResolvers<void>();
    this.#held = { at: `${moment} ${stage}`, reached: reached.resolve, released: Promise.withResolvers<void>() };
    return reached.promise;
  }

  release(): void {
    this.#held?.released.resolve();
    this.#held = undefined;
  }

  async close(): Promise<void> {
    this.mend();
    this.release();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const passing = { method: request.method ?? '', path: request.url ?? '', body: await whole(request) };
    const held = this.#held;
    if (held !== undefined && this.#momentsOf(passing).includes(held.at)) {
      held.reached();
      await held.released.promise;
    }
    await this.#cut?.promise;
    gone.signal.throwIfAborted();
    const answer = await this.#forward(passing, request.headers, gone.signal);
    await this.#cut?.promise;
    const body = passing.path === NEXT ? this.#read(passing, answer.body) : answer.body;
    response.writeHead(answer.status, { ...answer.headers, 'content-length': String(body.length) });
    response.end(body);
  }

  #momentsOf({ method, path, body }: Passing): string[] {
    if (path !== NEXT) return [`${method === 'GET' ? 'fetching' : 'sending'} ${this.#stages.get(path)}`];
    const { reports } = JSON.parse(body.toString()) as NextRequest;
    return reports.map(({ attempt }) => `reporting ${this.#stages.get(attempt)}`);
  }

  #forward({ method, path, body }: Passing, sent: IncomingMessage['headers'], gone: AbortSignal) {
    const { hostname, port, host } = this.#target;
    const headers: IncomingMessage['headers'] = { ...sent, host, 'content-length': String(body.length) };
    delete headers['transfer-encoding'];
    return new Promise<{ status: number; headers: IncomingMessage['headers']; body: Buffer }>((resolve, reject) => {
      const out = send({ hostname, port, method, path, headers, signal: gone }, (answer) => {
        const { 'transfer-encoding': _chunked, ...kept } = answer.headers;
        whole(answer).then((bytes) => resolve({ status: answer.statusCode ?? 502, headers: kept, body: bytes }), reject);
      });
      out.once('error', reject);
      out.end(body);
    });
  }

  #read(passing: Passing, body: Buffer): Buffer {
    const { bootId, running, resources } = JSON.parse(passing.body.toString()) as NextRequest;
    this.said = { bootId, running, resources };
    const answer = JSON.parse(body.toString()) as NextAnswer;
    for (const { attempt, status } of answer.reports ?? []) this.answers.set(attempt, [...(this.answers.get(attempt) ?? []), status]);
    for (const { attempt, stage, inputs, outputs } of answer.grants ?? []) {
      const urls = [...inputs.map(({ url }) => url), ...outputs.flatMap(({ partUrls }) => partUrls)];
      for (const key of [attempt, ...urls.map((url) => url.slice(this.#target.origin.length))]) this.#stages.set(key, stage);
    }
    return Buffer.from(body.toString().replaceAll(this.#target.origin, this.url));
  }
}

async function whole(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
