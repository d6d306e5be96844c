/** What runners run. */
import type { Software } from '../schema/runner.ts';
import type { Context } from './context.ts';
import type { RunnerRow } from './ports.ts';

/** Keeps the version that a runner says it runs; it changes when the runner comes back upgraded. */
export function noteSoftware(ctx: Context, runner: RunnerRow, software: Software | undefined): RunnerRow {
  if (software === undefined || software.version === runner.agentVersion) return runner;
  const changed = { ...runner, agentVersion: software.version };
  ctx.tx.updateRunner(changed);
  return changed;
}
