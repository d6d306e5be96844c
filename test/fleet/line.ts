/** HTTP connections of simulated runners: an address of their own for each hundred, as behind so many NATs. */
import { Agent, type ClientRequest, request } from 'node:http';

/** Longer than any long poll may be held. */
const SILENCE_MS = 60_000;

export type Answer = { readonly status: number; readonly body: unknown };

/** For heartbeats of a hundred runners: an agent keeps one of its own. */
const FREE_SOCKETS = 40;

/** Connections from one address. A poll has its connection to itself while it is open; heartbeats share the free ones. */
export class Line {
  readonly #target: URL;
  readonly #agent: Agent;
  readonly #localAddress: string;

  constructor(url: string, localAddress: string) {
    this.#target = new URL(url);
    this.#localAddress = localAddress;
    this.#agent = new Agent({ keepAlive: true, maxFreeSockets: FREE_SOCKETS });
  }

  /** Posts JSON; `open` holds the request while it is under way, so that it can be cut. Rejects without an answer. */
  post(path: string, token: string | undefined, body: unknown, open: Set<ClientRequest>): Promise<Answer> {
    const text = JSON.stringify(body);
    const { hostname, port } = this.#target;
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
    return new Promise((resolve, reject) => {
      const asked = request(
        { hostname, port, path, method: 'POST', headers, agent: this.#agent, localAddress: this.#localAddress, timeout: SILENCE_MS },
        (answer) => {
          let read = '';
          answer.setEncoding('utf8');
          answer.on('data', (chunk: string) => (read += chunk));
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: read === '' ? undefined : JSON.parse(read) }));
          answer.on('error', reject);
        },
      );
      open.add(asked);
      asked.on('close', () => {
        open.delete(asked);
        reject(new Error('the connection was closed'));
      });
      asked.on('timeout', () => asked.destroy());
      asked.on('error', reject);
      asked.end(text);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** An address of this machine's loopback network for the runner with this number. */
export function addressOf(runner: number): string {
  const group = Math.floor(runner / 100);
  return `127.1.${Math.floor(group / 200)}.${1 + (group % 200)}`;
}
