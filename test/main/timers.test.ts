/** What a process that is too busy owes its runners: their heartbeats wait in its queues while their leases run out. */
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Door } from '../../src/api/door.ts';
import { runTicks } from '../../src/main/timers.ts';
import { openLog } from '../../src/main/log.ts';
import { pledge } from '../../src/scheduler/pledge.ts';
import type { Job } from '../../src/schema/job.ts';
import { MINER, World } from '../scheduler/world.ts';

/**
 * One stage under a lease of 20 s, and ticks that come `lateMs` later than they asked for, every time, for `forMs`; `crowded`: all
 * the while connections wait to be taken.
 */
async function afterTicks({ lateMs = 0, crowded = false, forMs = 120_000 }): Promise<string> {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const world = new World({ leaseMs: 20_000, heartbeatMs: 7_000 });
  onTestFinished(() => world.close());
  await world.start();
  const runner = await world.register('own-1');
  const [job] = await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1 }, 'test'));
  for (const effect of await world.effects()) await world.perform(effect);
  expect(await world.grant(runner.id)).toHaveLength(1);
  const ending = new AbortController();
  const beganMs = world.nowMs;
  const door = {
    run: async (fn: Parameters<typeof world.run>[0]) => {
      const answer = await world.run(fn);
      if (world.nowMs - beganMs > forMs) ending.abort();
      return answer;
    },
  };
  const clock = { elapsedMs: () => world.nowMs, crowdedMs: () => (crowded ? world.nowMs - beganMs : 0) };
  const ticks = runTicks(door as unknown as Door, openLog('silent'), ending.signal, clock);
  while (!ending.signal.aborted) {
    // What the ticks wait for, and then what the process had to do first.
    while (vi.getTimerCount() === 0 && !ending.signal.aborted) await new Promise(setImmediate);
    world.nowMs += 500 + lateMs;
    await vi.advanceTimersToNextTimerAsync();
  }
  await ticks;
  return (await world.job((job as Job).id)).waiting.for;
}

test('while ticks come in time, a lease without heartbeats ends', async () => {
  expect(await afterTicks({})).toBe('runner');
});

test('no lease ends while ticks come seconds late', async () => {
  expect(await afterTicks({ lateMs: 8_000 })).toBe('stage');
});

test('no lease ends while connections wait to be taken, for some minutes', async () => {
  expect(await afterTicks({ crowded: true })).toBe('stage');
  expect(await afterTicks({ crowded: true, forMs: 240_000 })).toBe('runner');
});
