/** A proxy in front of the control plane or the dev chain that can hold requests back, so that a test acts in between. */
import { type IncomingMessage, type Server, createServer, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Held = {
  /** Resolves when a request is held. */
  readonly reached: Promise<void>;
  /** Lets it, and all later ones, through. */
  release(): void;
};

type Wanted = (request: { readonly method: string; readonly path: string; readonly body: string }) => boolean;

/** Passes everything on to `target` but for what is held. */
export class HoldingProxy {
  readonly #server: Server;
  #hold: { wanted: Wanted; reached: () => void; released: Promise<void> } | undefined;
  /** Set once what stands behind it has its port. */
  target = '';

  private constructor() {
    this.#server = createServer((request, response) => {
      void this.#pass(request)
        .then((answer) => {
          response.writeHead(answer.status, answer.headers);
          response.end(answer.body);
        })
        .catch(() => response.destroy());
    });
  }

  static async listen(): Promise<HoldingProxy> {
    const proxy = new HoldingProxy();
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Holds the next request that `wanted` names, and those after it, until released. */
  hold(wanted: Wanted): Held {
    const reached = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    this.#hold = { wanted, reached: reached.resolve, released: released.promise };
    return {
      reached: reached.promise,
      release: () => {
        this.#hold = undefined;
        released.resolve();
      },
    };
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #pass(request: IncomingMessage): Promise<{ status: number; headers: IncomingMessage['headers']; body: Buffer }> {
    const body = await whole(request);
    const about = { method: request.method ?? '', path: request.url ?? '', body: body.toString('latin1') };
    const hold = this.#hold;
    if (hold?.wanted(about) === true) {
      hold.reached();
      await hold.released;
    }
    const { hostname, port } = new URL(this.target);
    const headers = { ...request.headers, host: `${hostname}:${port}`, 'content-length': String(body.length) };
    delete headers['transfer-encoding'];
    return new Promise((resolve, reject) => {
      const out = send({ hostname, port, method: about.method, path: about.path, headers }, (answer) => {
        whole(answer).then((bytes) => resolve({ status: answer.statusCode ?? 502, headers: answer.headers, body: bytes }), reject);
      });
      out.once('error', reject);
      out.end(body);
    });
  }
}

async function whole(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
