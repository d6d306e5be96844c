/**
 * Who waits for which change. A stage is for one runner, so that thousands of open polls are not all woken for it: two
 * are, in the order in which they began to wait, and while the stage is still there after one of them has looked, two
 * more. Each is woken once at most for what was queued after it began to wait; who comes later looks for itself.
 */
import type { Signal } from '../scheduler/context.ts';
import type { Stage } from '../schema/stage.ts';

const AT_A_TIME = 2;

/** What somebody was woken by. `stage`: others may wait for the same. */
export type Woken = { readonly signal: Signal; readonly stage: Stage | undefined; readonly atTurn: number };

type Waiter = { readonly since: number; wake(woken: Woken): void };

export class Waiting {
  readonly #of = new Map<Signal, Set<Waiter>>();
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

  /** Something changed: wakes all who wait for it, and for a stage the first ones. */
  tell(signal: Signal): void {
    const woken = { signal, stage: stageOf(signal), atTurn: (this.#turn += 1) };
    if (woken.stage !== undefined) {
      this.passOn(woken);
      return;
    }
    for (const waiter of this.#waiters(signal)) waiter.wake(woken);
  }

  /** Wakes the next ones of those who waited already when it was told. */
  passOn(woken: Woken): void {
    let left = AT_A_TIME;
    // In the order of their turns: behind the first that came later there is none to wake.
    for (const waiter of this.#waiters(woken.signal)) {
      if (left === 0 || waiter.since > woken.atTurn) return;
      left -= 1;
      waiter.wake(woken);
    }
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
