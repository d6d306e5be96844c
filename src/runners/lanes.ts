/** Doing things side by side, and one after another. */

/**
 * Runs `work` over `items`, at most `lanes` at a time. After the first error nothing more begins, the signal
 * given to `work` is aborted, and the error is thrown once all lanes have ended.
 */
export async function inLanes<T>(
  items: readonly T[],
  lanes: number,
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const left = items.values();
  const lane = async (): Promise<void> => {
    for (const item of left) {
      either.throwIfAborted();
      await work(item, either);
    }
  };
  const fail = (error: unknown): void => failed.abort(error);
  await Promise.all(Array.from({ length: Math.min(lanes, items.length) }, () => lane().catch(fail)));
  signal.throwIfAborted();
  failed.signal.throwIfAborted();
}

/** Lets one holder in at a time, in the order of asking. */
export class Turnstile {
  #last: Promise<void> = Promise.resolve();
  #inside = 0;

  /** Whether somebody is inside or waits. */
  get busy(): boolean {
    return this.#inside > 0;
  }

  /** Runs `work` when its turn comes; rejects with the signal's reason when that comes first. */
  async pass<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    this.#inside++;
    const before = this.#last;
    let leave: () => void = () => undefined;
    this.#last = new Promise((resolve) => (leave = resolve));
    try {
      await unlessAborted(before, signal);
      return await work();
    } finally {
      this.#inside--;
      // One that gave up in the queue must not let the next in before the one ahead has left.
      void before.then(leave);
    }
  }
}

/** `promise`, or a rejection with the signal's reason when that comes first. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** Waits `ms` or until the signal; never rejects. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end, { once: true });
  });
}

/** Growing waits, doubled from `firstMs` to `lastMs`, each between half of it and all of it so that many agents do not come back as one. */
export class Backoff {
  readonly #firstMs: number;
  readonly #lastMs: number;
  #ms: number;

  constructor(firstMs: number, lastMs: number) {
    this.#firstMs = firstMs;
    this.#lastMs = lastMs;
    this.#ms = firstMs;
  }

  nextMs(): number {
    const ms = this.#ms * (0.5 + Math.random() / 2);
    this.#ms = Math.min(this.#lastMs, this.#ms * 2);
    return ms;
  }

  reset(): void {
    this.#ms = this.#firstMs;
  }
}
