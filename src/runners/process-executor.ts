/** Runs a stage as a child process in a process group of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { StringDecoder } from 'node:string_decoder';
import type { Executor, StageExit, StageRun } from './executor.ts';
import { StageFailure } from './failure.ts';
import { WORK_MARKER, killMarked, signalGroup } from './processes.ts';

const MAX_ANSWER_CHARS = 8 * 2 ** 20;
const MAX_LINE_CHARS = 64 * 1024;
/** A process that left the group may hold the pipes open after the program's end. */
const PIPES_CLOSE_MS = 1_000;

type Environment = Readonly<Record<string, string | undefined>>;

/** What a stage sees of our environment: how to find programs and parameters, no token. */
export function stageEnvironment(from: Environment, workDir: string): Record<string, string> {
  const names = Object.keys(from).filter(
    (name) => name === 'PATH' || name === 'HOME' || name === 'XDG_CACHE_HOME' || name.startsWith('FIL_PROOFS_'),
  );
  return { ...Object.fromEntries(names.map((name) => [name, from[name] ?? ''])), [WORK_MARKER]: workDir };
}

/** `graceMs`: time between SIGTERM and SIGKILL when a stage is stopped. */
export function processExecutor(environment: Environment, graceMs: number): Executor {
  return { run: (stage) => runProcess(stage, environment, graceMs) };
}

async function runProcess(stage: StageRun, environment: Environment, graceMs: number): Promise<StageExit> {
  stage.signal.throwIfAborted();
  const child = spawn(stage.program, stage.args, {
    cwd: stage.workDir,
    env: stageEnvironment(environment, stage.workDir),
    detached: true,
    stdio: 'pipe',
  });
  const leader = await started(child, stage.program);
  let killTimer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    signalGroup(leader, 'SIGTERM');
    killTimer ??= setTimeout(() => signalGroup(leader, 'SIGKILL'), graceMs);
  };
  if (stage.signal.aborted) stop();
  stage.signal.addEventListener('abort', stop, { once: true });
  try {
    let stdout: string | null = '';
    const decoder = new StringDecoder('utf8');
    child.stdout?.on('data', (bytes: Buffer) => {
      if (stdout === null) return;
      stdout += decoder.write(bytes);
      if (stdout.length <= MAX_ANSWER_CHARS) return;
      stdout = null;
      signalGroup(leader, 'SIGKILL');
    });
    const splitter = lineSplitter(stage.onLine);
    child.stderr?.on('data', splitter);
    // A program that ends without reading its request is judged by how it ended, not by our broken pipe.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(stage.request);
    const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const { code, signal } = await new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) =>
      child.once('exit', (code, signal) => resolve({ code, signal })),
    );
    signalGroup(leader, 'SIGKILL');
    await killMarked(stage.workDir);
    await within(closed, PIPES_CLOSE_MS);
    child.stdout?.destroy();
    child.stderr?.destroy();
    return { code, signal, stdout };
  } finally {
    clearTimeout(killTimer);
    stage.signal.removeEventListener('abort', stop);
  }
}

function started(child: ChildProcess, program: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('spawn', () => resolve(child.pid as number));
    child.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new StageFailure(
          'program_missing',
          `the stage program ${program} cannot be started (${error.code ?? error.message}); install it, or give its path with --prover`,
        ),
      ),
    );
  });
}

/** Calls `onLine` per line; what is longer than a line may be is cut. */
function lineSplitter(onLine: (line: string) => void): (bytes: Buffer) => void {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  return (bytes) => {
    const lines = (rest + decoder.write(bytes)).split('\n');
    rest = (lines.pop() as string).slice(0, MAX_LINE_CHARS);
    for (const line of lines) onLine(line.slice(0, MAX_LINE_CHARS));
  };
}

async function within(promise: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([promise, new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)))]);
  clearTimeout(timer);
}
