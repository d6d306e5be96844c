/**
 * How fast moves and checks of stored files may load each path of miner storage. What they read and write of it takes from one
 * measure, so that several at once are together no faster; Persist, Publish and stages wait for nobody.
 */
import { setTimeout as sleep } from 'node:timers/promises';

/** So much of a second may be taken at once after a pause. */
const BURST_MS = 100;

export type DiskClock = {
  /** Milliseconds that never go back. */
  now(): number;
  /** Rejects when the signal fires. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
};

const REAL: DiskClock = { now: () => performance.now(), wait: (ms, signal) => sleep(ms, undefined, { signal }) };

/** The limit of one agent. */
export class DiskLimit {
  readonly #bytesPerMs: number;
  readonly #clock: DiskClock;
  /** By path: when all that was taken will have been paid for. */
  readonly #paidMs = new Map<string, number>();

  /** `bytesPerS`: of each path; undefined: there is no limit. */
  constructor(bytesPerS?: number, clock: DiskClock = REAL) {
    this.#bytesPerMs = bytesPerS === undefined ? Infinity : bytesPerS / 1_000;
    this.#clock = clock;
  }

  /**
   * Takes so many bytes, which were read or are about to be written, and waits until they are paid for. Of those who ask together
   * each waits for what was asked before it. Rejects when the signal fires.
   */
  async take(storage: string, bytes: number, signal: AbortSignal): Promise<void> {
    if (this.#bytesPerMs === Infinity) return;
    const now = this.#clock.now();
    const paid = Math.max(this.#paidMs.get(storage) ?? -Infinity, now - BURST_MS) + bytes / this.#bytesPerMs;
    this.#paidMs.set(storage, paid);
    // Timers know whole milliseconds: less is made up for by the next one.
    if (paid - now >= 1) await this.#clock.wait(paid - now, signal);
  }
}
