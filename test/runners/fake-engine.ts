/** A container engine for tests of what a real one does rarely: it goes away, hangs, and refuses. */
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { Duplex } from 'node:stream';

/** How a call goes wrong: no answer, a connection that breaks, or a status. */
export type Fault = 'hang' | 'break' | number;

type Container = {
  readonly id: string;
  readonly labels: Record<string, string>;
  exitCode: number | undefined;
  readonly streams: Set<Duplex>;
  readonly waiting: Set<ServerResponse>;
};

const IMAGE = `sha256:${'a'.repeat(64)}`;

export class FakeEngine {
  readonly image = IMAGE;
  readonly containers = new Map<string, Container>();
  /** What was asked, as `POST /wait`, without versions, ids and queries. */
  readonly calls: string[] = [];
  /** Looked up for each call. */
  fault: (call: string) => Fault | undefined = () => undefined;
  /** What a container does at once, in the very moment in which its start is answered. */
  atStart: () => void = () => undefined;
  readonly #server = createServer((request, response) => void this.#answer(request, response));
  #made = 0;

  async listen(socketPath: string): Promise<void> {
    this.#server.on('upgrade', (request: IncomingMessage, socket: Duplex) => this.#attach(request, socket));
    await new Promise<void>((resolve) => this.#server.listen(socketPath, resolve));
  }

  async close(): Promise<void> {
    for (const { streams } of this.containers.values()) for (const stream of streams) stream.destroy();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  /** The only container. */
  get container(): Container | undefined {
    return [...this.containers.values()][0];
  }

  /** Breaks what is waited for and listened to. */
  breakConnections(): void {
    for (const { streams, waiting } of this.containers.values()) {
      for (const stream of streams) stream.destroy();
      for (const response of waiting) response.destroy();
      streams.clear();
      waiting.clear();
    }
  }

  /** The container writes to whoever listens. */
  write(text: string): void {
    const header = Buffer.alloc(8);
    header[0] = 1;
    header.writeUInt32BE(text.length, 4);
    for (const stream of this.container?.streams ?? []) stream.write(Buffer.concat([header, Buffer.from(text)]));
  }

  /** The container ends. */
  end(exitCode: number, container = this.container): void {
    if (container === undefined) return;
    container.exitCode = exitCode;
    for (const stream of container.streams) stream.end();
    for (const response of container.waiting) response.end(JSON.stringify({ StatusCode: exitCode }));
    container.waiting.clear();
  }

  make(labels: Record<string, string>): string {
    const id = (this.#made += 1).toString(16).padStart(64, '0');
    this.containers.set(id, { id, labels, exitCode: undefined, streams: new Set(), waiting: new Set() });
    return id;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { call, id } = this.#called(request);
    const fault = this.fault(call);
    if (fault === 'hang') return;
    if (fault === 'break') return void response.destroy();
    if (fault !== undefined) return void response.writeHead(fault).end('{"message":"so the test wants"}');
    const container = this.containers.get(id);
    const say = (body: unknown): void => void response.end(JSON.stringify(body));
    if (call === 'GET /version') return say({ ApiVersion: '1.41' });
    if (call === 'GET /info') return say({});
    if (call === 'GET /images/json') return say([{ Id: IMAGE }]);
    if (call === 'GET /containers/json') return say([...this.containers.values()].map((one) => ({ Id: one.id, Labels: one.labels })));
    if (call === 'POST /containers/create')
      return say({ Id: this.make((JSON.parse(Buffer.concat(chunks).toString()) as { Labels: Record<string, string> }).Labels) });
    if (container === undefined) return void response.writeHead(404).end('{"message":"no such container"}');
    const { exitCode } = container;
    if (call === 'GET /json') return say({ State: { Running: exitCode === undefined, Pid: 0, ExitCode: exitCode ?? 0 } });
    if (call === 'POST /wait' && exitCode === undefined) return void container.waiting.add(response);
    // Behind the answer, which is written in the next turn.
    if (call === 'POST /start') process.nextTick(() => process.nextTick(() => this.atStart()));
    if (call === 'POST /stop') this.end(143, container);
    if (call === 'POST /kill') this.end(137, container);
    if (call === 'DELETE ') {
      this.end(137, container);
      this.containers.delete(id);
    }
    return say(null);
  }

  #attach(request: IncomingMessage, socket: Duplex): void {
    const { call, id } = this.#called(request);
    const container = this.containers.get(id);
    if (this.fault(call) !== undefined || container === undefined) return void socket.destroy();
    socket.write('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
    socket.resume().on('error', () => undefined);
    container.streams.add(socket);
  }

  #called({ method, url = '' }: IncomingMessage): { call: string; id: string } {
    const [, path = ''] = /^(?:\/v[0-9.]+)?([^?]*)/.exec(url) ?? [];
    const [, id = '', rest = ''] = /^\/containers\/([0-9a-f]{64})(.*)$/.exec(path) ?? [];
    const call = `${method} ${id === '' ? path : rest}`;
    this.calls.push(call);
    return { call, id };
  }
}
