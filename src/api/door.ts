/** The one door to the engine: commits, then wakes whoever waits for what changed. */
import type { Context, Settings, Signal } from '../scheduler/context.ts';
import type { Clock, Ids, Store } from '../scheduler/ports.ts';
import { Waiting, type Woken } from './waiting.ts';

export type Door = {
  /** Runs `fn` in a transaction of the store; resolves when it is durable. `request`: what its events say brought them about. */
  run<T>(fn: (ctx: Context) => T extends PromiseLike<unknown> ? never : T, request?: string): Promise<T>;
  /** Resolves at the next change of that kind, or when `abort` fires. Ask before you read, lest you miss one. */
  changed(signal: Signal, abort: AbortSignal): Promise<void>;
  /** The same for several kinds. Of those that wait for a stage a few are woken at a time: who was, hands it to `passOn`. */
  oneOf(signals: readonly Signal[], abort: AbortSignal): Promise<Woken | undefined>;
  /** Wakes the next ones if a stage of that kind still waits. Never rejects. */
  passOn(woken: Woken | undefined): Promise<void>;
};

/** A door over a store. */
export function openDoor(parts: { store: Store; clock: Clock; ids: Ids; settings: Settings }): Door {
  const waiting = new Waiting();
  const run: Door['run'] = async (fn, request) => {
    const signals = new Set<Signal>();
    const result = await parts.store.commit((tx) =>
      fn({ tx, nowMs: parts.clock.now(), ids: parts.ids, settings: parts.settings, signals, request }),
    );
    for (const signal of signals) waiting.tell(signal);
    return result;
  };
  return {
    run,
    changed: async (signal, abort) => void (await waiting.oneOf([signal], abort)),
    oneOf: (signals, abort) => waiting.oneOf(signals, abort),
    async passOn(woken) {
      if (woken?.stage === undefined) return;
      const { stage } = woken;
      // A store that cannot be read has woken nobody; who polls anew looks for itself.
      const waits = await run((ctx) => ctx.tx.jobsForRunner([stage], 1).length > 0).catch(() => false);
      if (waits) waiting.passOn(woken);
    },
  };
}

/** The same door, for one request: whatever it changes says so. */
export function doorOf(door: Door, request: string): Door {
  return { ...door, run: (fn) => door.run(fn, request) };
}
