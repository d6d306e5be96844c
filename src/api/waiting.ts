/**
 * Who waits for which change. A stage is for one runner, so that thousands of open polls are not all woken for it: one is,
 * the one that has waited longest, and each that has looked wakes as many more as there are stages left beside those that
 * are looking. Where the first ones may not take what is there, ever more are woken, until one does. Each is woken once at
 * most for what was queued after it began to wait; who comes later looks for itself.
 */
import type { Signal } from '../scheduler/context.ts';
import type { Stage } from '../schema/stage.ts';

/** Polls that look for stages of one kind at a time: they share a transaction, and heartbeats wait for it. */
export const MOST_LOOKING = 32;

/** What somebody was woken by. `stage`: others may wait for the same. */
export type Woken = { readonly signal: Signal; readonly stage: Stage | undefined; readonly atTurn: number };

type Waiter = { readonly since: number; wake(woken: Woken): void };

/** Of one kind of stage: polls that were woken and have not passed it on yet, those in a row that took nothing, and when it was told last. */
type Looking = { count: number; fruitless: number; toldAtTurn: number };

export class Waiting {
  readonly #of = new Map<Signal, Set<Waiter>>();
  readonly #looking = new Map<Signal, Looking>();
  #turn = 0;

  /** Resolves at the next change of one of these kinds; with nothing when `abort` fires. */
  oneOf(signals: readonly Signal[], abort: AbortSignal): Promise<Woken | undefined> {
    return new Promise((resolve) => {
      const done = (woken?: Woken): void => {
        for (const signal of signals) this.#of.get(signal)?.delete(waiter);
        abort.removeEventListener('abort', aborted);
        resolve(woken);
      };
      const aborted = (): void => done();
      const waiter: Waiter = { since: (this.#turn += 1), wake: done };
      if (abort.aborted) {
        resolve(undefined);
        return;
      }
      for (const signal of signals) this.#waiters(signal).add(waiter);
      abort.addEventListener('abort', aborted, { once: true });
    });
  }

  /** Something changed: wakes all who wait for it, and for a stage the first one. */
  tell(signal: Signal): void {
    const woken = { signal, stage: stageOf(signal), atTurn: (this.#turn += 1) };
    if (woken.stage === undefined) for (const waiter of this.#waiters(signal)) waiter.wake(woken);
    else {
      this.#lookingFor(signal).toldAtTurn = woken.atTurn;
      this.#wake(woken, 1);
    }
  }

  /** One that was woken for a stage has looked. */
  looked({ signal }: Woken, took: boolean): void {
    const looking = this.#lookingFor(signal);
    looking.count -= 1;
    looking.fruitless = took ? 0 : looking.fruitless + 1;
  }

  /** So many stages wait: wakes the next ones of those who waited already when it was told last, be this one woken by an earlier word. */
  passOn(woken: Woken, left: number): void {
    const looking = this.#lookingFor(woken.signal);
    if (left === 0) looking.fruitless = 0;
    else this.#wake({ ...woken, atTurn: looking.toldAtTurn }, Math.min(MOST_LOOKING, left + looking.fruitless) - looking.count);
  }

  #wake(woken: Woken, most: number): void {
    const looking = this.#lookingFor(woken.signal);
    let left = most;
    // In the order of their turns: behind the first that came later there is none to wake.
    for (const waiter of this.#waiters(woken.signal)) {
      if (left <= 0 || waiter.since > woken.atTurn) return;
      left -= 1;
      looking.count += 1;
      waiter.wake(woken);
    }
  }

  #lookingFor(signal: Signal): Looking {
    const known = this.#looking.get(signal);
    if (known !== undefined) return known;
    const made = { count: 0, fruitless: 0, toldAtTurn: 0 };
    this.#looking.set(signal, made);
    return made;
  }

  #waiters(signal: Signal): Set<Waiter> {
    const known = this.#of.get(signal);
    if (known !== undefined) return known;
    const made = new Set<Waiter>();
    this.#of.set(signal, made);
    return made;
  }
}

function stageOf(signal: Signal): Stage | undefined {
  return signal.startsWith('stage:') ? (signal.slice('stage:'.length) as Stage) : undefined;
}
