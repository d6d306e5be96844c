/** Exit codes of a runner, by which whatever started it knows whether to start it again. 77 and 78 mean what sysexits.h says. */
import { ApiError } from '../api/client.ts';
import { CannotRun } from '../runners/cannot-run.ts';
import { SealpoolError } from '../schema/problem.ts';

export const RUNNER_EXIT = { stopped: 0, failed: 1, upgrade: 6, refused: 77, configuration: 78 } as const;

/** The code of an error that ends a runner; undefined: of one that starting it again may mend. */
export function lastingExit(error: unknown): number | undefined {
  if (error instanceof CannotRun) return RUNNER_EXIT[error.why];
  // What else the control plane says is tried again where it is heard: this is a join token that it does not take.
  if (error instanceof ApiError) return RUNNER_EXIT.refused;
  return error instanceof SealpoolError && error.code === 'configuration' ? RUNNER_EXIT.configuration : undefined;
}
