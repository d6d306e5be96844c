/** Runs each stage in a container of its own, which is removed with all that is in it. */
import type { Duplex } from 'node:stream';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { findHierarchies } from './cgroup-hierarchies.ts';
import { StageGroup } from './cgroups.ts';
import { ContainerEngine, EngineError } from './container-engine.ts';
import { ensureImage } from './container-image.ts';
import { ATTEMPT_LABEL, type ContainerSpec, DATA_LABEL, type Gpus, attemptOf, containerBody } from './container-spec.ts';
import { demultiplexer } from './container-stream.ts';
import type { OpenExecutor, StageExit, StageRun } from './executor.ts';
import { StageFailure } from './failure.ts';
import { pause } from './lanes.ts';
import type { Log } from './options.ts';
import { OwnContainer, PATIENCE, type Patience, inspect } from './own-container.ts';
import { ofShell } from './process-executor.ts';
import { type StageLimits, fullDisk, outOfMemory, overLimit, tooManyProcesses, watchStage, workFolderFull } from './stage-limits.ts';
import { AnswerText, lineSplitter } from './stage-output.ts';
import { type StageUser, findStageUser, giveFolder } from './stage-user.ts';

/** Who stages run as inside where the agent is root and nothing else is said; nobody outside has this number. */
const NOBODY = '65532:65532';
/** After the container has ended, what it wrote arrives at once. */
const STREAM_ENDS_MS = 30_000;
/** How often containers that no stage owns any more are looked for. */
const SWEEP_MS = 60_000;

const Created = z.object({ Id: z.string().regex(/^[0-9a-f]{12,64}$/) });
const Listed = z.array(z.object({ Id: z.string(), Labels: z.record(z.string(), z.string()).nullish() }));

export type ContainerExecutorOptions = {
  /** Names what is made outside of DATA. */
  readonly id: string;
  readonly socketPath: string;
  readonly image: string;
  readonly archive?: string | undefined;
  readonly environment: ContainerSpec['environment'];
  readonly graceMs: number;
  readonly limits: StageLimits;
  readonly cpus?: number | undefined;
  readonly cpuset?: string | undefined;
  readonly gpus?: Gpus | undefined;
  readonly user?: string | undefined;
  readonly log: Log;
  readonly sweepMs?: number;
  readonly patience?: Patience;
};

type Opened = {
  readonly engine: ContainerEngine;
  readonly spec: ContainerSpec;
  readonly owner: StageUser | undefined;
  readonly graceMs: number;
  readonly patience: Patience;
  /** Attempts whose containers are not to be swept. */
  readonly active: Set<string>;
  readonly log: Log;
};

/** Finds the engine, gets the image, and removes containers that an agent before this one left. Throws a sentence when one of them fails. */
export async function openContainerExecutor(options: ContainerExecutorOptions): Promise<OpenExecutor> {
  const { log, sweepMs = SWEEP_MS, patience = PATIENCE } = options;
  const engine = await ContainerEngine.open(options.socketPath, patience.answerMs);
  try {
    const active = new Set<string>();
    const sweep = async (): Promise<void> => removeUnowned(engine, options.id, patience, active, log);
    await sweep();
    const isRoot = process.getuid?.() === 0;
    // Only root can give the folder away; anybody else's stages run as who the agent is.
    const owner = isRoot ? await findStageUser(options.user ?? NOBODY) : undefined;
    const ownUser = engine.isRootless && !engine.isPodman ? '0:0' : `${process.getuid?.()}:${process.getgid?.()}`;
    const { limits } = options;
    const spec: ContainerSpec = {
      ...options,
      image: await ensureImage(engine, options.image, options.archive, log),
      user: owner === undefined ? ownUser : `${owner.uid}:${owner.gid}`,
      keepId: owner === undefined && engine.isRootless && engine.isPodman,
      isPodman: engine.isPodman,
    };
    const contains = ['network', 'processes', 'capabilities', 'user', 'root', 'daemons'];
    if (limits.memoryBytes !== undefined) contains.push('memory');
    if (limits.workBytes !== undefined) contains.push('disk');
    const opened = { engine, spec, owner, graceMs: options.graceMs, patience, active, log };
    const stopSweeping = keepSwept(sweep, sweepMs, log);
    return {
      executor: { run: async (stage) => runContainer(opened, stage) },
      isolation: { executor: 'container', contains },
      close: async () => {
        stopSweeping();
        await engine.close();
      },
    };
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** Removes containers of this DATA whose attempt is not active: an agent before this one left them, or the engine was away when they ended. */
async function removeUnowned(
  engine: ContainerEngine,
  id: string,
  patience: Patience,
  active: ReadonlySet<string>,
  log: Log,
): Promise<void> {
  const filters = encodeURIComponent(JSON.stringify({ label: [`${DATA_LABEL}=${id}`] }));
  const found = Listed.parse(await engine.call('GET', `/containers/json?all=1&filters=${filters}`));
  const unowned = found.filter(({ Labels }) => !active.has(Labels?.[ATTEMPT_LABEL] ?? ''));
  for (const { Id } of unowned) {
    const container = new OwnContainer(engine, Id, patience);
    const isGone = await container.remove(false);
    container.close();
    if (isGone) log('warn', 'removed a container that no stage owns any more', { container: Id });
    else log('error', 'a container that no stage owns any more cannot be removed; it is tried again', { container: Id });
  }
}

/** Sweeps again and again; answers how to stop. */
function keepSwept(sweep: () => Promise<void>, sweepMs: number, log: Log): () => void {
  const stopping = new AbortController();
  const sweeping = async (): Promise<void> => {
    for (;;) {
      await pause(sweepMs, stopping.signal);
      if (stopping.signal.aborted) return;
      await sweep().catch((error: unknown) => {
        if (!stopping.signal.aborted) log('warn', `cannot look for containers that were left (${messageOf(error)}); it is tried again`);
      });
    }
  };
  void sweeping();
  return () => stopping.abort();
}

async function runContainer(opened: Opened, stage: StageRun): Promise<StageExit> {
  const { engine, spec, owner, graceMs, patience, active, log } = opened;
  stage.signal.throwIfAborted();
  if (owner !== undefined) await giveFolder(stage.workDir, owner);
  const attempt = attemptOf(stage);
  active.add(attempt);
  let container: OwnContainer | undefined;
  const stop = (): void => container?.stop(graceMs);
  let mayRun = true;
  try {
    // An image that was never used may take minutes to be made ready. What is made after we have left is swept.
    const limit = { limitMs: patience.awayMs, signal: stage.signal };
    const created = await engine.call('POST', '/containers/create', containerBody(spec, stage), limit).then(
      (answer) => Created.parse(answer).Id,
      (error: unknown) => {
        throw cannotStart(spec.image, error);
      },
    );
    container = new OwnContainer(engine, created, patience);
    stage.signal.addEventListener('abort', stop, { once: true });
    if (stage.signal.aborted) stop();
    const exit = await runCreated(opened, container, stage);
    mayRun = false;
    return exit;
  } finally {
    if (container !== undefined && !(await container.remove(mayRun)))
      log('error', 'the container engine did not remove a container; it is tried again', { container: container.id, attempt });
    stage.signal.removeEventListener('abort', stop);
    container?.close();
    active.delete(attempt);
  }
}

async function runCreated({ engine, spec }: Opened, container: OwnContainer, stage: StageRun): Promise<StageExit> {
  const { limits } = spec;
  let cause: StageFailure | undefined;
  const kill = (failure?: StageFailure): void => {
    cause ??= failure;
    container.kill();
  };
  const answer = new AnswerText(() => kill());
  const onLines = lineSplitter(stage.onLine);
  const hear = (): ((bytes: Buffer) => void) => demultiplexer((bytes) => answer.add(bytes), onLines);
  let stream = await attachAndStart(engine, spec.image, container, stage.request, hear());
  const hearAgain = async (): Promise<void> => {
    stream.socket.destroy();
    // Without it the stage is judged by how it ends.
    stream = await attach(engine, container, true, hear()).catch(() => stream);
  };
  let metMemory = false;
  let group: StageGroup | undefined;
  const look = async (): Promise<StageFailure | undefined> => {
    group ??= await groupOf(engine, container.id);
    const met = await group.met();
    metMemory ||= met === 'memory';
    return met === 'pids' ? tooManyProcesses(limits) : undefined;
  };
  const unwatch = watchStage(async () => overLimit(stage.workDir, limits, look), kill);
  try {
    const { ExitCode, OOMKilled } = await container.ended(hearAgain);
    await Promise.race([stream.ended, sleep(STREAM_ENDS_MS, undefined, { ref: false })]);
    const { code, signal } = ofShell(ExitCode);
    // Podman on cgroups of version 1 does not say that it was the kernel; nobody else kills it unasked.
    const isKilled = OOMKilled === true || metMemory || (signal === 'SIGKILL' && limits.memoryBytes !== undefined && !stage.signal.aborted);
    if (isKilled && answer.text !== null) cause ??= outOfMemory(limits);
    cause ??= signal === 'SIGXFSZ' ? workFolderFull(limits) : await fullDisk(stage.workDir);
    if (container.wasAlone) cause ??= engineFailed(new Error('it went away, and what the stage wrote meanwhile is lost'));
    return { code, signal, stdout: answer.text, cause };
  } catch (error) {
    throw cause ?? engineFailed(error);
  } finally {
    unwatch();
    stream.socket.destroy();
  }
}

type Stream = { readonly socket: Duplex; readonly ended: Promise<void> };

async function attach(
  engine: ContainerEngine,
  { id, over }: OwnContainer,
  toHear: boolean,
  onBytes: (bytes: Buffer) => void,
): Promise<Stream> {
  const socket = await engine.attach(id, toHear, { signal: over });
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('data', onBytes);
  // A program that ends without reading its request is judged by how it ended, not by our broken pipe.
  socket.on('error', () => undefined);
  return { socket, ended };
}

/** Attached before the start, so that nothing it says is missed. */
async function attachAndStart(
  engine: ContainerEngine,
  image: string,
  container: OwnContainer,
  request: string,
  onBytes: (bytes: Buffer) => void,
): Promise<Stream> {
  let stream: Stream | undefined;
  try {
    // Why a container cannot be made ready, an engine says at its start only.
    stream = await attach(engine, container, false, onBytes).catch(async (error: unknown) => {
      await container.start();
      throw error;
    });
    await container.start();
    // A stage that has ended by now is heard first: its stream is closed, and the write that fails drops what was not read.
    await nextTurn();
    stream.socket.end(request);
    return stream;
  } catch (error) {
    stream?.socket.destroy();
    throw cannotStart(image, error);
  }
}

/** Its cgroup, which counts what the engine does not tell. An empty one where it has ended, or the agent cannot see it. */
async function groupOf(engine: ContainerEngine, id: string): Promise<StageGroup> {
  const { Pid } = await inspect(engine, id);
  const found = Pid === 0 ? [] : await findHierarchies(Pid);
  return new StageGroup(found.filter(({ folder }) => folder.includes(id)));
}

function cannotStart(image: string, error: unknown): StageFailure {
  if (!(error instanceof EngineError)) return engineFailed(error);
  return new StageFailure(
    'program_missing',
    `a container of ${image} cannot be started (${messageOf(error)}); try it by hand, with the same engine`,
  );
}

/** It went away, or answers what no engine does. */
function engineFailed(error: unknown): StageFailure {
  return new StageFailure(
    'internal',
    `the container engine failed while the stage ran (${messageOf(error)}); look at its log, the stage is tried again`,
  );
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
