/** Plays many seeds on several cores: child processes that are handed a few seeds at a time. */
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Outcome } from './play.ts';

/** Seeds handed out at a time. */
const CHUNK = 10;

export type Summary = {
  readonly seeds: number;
  readonly broken: readonly { readonly seed: number; readonly promise: string; readonly what: string }[];
  readonly steps: number;
  readonly virtualMs: number;
  readonly finished: number;
  readonly aborted: number;
  readonly seconds: number;
  /** How often each cell was reached. */
  readonly cells: ReadonlyMap<string, number>;
  /** One digest of the logs of all seeds in their order: the same for the same seeds, everywhere. */
  readonly log: string;
};

export type Told = Omit<Outcome, 'cells' | 'timeline'> & { readonly cells: readonly (readonly [string, number])[] };

/** Plays `from` to `to`. `stopAtFirst`: ends soon after the first broken promise. */
export async function playSeeds(
  from: number,
  to: number,
  options: { jobs?: number; stopAtFirst?: boolean; onOutcome?: (outcome: Told) => void } = {},
): Promise<Summary> {
  const { jobs = availableParallelism(), stopAtFirst = false, onOutcome = () => undefined } = options;
  const started = performance.now();
  const outcomes = new Map<number, Told>();
  const cells = new Map<string, number>();
  let next = from;
  const take = (): number[] => {
    const stop = stopAtFirst && [...outcomes.values()].some(({ broken }) => broken !== undefined);
    const chunk: number[] = [];
    while (!stop && next <= to && chunk.length < (stopAtFirst ? 1 : CHUNK)) chunk.push(next++);
    return chunk;
  };
  const keep = (outcome: Told): void => {
    // A hundred thousand of them are kept: without their cells, which are added up.
    outcomes.set(outcome.seed, { ...outcome, cells: [] });
    for (const [cell, count] of outcome.cells) cells.set(cell, (cells.get(cell) ?? 0) + count);
    onOutcome(outcome);
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.min(jobs, to - from + 1)) }, () => child(take, keep)));
  const ordered = [...outcomes.values()].sort((a, b) => a.seed - b.seed);
  const sum = (of: (outcome: Told) => number): number => ordered.reduce((total, outcome) => total + of(outcome), 0);
  return {
    seeds: ordered.length,
    broken: ordered.flatMap(({ seed, broken, promise = '' }) => (broken === undefined ? [] : [{ seed, promise, what: broken }])),
    steps: sum(({ steps }) => steps),
    virtualMs: sum(({ virtualMs }) => virtualMs),
    finished: sum(({ finished }) => finished),
    aborted: sum(({ aborted }) => aborted),
    seconds: (performance.now() - started) / 1000,
    cells,
    log: createHash('sha256')
      .update(ordered.map(({ seed, log }) => `${seed} ${log}`).join('\n'))
      .digest('hex'),
  };
}

/** One process until there is nothing left to play. */
function child(take: () => number[], keep: (outcome: Told) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const worker = fork(fileURLToPath(new URL('player.ts', import.meta.url)), { execArgv: [], serialization: 'advanced' });
    const hand = (): void => {
      const seeds = take();
      if (seeds.length > 0) worker.send(seeds);
      else worker.disconnect();
    };
    worker.on('message', (answer: Told | 'ready') => {
      if (answer === 'ready') hand();
      else keep(answer);
    });
    worker.on('error', reject);
    worker.on('exit', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`a process of the simulator ended with ${code}; run its seeds alone to see why`));
    });
  });
}

/** The one line that a run ends with. */
export function countsLine(summary: Summary): string {
  const hours = summary.virtualMs / 3_600_000;
  return (
    `${summary.seeds} seeds, ${summary.broken.length} broken promises, ${summary.steps} steps, ${summary.finished} sectors finished, ${summary.aborted} aborted, ` +
    `${hours.toFixed(1)} virtual hours in ${summary.seconds.toFixed(1)} s (${(hours / summary.seconds).toFixed(2)} virtual hours per second), log ${summary.log.slice(0, 16)}`
  );
}
