/** How a stage program is run. Today as a child process; a container is another implementation. */

export type StageRun = {
  /** Program, found by path. */
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

/** `stdout` is null when there was more than an answer can have (the program was killed for it). */
export type StageExit = { readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly stdout: string | null };

/** Runs a stage. When it settles, no process of the stage is left. Rejects with `program_missing` when it cannot start. */
export type Executor = { run(stage: StageRun): Promise<StageExit> };
