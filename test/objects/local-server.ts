/** A local object store behind a real HTTP server on loopback, for tests. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve } from '@hono/node-server';
import { type LocalObjects, openLocalObjects } from '../../src/objects/local.ts';
import { objectRoutes } from '../../src/objects/routes.ts';

export type LocalServer = { store: LocalObjects; dataDir: string; url: string; clock: { nowMs: number }; close(): Promise<void> };

/** Filling a disk takes a small one, and that takes the right to mount. */
export const canMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

/** `diskKiB`: the data folder is a disk of its own of that size. */
export async function startLocalServer({
  diskKiB,
  ...options
}: { partSizeBytes?: number; minFreeBytes?: number; diskKiB?: number } = {}): Promise<LocalServer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'objects-'));
  if (diskKiB !== undefined) execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskKiB}k`, 'none', dataDir]);
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
      if (diskKiB !== undefined) execFileSync('umount', [dataDir]);
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
