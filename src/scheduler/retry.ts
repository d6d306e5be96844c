/** Waits between tries. Pure: the jitter is an argument. */
import type { RetrySettings, Settings } from './context.ts';

/** The policy of a stage, or of a step that sends a message; what it does not say is as for all. */
export function retryOf(settings: Pick<Settings, 'retry' | 'retryOf'>, step: string | undefined): RetrySettings {
  const own = step === undefined ? undefined : settings.retryOf?.[step];
  return own === undefined ? settings.retry : { ...settings.retry, ...own };
}

/**
 * Milliseconds to wait after the `failures`-th failure (1, 2, …): doubling from `firstWaitMs` to
 * `maxWaitMs`, spread by ±25 % so that many jobs do not come back at once. `jitter` is in [0, 1).
 */
export function waitMs(retry: RetrySettings, failures: number, jitter: number): number {
  const doubled = retry.firstWaitMs * 2 ** Math.min(Math.max(failures - 1, 0), 40);
  return Math.round(Math.min(doubled, retry.maxWaitMs) * (0.75 + jitter / 2));
}

/** A number in [0, 1) from random hex digits. */
export function jitterOf(hex: string): number {
  return Number.parseInt(hex.slice(0, 8), 16) / 2 ** 32;
}
