/** `/readyz` on the real database, object store and a real socket: each part that fails is named, and nobody waits or floods. */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { type Server, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDoor } from '../../src/api/door.ts';
import { LotusChain } from '../../src/chain/lotus-chain.ts';
import { readiness } from '../../src/main/checks.ts';
import { openLog } from '../../src/main/log.ts';
import { randomIds } from '../../src/main/machine.ts';
import { openLocalObjects } from '../../src/objects/local.ts';
import { DEFAULTS } from '../../src/scheduler/context.ts';
import type { Store } from '../../src/scheduler/ports.ts';
import { openNodeStore } from '../../src/store/node.ts';

const LIMIT_MS = 700;

let folder: string;
let store: Store;
let chain: LotusChain;
let log: string[];
/** A node: silent, or answering every call with a head. */
let node: Server;
let silent: boolean;
let asked: number;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sealpool-ready-'));
  store = openNodeStore({ path: join(folder, 'sealpool.sqlite'), onFatal: () => undefined });
  log = [];
  silent = false;
  asked = 0;
  node = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', () => {
      asked += 1;
      if (silent) return;
      const body = JSON.stringify({ jsonrpc: '2.0', id: asked, result: { Height: 7 } });
      socket.write(
        `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
      );
      socket.end();
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => node.once('listening', resolve));
  chain = new LotusChain({ url: `http://127.0.0.1:${(node.address() as AddressInfo).port}/rpc/v1`, token: null, timeoutMs: 30_000 });
});
afterEach(async () => {
  node.close();
  await chain.close();
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

async function opened(keptMs = 0) {
  const settings = { ...DEFAULTS, network: 'dev', miners: {}, threads: [] } as const;
  const door = openDoor({ store, clock: { now: () => Date.now() }, ids: randomIds, settings });
  const objects = await openLocalObjects({ dataDir: folder, publicUrl: 'http://objects.test', minFreeBytes: 1, now: () => Date.now() });
  return readiness({
    door,
    objects,
    chain,
    hex: randomIds.hex,
    log: openLog('trace', (line) => log.push(line)),
    limitMs: LIMIT_MS,
    keptMs,
  });
}

const failed = (checks: readonly { name: string; ok: boolean; detail: string }[]): Record<string, string> =>
  Object.fromEntries(checks.filter(({ ok }) => !ok).map(({ name, detail }) => [name, detail]));

test('all is well: the database was written, the node asked, and the probe leaves nothing behind', async () => {
  const look = await opened();
  expect((await look()).map(({ name, ok }) => [name, ok])).toEqual([
    ['database', true],
    ['chain', true],
    ['objects', true],
  ]);
  expect(asked).toBe(1);
  expect(await store.commit((tx) => tx.meta('probe'))).toMatch(/^\d{13}$/);
  expect(readdirSync(join(folder, 'objects'))).toEqual([]);
  expect(readdirSync(join(folder, 'uploads'))).toEqual([]);
});

test('a chain node that is down, and one that is silent, are named within the time', async () => {
  const look = await opened();
  silent = true;
  const began = performance.now();
  expect(failed(await look())).toEqual({ chain: 'it failed (timeout)' });
  expect(performance.now() - began).toBeLessThan(LIMIT_MS * 4);
  node.close();
  await chain.close();
  chain = new LotusChain({ url: 'http://127.0.0.1:1/rpc/v1', token: null, timeoutMs: 30_000 });
  expect(failed(await (await opened())())).toEqual({ chain: expect.stringMatching(/^it failed \(\w+\)$/) });
  // The address of the node is for the log.
  expect(log.join('')).toContain('"check":"chain"');
});

test('an object folder that is gone or cannot be written is named, and heals', async () => {
  const look = await opened();
  renameSync(join(folder, 'uploads'), join(folder, 'away'));
  expect(failed(await look())).toEqual({ objects: 'it failed (ENOENT)' });
  renameSync(join(folder, 'away'), join(folder, 'uploads'));
  expect(failed(await look())).toEqual({});
  rmSync(join(folder, 'objects'), { recursive: true });
  // Not a folder any more: what a mount that failed leaves looks like this to a writer, whoever it is.
  writeFileSync(join(folder, 'objects'), '');
  expect(failed(await look())).toEqual({ objects: expect.stringMatching(/ENOTDIR|EEXIST/) });
  rmSync(join(folder, 'objects'));
  mkdirSync(join(folder, 'objects'));
  chmodSync(join(folder, 'objects'), 0o700);
  expect(failed(await look())).toEqual({});
});

test('a database that takes no write is named', async () => {
  const look = await opened();
  const other = new Database(join(folder, 'sealpool.sqlite'));
  other.exec('begin immediate');
  expect(failed(await look())).toEqual({ database: 'it failed (database_busy)' });
  other.exec('rollback');
  other.close();
  expect(failed(await look())).toEqual({});
});

test('a thousand questions at once write and ask once', async () => {
  const look = await opened(60_000);
  const answers = await Promise.all(Array.from({ length: 1_000 }, look));
  expect(new Set(answers).size).toBe(1);
  await look();
  expect(asked).toBe(1);
});
