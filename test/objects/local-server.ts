/** A local object store behind a real HTTP server on loopback, for tests. */
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve } from '@hono/node-server';
import { type LocalObjects, openLocalObjects } from '../../src/objects/local.ts';
import { objectRoutes } from '../../src/objects/routes.ts';

export type LocalServer = { store: LocalObjects; dataDir: string; url: string; clock: { nowMs: number }; close(): Promise<void> };

export async function startLocalServer(options: { partSizeBytes?: number; minFreeBytes?: number } = {}): Promise<LocalServer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'objects-'));
  const clock = { nowMs: Date.now() };
  let url = '';
  const store = await openLocalObjects({ dataDir, publicUrl: () => url, now: () => clock.nowMs, ...options });
  const server = serve({ fetch: objectRoutes(store).fetch, port: 0, hostname: '127.0.0.1' });
  await new Promise<void>((resolve) => (server.listening ? resolve() : server.once('listening', () => resolve())));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    store,
    dataDir,
    url,
    clock,
    close: async () => {
      await new Promise((resolve) => {
        server.close(resolve);
        if ('closeAllConnections' in server) server.closeAllConnections();
      });
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
