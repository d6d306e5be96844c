/**
 * Runs a stage as a child process: in a process group of its own, at lower priority, and with as much of cgroup,
 * namespaces, limits and another user as the machine allows (`cgroups.ts`, `process-launch.ts`).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmod } from 'node:fs/promises';
import { constants } from 'node:os';
import { basename } from 'node:path';
import { type StageGroup, StageGroups } from './cgroups.ts';
import type { OpenExecutor, StageExit, StageRun } from './executor.ts';
import { StageFailure } from './failure.ts';
import { type Launch, findLaunch, findProgram } from './process-launch.ts';
import { WORK_MARKER, killMarked, signalGroup } from './processes.ts';
import { type StageLimits, fullDisk, outOfMemory, overLimit, tooManyProcesses, watchStage, workFolderFull } from './stage-limits.ts';
import { AnswerText, lineSplitter } from './stage-output.ts';
import { type StageUser, findStageUser, giveFolder } from './stage-user.ts';

/** A process that left the group may hold the pipes open after the program's end. */
const PIPES_CLOSE_MS = 1_000;

type Environment = Readonly<Record<string, string | undefined>>;

export type ProcessExecutorOptions = {
  readonly dataDir: string;
  /** Names what is made outside of DATA. */
  readonly id: string;
  readonly environment: Environment;
  /** Time between SIGTERM and SIGKILL when a stage is stopped. */
  readonly graceMs: number;
  readonly limits: StageLimits;
  readonly user?: string | undefined;
  /** False: as if the machine allowed no cgroups. */
  readonly useCgroups?: boolean;
};

/** What a stage sees of our environment: how to find programs and parameters, no token. */
export function stageEnvironment(from: Environment, workDir: string): Record<string, string> {
  const names = Object.keys(from).filter(
    (name) => name === 'PATH' || name === 'HOME' || name === 'XDG_CACHE_HOME' || name.startsWith('FIL_PROOFS_'),
  );
  return { ...Object.fromEntries(names.map((name) => [name, from[name] ?? ''])), [WORK_MARKER]: workDir };
}

/** Finds out what this machine allows. Throws a sentence when stages cannot run as the user that was asked for. */
export async function openProcessExecutor(options: ProcessExecutorOptions): Promise<OpenExecutor> {
  const { environment, limits, dataDir } = options;
  const isRoot = process.getuid?.() === 0;
  const user = options.user === undefined ? undefined : await findStageUser(options.user);
  // A stage joins its group through a shell.
  const hasShell = (await findProgram('/bin/sh', '')) !== undefined;
  const groups = options.useCgroups === false || !hasShell ? undefined : await StageGroups.open(options.id);
  const bounds = (what: 'memory' | 'pids'): boolean => groups?.bounds.has(what) === true;
  const grouped = { memory: bounds('memory'), processes: bounds('pids'), kill: groups !== undefined };
  const launch = await findLaunch({ path: environment['PATH'] ?? '', isRoot, hasShell, user, limits, grouped });
  // The user must get through to its own folder, by name; what is secret in DATA has mode 0600.
  if (user !== undefined) await chmod(dataDir, 0o711);
  const contains = [
    ...(launch.noNetwork ? ['network'] : []),
    ...(limits.memoryBytes !== undefined && grouped.memory ? ['memory'] : []),
    ...(grouped.processes ? ['processes'] : []),
    ...(limits.workBytes === undefined ? [] : ['disk']),
    ...(launch.noCapabilities ? ['capabilities'] : []),
    ...(user === undefined ? [] : ['user']),
    ...(grouped.kill || launch.ownProcesses ? ['daemons'] : []),
  ];
  return {
    executor: { run: async (stage) => runProcess(stage, options, launch, groups, user) },
    isolation: { executor: 'process', contains },
    close: async () => groups?.close(),
  };
}

async function runProcess(
  stage: StageRun,
  { environment, graceMs, limits }: ProcessExecutorOptions,
  launch: Launch,
  groups: StageGroups | undefined,
  user: StageUser | undefined,
): Promise<StageExit> {
  stage.signal.throwIfAborted();
  const env = stageEnvironment(environment, stage.workDir);
  const program = await findProgram(stage.program, env['PATH'] ?? '');
  if (program === undefined) throw cannotStart(stage.program, 'there is none that can be run');
  if (user !== undefined) await giveFolder(stage.workDir, user);
  const group = await groups?.make(basename(stage.workDir), limits);
  try {
    const [shell = '', ...args] = [...launch.wrap(group?.joinFiles ?? []), program, ...stage.args];
    const child = spawn(shell, args, { cwd: stage.workDir, env, detached: true, stdio: 'pipe' });
    return await runChild(child, { stage, graceMs, limits, group });
  } finally {
    await group?.end();
  }
}

type Child = {
  readonly stage: StageRun;
  readonly graceMs: number;
  readonly limits: StageLimits;
  readonly group: StageGroup | undefined;
};

async function runChild(child: ChildProcess, { stage, graceMs, limits, group }: Child): Promise<StageExit> {
  const leader = await started(child, stage.program);
  let killTimer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    signalGroup(leader, 'SIGTERM');
    killTimer ??= setTimeout(() => signalGroup(leader, 'SIGKILL'), graceMs);
  };
  const metLimit = async (): Promise<StageFailure | undefined> => {
    const met = await group?.met();
    if (met === undefined) return undefined;
    return met === 'memory' ? outOfMemory(limits) : tooManyProcesses(limits);
  };
  let cause: StageFailure | undefined;
  const kill = (failure?: StageFailure): void => {
    cause ??= failure;
    signalGroup(leader, 'SIGKILL');
  };
  // Of memory the kernel ends what it must; the stage may still tell of it.
  const unwatch = watchStage(
    async () => overLimit(stage.workDir, limits, async () => ((await group?.met()) === 'pids' ? tooManyProcesses(limits) : undefined)),
    kill,
  );
  if (stage.signal.aborted) stop();
  stage.signal.addEventListener('abort', stop, { once: true });
  try {
    const answer = new AnswerText(() => kill());
    child.stdout?.on('data', (bytes: Buffer) => answer.add(bytes));
    child.stderr?.on('data', lineSplitter(stage.onLine));
    // A program that ends without reading its request is judged by how it ended, not by our broken pipe.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(stage.request);
    const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
    const ended = await new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) =>
      child.once('exit', (code, signal) => resolve({ code, signal })),
    );
    const { code, signal } = ofShell(ended.code, ended.signal);
    signalGroup(leader, 'SIGKILL');
    cause ??= (await metLimit()) ?? (signal === 'SIGXFSZ' ? workFolderFull(limits) : await fullDisk(stage.workDir));
    await group?.end();
    await killMarked(stage.workDir);
    await within(closed, PIPES_CLOSE_MS);
    child.stdout?.destroy();
    child.stderr?.destroy();
    return { code, signal, stdout: answer.text, cause };
  } finally {
    unwatch();
    clearTimeout(killTimer);
    stage.signal.removeEventListener('abort', stop);
  }
}

/** A shell, as a container engine does, tells the signal that ended a program as 128 and its number. */
export function ofShell(code: number | null, signal: NodeJS.Signals | null = null): { code: number | null; signal: NodeJS.Signals | null } {
  if (signal !== null || code === null || code <= 128) return { code, signal };
  const name = Object.entries(constants.signals).find(([, number]) => number === code - 128)?.[0] as NodeJS.Signals | undefined;
  return name === undefined ? { code, signal } : { code: null, signal: name };
}

function cannotStart(program: string, why: string): StageFailure {
  return new StageFailure(
    'program_missing',
    `the stage program ${program} cannot be started (${why}); install it, or give its path with --prover`,
  );
}

function started(child: ChildProcess, program: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('spawn', () => resolve(child.pid as number));
    child.once('error', (error: NodeJS.ErrnoException) => reject(cannotStart(program, error.code ?? error.message)));
  });
}

async function within(promise: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([promise, new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)))]);
  clearTimeout(timer);
}
