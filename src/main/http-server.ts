/** An HTTP server on one address: says plainly when the port is taken, gives up senders that vanished, and ends without cutting answers off. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { SealpoolError } from '../schema/problem.ts';
import { BODY_IDLE_MS, giveUpIdle } from './idle-bodies.ts';

export type RunningServer = {
  /** The port it got. */
  readonly port: number;
  /** Takes no new request, lets running ones end for at most `graceMs`, then cuts them off. */
  close(graceMs: number): Promise<void>;
};

/** Longer than any client keeps a pooled connection, so that none is closed under a request. */
const KEEP_ALIVE_MS = 75_000;

/** A connection without a byte for so long is asked by the system whether the other end is there still. */
const PROBE_MS = 60_000;

/** Connections that may wait to be taken, as far as the system allows: thousands of runners come back within a second. */
const BACKLOG = 4096;

export type Handler = (request: Request) => Response | Promise<Response>;

export type ListenOptions = {
  /** A connection was taken. */
  readonly onConnection?: () => void;
  /** How long a body may bring nothing before its sender is given up; a minute unless a test says otherwise. */
  readonly bodyIdleMs?: number;
};

/** Serves `fetch`; rejects with `port_in_use` or `cannot_listen`. */
export function listen(fetch: Handler, hostname: string, port: number, options: ListenOptions = {}): Promise<RunningServer> {
  const { onConnection = () => undefined, bodyIdleMs = BODY_IDLE_MS } = options;
  return new Promise((resolve, reject) => {
    const serverOptions = { keepAlive: true, keepAliveInitialDelay: PROBE_MS };
    const server = createAdaptorServer({ fetch, hostname, serverOptions }) as Server;
    server.on('connection', onConnection);
    // Before whoever answers: its first byte may never come.
    server.prependListener('request', giveUpIdle(bodyIdleMs));
    server.listen({ host: hostname, port, backlog: BACKLOG }, () =>
      resolve({ port: (server.address() as AddressInfo).port, close: (graceMs) => close(server, graceMs) }),
    );
    // A piece of 32 GiB takes longer than Node's five minutes for a request; bodies may not stand still instead.
    server.requestTimeout = 0;
    server.keepAliveTimeout = KEEP_ALIVE_MS;
    server.on('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'EADDRINUSE'
          ? new SealpoolError(
              'conflict',
              'port_in_use',
              `port ${port} of ${hostname} is in use; stop what listens there, or give another one with --port (0 for any)`,
            )
          : new SealpoolError(
              'conflict',
              'cannot_listen',
              `cannot listen on ${hostname} port ${port} (${error.code ?? error.message}); give an address of this machine with listen`,
            ),
      );
    });
  });
}

function close(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
}
