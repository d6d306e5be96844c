/** The one door to the engine: commits, then wakes whoever waits for what changed. */
import type { Context, Settings, Signal } from '../scheduler/context.ts';
import type { Clock, Ids, Store } from '../scheduler/ports.ts';

type Waiter = { readonly signal: Signal; readonly wake: () => void };

export type Door = {
  /** Runs `fn` in a transaction of the store; resolves when it is durable. `request`: what its events say brought them about. */
  run<T>(fn: (ctx: Context) => T extends PromiseLike<unknown> ? never : T, request?: string): Promise<T>;
  /** Resolves at the next change of that kind, or when `abort` fires. Ask before you read, lest you miss one. */
  changed(signal: Signal, abort: AbortSignal): Promise<void>;
};

/** A door over a store. */
export function openDoor(parts: { store: Store; clock: Clock; ids: Ids; settings: Settings }): Door {
  const waiters = new Set<Waiter>();
  const wake = (signals: ReadonlySet<Signal>): void => {
    for (const waiter of waiters) {
      if (!signals.has(waiter.signal)) continue;
      waiters.delete(waiter);
      waiter.wake();
    }
  };
  return {
    async run(fn, request) {
      const signals = new Set<Signal>();
      const result = await parts.store.commit((tx) =>
        fn({ tx, nowMs: parts.clock.now(), ids: parts.ids, settings: parts.settings, signals, request }),
      );
      if (signals.size > 0) wake(signals);
      return result;
    },
    changed(signal, abort) {
      return new Promise((resolve) => {
        const done = (): void => {
          waiters.delete(waiter);
          abort.removeEventListener('abort', done);
          resolve();
        };
        const waiter: Waiter = { signal, wake: done };
        if (abort.aborted) {
          resolve();
          return;
        }
        waiters.add(waiter);
        abort.addEventListener('abort', done, { once: true });
      });
    },
  };
}

/** The same door, for one request: whatever it changes says so. */
export function doorOf(door: Door, request: string): Door {
  return { run: (fn) => door.run(fn, request), changed: door.changed };
}
