/** Which stages a runner may have, by its self-tests. */
import type { Stage } from '../../schema/stage.ts';
import type { Settings } from '../context.ts';
import type { RunnerRow } from '../ports.ts';
import { isTested } from './known.ts';

/** Whether this runner must pass tests at all. */
export function isHeldTo(settings: Settings, runner: RunnerRow): boolean {
  const { selfTest = 'off' } = settings;
  return selfTest === 'all' || (selfTest === 'rented' && runner.trust === 'rented');
}

/** Why the stage is not granted to this runner for want of a passed self-test, as a clause; undefined: it may be. */
export function untested(settings: Settings, runner: RunnerRow, stage: Stage): string | undefined {
  if (!isHeldTo(settings, runner) || !isTested(stage)) return undefined;
  const last = runner.tests?.stages[stage];
  if (last?.passed === true) return undefined;
  if (last !== undefined) return `its self-test of ${stage} did not pass (${last.reason})`;
  return `its self-test of ${stage} has not come back yet`;
}
