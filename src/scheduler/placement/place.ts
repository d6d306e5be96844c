/**
 * Which of several runners a stage goes to. Runners ask, so a choice is made while one asks: does it take the stage, or
 * is another one so much better that the stage is left to it for a while? Pure.
 */
import type { Fault } from './feasible.ts';
import type { Cost } from './score.ts';

/** What is saved must be worth a minute: less is noise. */
const LEAST_SAVED_MS = 60_000;
/** A stage whose runner was lost goes to another one that begins it so soon. */
const SOON_MS = 60_000;
const HOUR_MS = 3_600_000;

export type Priced = { readonly runner: string; readonly cost: Cost };

export type Patience = {
  /** What an hour of waiting is worth. */
  readonly waitingUsdPerHour: number;
  /** The longest that a stage is left to another runner. */
  readonly patienceMs: number;
};

/** Savings up to this are not worth leaving a stage for, in dollars. */
export const leastSavedUsd = ({ waitingUsdPerHour }: Patience): number => (waitingUsdPerHour * LEAST_SAVED_MS) / HOUR_MS;

/** The cheapest; of equal ones the first, so that a replay chooses alike. */
export function cheapest(priced: readonly Priced[]): Priced | undefined {
  return priced.reduce<Priced | undefined>(
    (best, one) => (best === undefined || one.cost.totalUsd < best.cost.totalUsd ? one : best),
    undefined,
  );
}

/**
 * Whether the stage is left to another runner, to whom, and until when at most; undefined: the one that asks takes it.
 * A stage waits no longer for the better one than that one would save, and never longer than the patience: so waiting in
 * vain costs at most as much again, and nothing waits for a runner that never comes.
 */
export function leaveTo(
  asker: Priced,
  others: readonly Priced[],
  sinceMs: number,
  nowMs: number,
  patience: Patience,
): { readonly to: Priced; readonly savesUsd: number; readonly untilMs: number } | undefined {
  const to = cheapest(others);
  if (to === undefined) return undefined;
  const savesUsd = asker.cost.totalUsd - to.cost.totalUsd;
  if (!(savesUsd > leastSavedUsd(patience))) return undefined;
  const worthMs = patience.waitingUsdPerHour > 0 ? (savesUsd / patience.waitingUsdPerHour) * HOUR_MS : Number.POSITIVE_INFINITY;
  const untilMs = sinceMs + Math.ceil(Math.min(worthMs, patience.patienceMs));
  return nowMs < untilMs ? { to, savesUsd, untilMs } : undefined;
}

/**
 * Whether the stage is kept from a runner that failed it, for others that did not and begin it in `queuesMs`: at once where it was
 * only lost, else while the patience lasts. So nothing waits for a machine that never comes, nor for one that is long busy.
 */
export function keptFrom(fault: Fault, queuesMs: readonly number[], waitedMs: number, { patienceMs }: Patience): boolean {
  const leftMs = patienceMs - waitedMs;
  const withinMs = fault === 'lost' ? Math.min(SOON_MS, leftMs) : leftMs;
  return leftMs > 0 && queuesMs.some((ms) => ms <= withinMs);
}
