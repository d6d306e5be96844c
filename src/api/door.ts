/** The one door to the engine: commits, then wakes whoever waits for what changed. */
import type { Context, Settings, Signal } from '../scheduler/context.ts';
import type { Clock, Ids, Store } from '../scheduler/ports.ts';
import { MOST_LOOKING, Waiting, type Woken } from './waiting.ts';

export type Door = {
  /** Runs `fn` in a transaction of the store; resolves when it is durable. `request`: what its events say brought them about. */
  run<T>(fn: (ctx: Context) => T extends PromiseLike<unknown> ? never : T, request?: string): Promise<T>;
  /** Resolves at the next change of that kind, or when `abort` fires. Ask before you read, lest you miss one. */
  changed(signal: Signal, abort: AbortSignal): Promise<void>;
  /** The same for several kinds. Of those that wait for a stage a few are woken at a time: each hands it to `passOn`, once. */
  oneOf(signals: readonly Signal[], abort: AbortSignal): Promise<Woken | undefined>;
  /** It has looked, and took something or nothing: wakes as many as there are stages of that kind left. Never rejects. */
  passOn(woken: Woken | undefined, took: boolean): Promise<void>;
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
    async passOn(woken, took) {
      if (woken?.stage === undefined) return;
      const { stage } = woken;
      waiting.looked(woken, took);
      // A store that cannot be read has woken nobody; who polls anew looks for itself.
      const left = await run((ctx) => ctx.tx.countForRunner(stage, MOST_LOOKING)).catch(() => 0);
      waiting.passOn(woken, left);
    },
  };
}

/** The same door, for one request: whatever it changes says so. */
export function doorOf(door: Door, request: string): Door {
  return { ...door, run: (fn) => door.run(fn, request) };
}
