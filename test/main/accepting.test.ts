/** Thousands of runners come back at once: their connections are taken many to a transaction, however busy the store is. */
import { mkdtempSync, rmSync } from 'node:fs';
import { type Socket, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Accepting } from '../../src/main/accepting.ts';
import { listen } from '../../src/main/http-server.ts';
import { openNodeStore } from '../../src/store/node.ts';

const CONNECTIONS = 400;

test('a transaction in every turn does not keep connections waiting', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sealpool-accepting-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const accepting = new Accepting();
  const store = openNodeStore({
    path: join(folder, 'sealpool.sqlite'),
    onFatal: (error) => {
      throw error;
    },
    holdOff: accepting.more,
  });
  onTestFinished(() => store.close());
  let taken = 0;
  const onConnection = (): void => {
    taken += 1;
    accepting.taken();
  };
  const server = await listen(() => new Response(), '127.0.0.1', 0, { onConnection });
  onTestFinished(() => server.close(0));
  const sockets: Socket[] = Array.from({ length: CONNECTIONS }, () => connect(server.port, '127.0.0.1'));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  let commits = 0;
  while (taken < CONNECTIONS) {
    await store.commit((tx) => tx.setMeta('turn', String(commits)));
    commits += 1;
  }
  expect(commits).toBeLessThan(CONNECTIONS / 10);
});

test('connections wait from the first one until a turn brings none', () => {
  let nowMs = 0;
  const accepting = new Accepting(() => nowMs);
  expect(accepting.crowdedMs()).toBe(0);
  for (; nowMs < 5_000; nowMs += 1_000) {
    accepting.taken();
    expect(accepting.crowdedMs()).toBe(nowMs);
    expect(accepting.more()).toBe(true);
  }
  expect(accepting.more()).toBe(false);
  expect(accepting.crowdedMs()).toBe(0);
});
