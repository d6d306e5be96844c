/** Token buckets: so many requests at once, so many a second on the long run. Bounded: one that was not used for long is forgotten, which fills it. */

export type Rate = {
  readonly perSecond: number;
  /** As many at once after a rest. */
  readonly burst: number;
};

export type Rates = {
  /** Of each API token. */
  readonly token: Rate;
  /** Of each runner's credential. */
  readonly runner: Rate;
  /** Of each address without a secret. */
  readonly anonymous: Rate;
  /** Wrong or missing secrets of each address. */
  readonly failed: Rate;
};

/** Far above what a script, a page or a runner needs, and far below what harms others. */
export const USUAL_RATES: Rates = {
  token: { perSecond: 200, burst: 1_000 },
  runner: { perSecond: 100, burst: 400 },
  anonymous: { perSecond: 100, burst: 1_000 },
  failed: { perSecond: 0.5, burst: 60 },
};

/** What a bucket said to one request. */
export type Taken = {
  readonly passed: boolean;
  readonly burst: number;
  /** Whole requests left. */
  readonly left: number;
  /** Until one more passes; 0 where one does now. */
  readonly waitMs: number;
  /** Until the bucket is full. */
  readonly fullMs: number;
};

/**
 * A map that holds at most `most` entries; those that were not used for a while go first. In two halves: when the young one
 * is full it becomes the old one, and what was not asked for since is dropped as a whole, which costs the same for any size.
 */
export class Recent<V> {
  readonly #half: number;
  #young = new Map<string, V>();
  #old = new Map<string, V>();

  constructor(most: number) {
    this.#half = Math.max(1, Math.floor(most / 2));
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  get(key: string): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: string, value: V): void {
    this.#old.delete(key);
    this.#young.set(key, value);
    if (this.#young.size < this.#half) return;
    this.#old = this.#young;
    this.#young = new Map();
  }
}

/** A bucket for each key, all of one rate. */
export class Buckets {
  readonly #rate: Rate;
  readonly #levels: Recent<{ level: number; atMs: number }>;

  constructor(rate: Rate, most: number) {
    this.#rate = rate;
    this.#levels = new Recent(most);
  }

  get size(): number {
    return this.#levels.size;
  }

  /** Takes one, where there is one. */
  take(key: string, nowMs: number): Taken {
    return this.#ask(key, nowMs, 1);
  }

  /** Whether one would pass; takes nothing. */
  look(key: string, nowMs: number): Taken {
    return this.#ask(key, nowMs, 0);
  }

  #ask(key: string, nowMs: number, cost: 0 | 1): Taken {
    const { perSecond, burst } = this.#rate;
    const before = this.#levels.get(key);
    // A clock that went back fills nothing.
    const gained = before === undefined ? burst : (Math.max(0, nowMs - before.atMs) / 1000) * perSecond;
    const filled = Math.min(burst, (before?.level ?? 0) + gained);
    const passed = filled >= 1;
    const level = passed ? filled - cost : filled;
    // Who is only looked at costs no memory.
    if (before !== undefined || cost > 0) this.#levels.set(key, { level, atMs: nowMs });
    return {
      passed,
      burst,
      left: Math.floor(level),
      waitMs: level >= 1 ? 0 : Math.ceil(((1 - level) / perSecond) * 1000),
      fullMs: Math.ceil(((burst - level) / perSecond) * 1000),
    };
  }
}
