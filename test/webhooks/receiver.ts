/** Receivers of webhooks on loopback, well-behaved and not. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

export type Received = { readonly headers: Record<string, string>; readonly body: string };

export type Receiver = {
  readonly url: string;
  readonly port: number;
  /** What came in whole, in order. */
  readonly received: Received[];
  /** Requests begun, connections made. */
  readonly counts: { requests: number; connections: number };
};

export type Answer = (res: ServerResponse, req: IncomingMessage, received: Received) => void;

export const answers =
  (status: number, headers: Record<string, string> = {}): Answer =>
  (res) =>
    void res.writeHead(status, headers).end();

/** A server that answers so; it ends with the test. */
export async function receiver(answer: Answer = answers(204), host = '127.0.0.1', port = 0): Promise<Receiver> {
  const received: Received[] = [];
  const counts = { requests: 0, connections: 0 };
  const server = createServer((req, res) => {
    counts.requests += 1;
    let body = '';
    req.setEncoding('utf8');
    req.on('data', (text: string) => {
      body += text;
    });
    req.on('error', () => undefined);
    res.on('error', () => undefined);
    req.on('end', () => {
      const one = { headers: req.headers as Record<string, string>, body };
      received.push(one);
      answer(res, req, one);
    });
  });
  server.on('connection', () => {
    counts.connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port: taken } = server.address() as AddressInfo;
  return { url: `http://${host}:${taken}/hook`, port: taken, received, counts };
}

/** One byte of the answer's head, or of its body, at a time. */
export const drips =
  (part: 'head' | 'body', everyMs: number): Answer =>
  (res, req) => {
    const text = `HTTP/1.1 200 OK\r\nx-slow: ${'x'.repeat(10_000)}`;
    if (part === 'body') res.writeHead(200);
    let at = 0;
    const timer = setInterval(() => {
      if (part === 'body') res.write('x');
      else req.socket.write(text[at] ?? 'x');
      at += 1;
    }, everyMs);
    req.socket.once('close', () => clearInterval(timer));
  };

/** A body without an end, as fast as it is taken; `sent` counts its bytes. */
export const endless =
  (sent: { bytes: number }): Answer =>
  (res) => {
    const chunk = Buffer.alloc(65_536);
    res.writeHead(200);
    const more = (): void => {
      while (!res.destroyed) {
        sent.bytes += chunk.length;
        if (!res.write(chunk)) {
          res.once('drain', more);
          return;
        }
      }
    };
    more();
  };
