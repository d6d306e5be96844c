/**
 * The control plane's time. The wall clock may jump (a machine that was suspended, a correction of an hour); leases,
 * retries and the chain's epochs must not: after a jump forward every lease would be over, after one back whatever
 * waits would wait as long again. So time follows the monotonic clock and closes in on the wall clock by degrees.
 */
import type { Clock } from '../scheduler/ports.ts';

/** It runs at most this much faster or slower while it closes in: an hour off is made up in ten. */
const SLEW = 0.1;

export type ClockSources = {
  /** Unix milliseconds; may jump. */
  readonly wallMs: () => number;
  /** Milliseconds from anywhere; never jumps, never goes back. */
  readonly elapsedMs: () => number;
};

const MACHINE: ClockSources = { wallMs: () => Date.now(), elapsedMs: () => performance.now() };

/**
 * Starts at the wall clock's time, or at `notBeforeMs` where that is later: the last time an earlier process wrote
 * down. From there on it never goes back and never jumps.
 */
export function steadyClock(notBeforeMs = 0, { wallMs, elapsedMs }: ClockSources = MACHINE): Clock {
  let nowMs = Math.max(wallMs(), notBeforeMs);
  let lastMs = elapsedMs();
  return {
    now() {
      const atMs = elapsedMs();
      const passedMs = atMs - lastMs;
      lastMs = atMs;
      nowMs += passedMs;
      const most = passedMs * SLEW;
      nowMs += Math.min(most, Math.max(-most, wallMs() - nowMs));
      return Math.floor(nowMs);
    },
  };
}
