/**
 * One reader of new events for all streams: however many follow, each event is read from the database once, and a
 * stream whose filter leaves it out costs a comparison. A stream that is behind reads pages of its own until it has
 * caught up.
 */
import type { Event } from '../schema/event.ts';
import type { EventFilter } from '../scheduler/ports.ts';
import type { Door } from './door.ts';

/** Events kept for streams that are a little behind. */
const KEPT = 2_000;
/** Events read at a time. */
const PAGE = 500;

/** What a stream is handed: events, perhaps none, and the number it has got to. */
export type Batch = { readonly items: readonly Event[]; readonly reached: number };

/** Whether the filter lets the event through: as `eventsAfter` of the store does. */
export function lets({ kinds, job, runner, miners }: EventFilter, event: Event): boolean {
  return (
    (kinds === undefined || kinds.includes(event.kind)) &&
    (job === undefined || event.job === job) &&
    (runner === undefined || event.runner === runner) &&
    (miners === undefined || (event.miner !== null && miners.includes(event.miner)))
  );
}

export type EventFeed = {
  /** Batches of the events after `seq`, as they come, until `stop` fires. */
  follow(filter: EventFilter, seq: number, stop: AbortSignal): AsyncGenerator<Batch>;
};

/** A stream that has everything up to `at`. */
type Waiter = { readonly filter: EventFilter; at: number; readonly wake: () => void };

/** A feed over the door; reads only while somebody follows. */
export function openEventFeed(door: Door, ending: AbortSignal): EventFeed {
  /** The newest events in order; empty while nobody follows. */
  let kept: Event[] = [];
  /** Everything after `from` and up to `to` is in `kept`. */
  let [from, to] = [0, 0];
  let followers = 0;
  let reading: { readonly stop: AbortController; readonly begun: Promise<void> } | undefined;
  const waiting = new Set<Waiter>();

  /** Wakes those that the events are for; the others have got as far without being woken: most streams are idle. */
  function tell(page: readonly Event[]): void {
    for (const waiter of waiting) {
      if (page.some((event) => event.seq > waiter.at && lets(waiter.filter, event))) waiter.wake();
      else waiter.at = Math.max(waiter.at, to);
    }
  }

  async function read(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      // Asked for before reading, so that no change between the two is missed.
      const changed = door.changed('events', stop);
      const page = await door.run((ctx) => ctx.tx.eventsAfter(to, PAGE)).catch(() => undefined);
      if (stop.aborted) return;
      const last = page?.at(-1);
      if (page !== undefined && last !== undefined) {
        kept = kept.length + page.length > KEPT * 2 ? [...kept, ...page].slice(-KEPT) : [...kept, ...page];
        if (kept.length <= KEPT && (kept[0]?.seq ?? 0) > from + 1) from = (kept[0]?.seq ?? 1) - 1;
        to = last.seq;
        tell(page);
      }
      if (page === undefined || page.length < PAGE) await changed;
    }
  }

  /** The first that comes begins the reading, the others wait for its beginning; where the database did not answer, the next begins. */
  async function join(): Promise<void> {
    followers += 1;
    if (reading === undefined) {
      const stop = new AbortController();
      reading = { stop, begun: begin(stop.signal) };
    }
    const mine = reading;
    await mine.begun.catch((error: unknown) => {
      if (reading === mine) reading = undefined;
      throw error;
    });
  }

  async function begin(stop: AbortSignal): Promise<void> {
    const start = await door.run((ctx) => ctx.tx.lastEventSeq());
    if (stop.aborted) return;
    [kept, from, to] = [[], start, start];
    void read(AbortSignal.any([stop, ending]));
  }

  function leave(): void {
    followers -= 1;
    if (followers > 0) return;
    reading?.stop.abort('nobody follows');
    reading = undefined;
  }

  /** Its own page: what the feed does not have any more, or not yet. */
  function behind(filter: EventFilter, seq: number): Promise<Batch> {
    return door.run((ctx) => {
      const last = ctx.tx.lastEventSeq();
      const items = ctx.tx.eventsAfter(seq, PAGE, filter);
      return { items, reached: items.length < PAGE ? Math.max(seq, last) : (items.at(-1)?.seq ?? seq) };
    });
  }

  /** Resolves when something is there for it, or when `stop` fires; answers how far it has got meanwhile. */
  async function until(filter: EventFilter, at: number, stop: AbortSignal): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiter: Waiter = { filter, at, wake: resolve };
    waiting.add(waiter);
    stop.addEventListener('abort', waiter.wake, { once: true });
    if (!stop.aborted) await promise;
    stop.removeEventListener('abort', waiter.wake);
    waiting.delete(waiter);
    return waiter.at;
  }

  return {
    async *follow(filter, seq, stop) {
      try {
        await join();
        let at = seq;
        while (!stop.aborted) {
          if (at < from) {
            const batch = await behind(filter, at);
            const moved = batch.reached > at;
            at = Math.max(at, batch.reached);
            if (moved) yield batch;
            if (moved) continue;
          } else if (at < to) {
            const items = kept.filter((event) => event.seq > at && lets(filter, event));
            at = to;
            yield { items, reached: at };
            continue;
          }
          at = await until(filter, at, stop);
        }
      } finally {
        leave();
      }
    },
  };
}
