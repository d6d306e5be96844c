/** Which runner has a file already, so that a stage there need not fetch it. */
import type { RunnerRow } from '../ports.ts';

/** An input of a stage. `madeBy` null: client data, which no runner made. */
export type Input = { readonly key: string; readonly sizeBytes: number; readonly madeBy: string | null };

/** Whether the runner has the file: it says so; of one that says nothing of its disk, whether it made the file. */
export function holds(runner: RunnerRow, input: Input): boolean {
  return runner.cached?.includes(input.key) ?? input.madeBy === runner.id;
}

/** Bytes that the runner would have to fetch. */
export function lackedBytes(runner: RunnerRow, inputs: readonly Input[]): number {
  return inputs.reduce((sum, input) => sum + (holds(runner, input) ? 0 : input.sizeBytes), 0);
}
