/** What a stage would cost on a runner, all in one currency: dollars, time weighed by what an hour of waiting is worth. */
import { termsOf } from '../../schema/runner-label.ts';
import type { RunnerRow } from '../ports.ts';
import type { Asked } from './asked.ts';
import { lackedBytes } from './holdings.ts';
import { stageTime } from './stage-times.ts';

/** Where the network was not measured: a gigabit a second. */
export const USUAL_BYTES_PER_S = 125e6;
/** 31,000 years: what would take longer has no end, and sums stay numbers. */
const MOST_S = 1e12;

export type Cost = {
  /** Bytes of inputs that it lacks, and the time to fetch them. */
  readonly lacksBytes: number;
  readonly transferS: number;
  readonly stageS: number;
  /** `stageS` was measured on this runner. */
  readonly measured: boolean;
  /** Until it has a place for the stage. */
  readonly queueS: number;
  /** For which it must be kept after the stage. */
  readonly keptS: number;
  readonly rentUsd: number;
  readonly totalUsd: number;
};

const seconds = (ms: number): number => Math.min(MOST_S, Math.max(0, ms / 1000));

/** `waitingUsdPerHour`: what an hour until the stage has ended is worth. `queueMs`: until the runner has a place. */
export function costOf(asked: Asked, runner: RunnerRow, queueMs: number, waitingUsdPerHour: number): Cost {
  const lacksBytes = lackedBytes(runner, asked.inputs);
  const bytesPerS = Math.max(1, runner.resources.network?.downBytesPerS ?? USUAL_BYTES_PER_S);
  const time = stageTime(runner, asked.stage, asked.proof);
  const transferS = Math.min(MOST_S, lacksBytes / bytesPerS);
  const [stageS, queueS, keptS] = [seconds(time.ms), seconds(queueMs), seconds(asked.keptMs)];
  const rentUsd = (termsOf(runner.labels).usdPerHour * (transferS + stageS + keptS)) / 3600;
  const totalUsd = rentUsd + (waitingUsdPerHour * (queueS + transferS + stageS)) / 3600;
  return { lacksBytes, transferS, stageS, measured: time.measured, queueS, keptS, rentUsd, totalUsd };
}
