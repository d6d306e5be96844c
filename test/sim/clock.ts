/**
 * Virtual time. Timers of the whole process (the effects' too) fire in order of their time, each only when
 * everything the one before set in motion has come to rest.
 */
import { setImmediate } from 'node:timers';

type Timer = { readonly atMs: number; readonly order: number; readonly fn: () => void; cleared: boolean };

/** Unix milliseconds at which every seed begins. */
export const BEGIN_MS = 1_800_000_000_000;

export class VirtualClock {
  nowMs = BEGIN_MS;
  /** Work under way that no timer of ours will end: transactions in the queue of the store. */
  busy = 0;
  /** Of the time that passed, what passed in one jump. */
  stalledMs = 0;
  /** Timers fired. */
  steps = 0;
  #heap: Timer[] = [];
  #order = 0;

  now(): number {
    return this.nowMs;
  }

  at(ms: number, fn: () => void): Timer {
    const timer = { atMs: this.nowMs + Math.max(0, ms), order: (this.#order += 1), fn, cleared: false };
    const heap = this.#heap;
    let place = heap.push(timer) - 1;
    while (place > 0) {
      const above = (place - 1) >> 1;
      if (!before(timer, heap[above] as Timer)) break;
      heap[place] = heap[above] as Timer;
      place = above;
    }
    heap[place] = timer;
    return timer;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.at(ms, resolve));
  }

  /** As `sleep`, or until the signal aborts. */
  nap(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted || ms <= 0) {
        resolve();
        return;
      }
      const done = (): void => {
        timer.cleared = true;
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = this.at(ms, done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  /** Fires the earliest timer; false when there is none. */
  fire(): boolean {
    for (;;) {
      const timer = this.#pop();
      if (timer === undefined) return false;
      if (timer.cleared) continue;
      this.nowMs = Math.max(this.nowMs, timer.atMs);
      this.steps += 1;
      timer.fn();
      return true;
    }
  }

  /** Resolves when nothing moves any more without time passing. */
  async rest(): Promise<void> {
    do {
      await new Promise<void>((resolve) => void setImmediate(resolve));
    } while (this.busy > 0);
  }

  /** Time passes and nothing fires: the machine was suspended. What became due meanwhile comes late. */
  stall(ms: number): void {
    this.nowMs += ms;
    this.stalledMs += ms;
  }

  /** Forgets all timers: what a world that is over had still planned. */
  clear(): void {
    this.#heap = [];
  }

  /** Makes the process's own timers virtual; answers how to undo it. */
  install(): () => void {
    const { setTimeout: realSet, clearTimeout: realClear } = globalThis;
    globalThis.setTimeout = ((fn: () => void, ms = 0) => this.at(ms, fn)) as unknown as typeof setTimeout;
    globalThis.clearTimeout = ((timer: Timer | undefined) => {
      if (timer !== undefined) timer.cleared = true;
    }) as unknown as typeof clearTimeout;
    return () => {
      globalThis.setTimeout = realSet;
      globalThis.clearTimeout = realClear;
    };
  }

  #pop(): Timer | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let place = 0;
    for (;;) {
      let child = place * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Timer, heap[child] as Timer)) child += 1;
      if (!before(heap[child] as Timer, last)) break;
      heap[place] = heap[child] as Timer;
      place = child;
    }
    heap[place] = last;
    return first;
  }
}

function before(one: Timer, other: Timer): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}
