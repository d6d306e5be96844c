/** How a stage program is run: as a child process (`process-executor.ts`) or in a container (`container-executor.ts`). */
import type { Isolation } from '../schema/runner.ts';
import type { StageFailure } from './failure.ts';

export type StageRun = {
  /** Program, found by path. A container runs the entry point of its image instead. */
  readonly program: string;
  readonly args: readonly string[];
  /** The attempt's folder; the program runs in it. */
  readonly workDir: string;
  /** Written to stdin, which is then closed. */
  readonly request: string;
  /** Aborted: the program is told to end, then killed. */
  readonly signal: AbortSignal;
  /** One line of stderr, without its end. */
  readonly onLine: (line: string) => void;
};

export type StageExit = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Null when there was more than an answer can have (the program was killed for it). */
  readonly stdout: string | null;
  /** The limit that it met, where one is known: why it failed, if it did. */
  readonly cause?: StageFailure | undefined;
};

/**
 * Runs a stage. When it settles, no process of the stage is left, unless a container engine has not answered for minutes: then its
 * container is removed as soon as it does. Rejects with `program_missing` when it cannot start.
 */
export type Executor = { run(stage: StageRun): Promise<StageExit> };

/** An executor that is ready; nothing that an agent before this one started is left. */
export type OpenExecutor = {
  readonly executor: Executor;
  /** Told to the control plane. */
  readonly isolation: Isolation;
  close(): Promise<void>;
};
