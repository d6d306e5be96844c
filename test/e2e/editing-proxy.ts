/** A proxy in front of the control plane that changes what comes back, as something on the way might. */
import { type Server, createServer, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Passes all on to `target`; answers to what `edit` knows are changed. */
export class EditingProxy {
  readonly #server: Server;
  /** Set once what stands behind it has its port. */
  target = '';
  edit: (path: string, bytes: Buffer) => Buffer = (_, bytes) => bytes;

  private constructor() {
    this.#server = createServer((request, response) => {
      const { method, url = '', headers } = request;
      const sent = send(`${this.target}${url}`, { method, headers }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (bytes: Buffer) => chunks.push(bytes));
        answer.on('end', () => {
          response.writeHead(answer.statusCode ?? 502, answer.headers);
          response.end(this.edit(url, Buffer.concat(chunks)));
        });
      });
      sent.on('error', () => response.destroy());
      response.on('close', () => sent.destroy());
      request.pipe(sent);
    });
  }

  static async listen(): Promise<EditingProxy> {
    const proxy = new EditingProxy();
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
