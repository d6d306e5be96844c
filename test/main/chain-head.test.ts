/** The head of the chain in the database: the epoch now follows from it, a node that is away or a chain that jumps included. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openDoor } from '../../src/api/door.ts';
import { followHead } from '../../src/main/chain-head.ts';
import { openLog } from '../../src/main/log.ts';
import { randomIds } from '../../src/main/machine.ts';
import { DEFAULTS } from '../../src/scheduler/context.ts';
import { epochNow } from '../../src/scheduler/head.ts';
import { openNodeStore } from '../../src/store/node.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sealpool-head-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const opened = (nowMs: () => number) => {
  const store = openNodeStore({
    path: join(folder, 'sealpool.sqlite'),
    onFatal: (error) => {
      throw error;
    },
  });
  const settings = { ...DEFAULTS, network: 'dev', miners: {}, threads: [] } as const;
  return { store, door: openDoor({ store, clock: { now: nowMs }, ids: randomIds, settings }) };
};

test('is followed, extrapolated, and corrected when the chain jumps', async () => {
  let nowMs = 1_000_000;
  let epoch = 500;
  let asked = 0;
  const { store, door } = opened(() => nowMs);
  const ending = new AbortController();
  const chain = {
    network: async () => ({ epochMs: 1_000, challengeDelay: 10, name: 'dev' }),
    head: async () => {
      asked += 1;
      return { epoch };
    },
  };
  const following = followHead(door, chain, openLog('silent'), ending.signal);
  const now = () => door.run(epochNow);
  await vi.waitFor(async () => expect(await now()).toBe(500));
  nowMs += 7_999;
  expect(await now()).toBe(507);
  // Moved on by a day: the next answer of the node counts, not what would follow.
  epoch = 3_000;
  const before = asked;
  await vi.waitFor(() => expect(asked).toBeGreaterThan(before + 1), { timeout: 5_000 });
  expect(await now()).toBe(3_000);
  ending.abort();
  await following;
  store.close();
});

test('an answer that lay about while the process stood still tells of the time when it was asked for', async () => {
  let nowMs = 1_000_000;
  const { store, door } = opened(() => nowMs);
  const ending = new AbortController();
  const answers: ((head: { epoch: number }) => void)[] = [];
  const chain = {
    network: async () => ({ epochMs: 1_000, challengeDelay: 10, name: 'dev' }),
    head: () => new Promise<{ epoch: number }>((resolve) => answers.push(resolve)),
  };
  const following = followHead(door, chain, openLog('silent'), ending.signal);
  await vi.waitFor(() => expect(answers).toHaveLength(1));
  nowMs += 3_600_000;
  answers[0]?.({ epoch: 500 });
  await vi.waitFor(async () => expect(await door.run(epochNow)).toBe(500 + 3_600));
  ending.abort();
  answers[1]?.({ epoch: 4_100 });
  await following;
  store.close();
});
