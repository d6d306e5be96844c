/** One reader for all streams: each gets exactly what its filter lets through, in order, whenever it begins or comes back. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type EventFeed, openEventFeed } from '../../src/api/event-feed.ts';
import { audit, noteRunner } from '../../src/scheduler/happened.ts';
import type { EventFilter } from '../../src/scheduler/ports.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import { ApiWorld } from './api-world.ts';

const RUNNERS = ['r-feed001', 'r-feed002'] as RunnerId[];

let world: ApiWorld;
beforeEach(async () => {
  world = await ApiWorld.open();
});
afterEach(() => world.close());

/** Appends events, some of them of runners. */
const happen = (count: number): Promise<void> =>
  world.door.run((ctx) => {
    for (let n = 0; n < count; n += 1) {
      if (n % 3 === 0) audit(ctx, 'operator:test', 'tried', { n });
      else noteRunner(ctx, RUNNERS[n % 2] as RunnerId, 'runner_struck', 'engine', { n });
    }
  });
const newest = (): Promise<number> => world.door.run((ctx) => ctx.tx.lastEventSeq());

/** Follows until `over` fires; drops every few batches and comes back where it was. */
async function followed(feed: EventFeed, filter: EventFilter, over: AbortSignal, dropEvery: number, seen: number[]): Promise<void> {
  let at = 0;
  while (!over.aborted) {
    const stop = new AbortController();
    let batches = 0;
    for await (const { items, reached } of feed.follow(filter, at, AbortSignal.any([stop.signal, over]))) {
      seen.push(...items.map(({ seq }) => seq));
      at = reached;
      batches += 1;
      if (batches === dropEvery) stop.abort();
    }
  }
}

test('streams that drop and come back, each with its filter, miss nothing and see nothing twice', async () => {
  const feed = openEventFeed(world.door, world.ending.signal);
  const over = new AbortController();
  const filters: EventFilter[] = [
    {},
    { kinds: ['audit'] },
    { runner: RUNNERS[0] },
    { runner: RUNNERS[1], kinds: ['runner_struck'] },
    { miners: [] },
  ];
  const streams = filters.flatMap((filter, n) =>
    [1, 3, 1_000].map((drop) => {
      const seen: number[] = [];
      return { filter, seen, end: followed(feed, filter, over.signal, drop + n, seen) };
    }),
  );
  for (let round = 0; round < 200; round += 1) await happen(1 + ((round * 7) % 40));
  for (const { filter, seen } of streams) {
    const wanted = await world.door.run((ctx) => ctx.tx.eventsAfter(0, 100_000, filter).map(({ seq }) => seq));
    await vi.waitFor(() => expect(seen).toEqual(wanted));
  }
  over.abort();
  await Promise.all(streams.map(({ end }) => end));
});

test('each event is read once, however many follow; nobody following, nothing is read', async () => {
  let reads = 0;
  const counting = { ...world.door, run: ((fn) => ((reads += 1), world.door.run(fn))) as typeof world.door.run };
  const feed = openEventFeed(counting, world.ending.signal);
  const start = await newest();
  const stop = new AbortController();
  const counts = Array.from({ length: 200 }, async () => {
    let seen = 0;
    for await (const { items } of feed.follow({ kinds: ['audit'] }, start, stop.signal)) {
      seen += items.length;
      if (seen >= 10) return seen;
    }
    return seen;
  });
  for (let round = 0; round < 10; round += 1) await happen(1);
  expect(await Promise.all(counts)).toEqual(Array.from({ length: 200 }, () => 10));
  // Each of the 200 looks once at what was there before it came; besides, a few reads per event.
  expect(reads).toBeLessThan(200 * 2 + 10 * 4);
  const idle = reads;
  await happen(5);
  await newest();
  expect(reads).toBe(idle);
  stop.abort();
});
