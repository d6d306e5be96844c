/** Runs each stage in a container of its own, which is removed with all that is in it. */
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { findHierarchies } from './cgroup-hierarchies.ts';
import { StageGroup } from './cgroups.ts';
import { ContainerEngine, EngineError } from './container-engine.ts';
import { ensureImage } from './container-image.ts';
import { type ContainerSpec, DATA_LABEL, type Gpus, containerBody } from './container-spec.ts';
import { demultiplexer } from './container-stream.ts';
import type { OpenExecutor, StageExit, StageRun } from './executor.ts';
import { StageFailure } from './failure.ts';
import type { Log } from './options.ts';
import { ofShell } from './process-executor.ts';
import { type StageLimits, fullDisk, outOfMemory, overLimit, tooManyProcesses, watchStage, workFolderFull } from './stage-limits.ts';
import { AnswerText, lineSplitter } from './stage-output.ts';
import { type StageUser, findStageUser, giveFolder } from './stage-user.ts';

/** Who stages run as inside where the agent is root and nothing else is said; nobody outside has this number. */
const NOBODY = '65532:65532';
/** After the container has ended, what it wrote arrives at once. */
const STREAM_ENDS_MS = 30_000;
const REMOVE_TRIES = 5;

const Created = z.object({ Id: z.string().regex(/^[0-9a-f]{12,64}$/) });
const Listed = z.array(z.object({ Id: z.string() }));
const Inspected = z.object({ State: z.object({ Pid: z.number(), ExitCode: z.number(), OOMKilled: z.boolean().optional() }) });

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
};

type Opened = {
  readonly engine: ContainerEngine;
  readonly spec: ContainerSpec;
  readonly owner: StageUser | undefined;
  readonly graceMs: number;
};

/** Finds the engine, gets the image, and removes containers that an agent before this one left. Throws a sentence when one of them fails. */
export async function openContainerExecutor(options: ContainerExecutorOptions): Promise<OpenExecutor> {
  const engine = await ContainerEngine.open(options.socketPath);
  try {
    await removeLeftovers(engine, options.id, options.log);
    const isRoot = process.getuid?.() === 0;
    // Only root can give the folder away; anybody else's stages run as who the agent is.
    const owner = isRoot ? await findStageUser(options.user ?? NOBODY) : undefined;
    const ownUser = engine.isRootless && !engine.isPodman ? '0:0' : `${process.getuid?.()}:${process.getgid?.()}`;
    const { limits } = options;
    const spec: ContainerSpec = {
      ...options,
      image: await ensureImage(engine, options.image, options.archive, options.log),
      user: owner === undefined ? ownUser : `${owner.uid}:${owner.gid}`,
      keepId: owner === undefined && engine.isRootless && engine.isPodman,
      isPodman: engine.isPodman,
    };
    const contains = ['network', 'processes', 'capabilities', 'user', 'root', 'daemons'];
    if (limits.memoryBytes !== undefined) contains.push('memory');
    if (limits.workBytes !== undefined) contains.push('disk');
    return {
      executor: { run: async (stage) => runContainer({ engine, spec, owner, graceMs: options.graceMs }, stage) },
      isolation: { executor: 'container', contains },
      close: async () => engine.close(),
    };
  } catch (error) {
    await engine.close();
    throw error;
  }
}

async function removeLeftovers(engine: ContainerEngine, id: string, log: Log): Promise<void> {
  const filters = encodeURIComponent(JSON.stringify({ label: [`${DATA_LABEL}=${id}`] }));
  const found = Listed.parse(await engine.call('GET', `/containers/json?all=1&filters=${filters}`));
  for (const { Id } of found) await remove(engine, Id);
  if (found.length > 0) log('warn', 'removed containers that an agent before this one left', { containers: found.length });
}

async function runContainer(opened: Opened, stage: StageRun): Promise<StageExit> {
  const { engine, spec, owner } = opened;
  stage.signal.throwIfAborted();
  if (owner !== undefined) await giveFolder(stage.workDir, owner);
  const id = await engine.call('POST', '/containers/create', containerBody(spec, stage)).then(
    (answer) => Created.parse(answer).Id,
    (error: unknown) => {
      throw cannotStart(spec.image, error);
    },
  );
  try {
    return await runCreated(opened, id, stage);
  } finally {
    await remove(engine, id);
  }
}

async function runCreated({ engine, spec, graceMs }: Opened, id: string, stage: StageRun): Promise<StageExit> {
  const { limits } = spec;
  const told = (path: string): void => void engine.call('POST', `/containers/${id}${path}`).catch(() => undefined);
  let cause: StageFailure | undefined;
  const kill = (failure?: StageFailure): void => {
    cause ??= failure;
    told('/kill?signal=SIGKILL');
  };
  const stop = (): void => told(`/stop?t=${Math.ceil(graceMs / 1000)}`);
  const answer = new AnswerText(() => kill());
  const stream = await attachAndStart(
    engine,
    spec.image,
    id,
    stage.request,
    demultiplexer((bytes) => answer.add(bytes), lineSplitter(stage.onLine)),
  );
  let metMemory = false;
  let group: StageGroup | undefined;
  const look = async (): Promise<StageFailure | undefined> => {
    group ??= await groupOf(engine, id);
    const met = await group.met();
    metMemory ||= met === 'memory';
    return met === 'pids' ? tooManyProcesses(limits) : undefined;
  };
  const unwatch = watchStage(async () => overLimit(stage.workDir, limits, look), kill);
  if (stage.signal.aborted) stop();
  stage.signal.addEventListener('abort', stop, { once: true });
  try {
    await engine.call('POST', `/containers/${id}/wait`);
    await Promise.race([stream.ended, sleep(STREAM_ENDS_MS, undefined, { ref: false })]);
    const { ExitCode, OOMKilled } = await inspect(engine, id);
    const { code, signal } = ofShell(ExitCode);
    // Podman on cgroups of version 1 does not say that it was the kernel; nobody else kills it unasked.
    const isKilled = OOMKilled === true || metMemory || (signal === 'SIGKILL' && limits.memoryBytes !== undefined && !stage.signal.aborted);
    if (isKilled && answer.text !== null) cause ??= outOfMemory(limits);
    cause ??= signal === 'SIGXFSZ' ? workFolderFull(limits) : await fullDisk(stage.workDir);
    return { code, signal, stdout: answer.text, cause };
  } catch (error) {
    throw engineFailed(error);
  } finally {
    unwatch();
    stage.signal.removeEventListener('abort', stop);
    stream.socket.destroy();
  }
}

/** Attached before the start, so that nothing it says is missed. */
async function attachAndStart(engine: ContainerEngine, image: string, id: string, request: string, onBytes: (bytes: Buffer) => void) {
  const start = async (): Promise<unknown> => engine.call('POST', `/containers/${id}/start`);
  let socket: Duplex | undefined;
  try {
    // Why a container cannot be made ready, an engine says at its start only.
    socket = await engine.attach(id).catch(async (error: unknown) => {
      await start();
      throw error;
    });
    const ended = new Promise<void>((resolve) => socket?.once('close', () => resolve()));
    socket.on('data', onBytes);
    // A program that ends without reading its request is judged by how it ended, not by our broken pipe.
    socket.on('error', () => undefined);
    await start();
    socket.end(request);
    return { socket, ended };
  } catch (error) {
    socket?.destroy();
    throw cannotStart(image, error);
  }
}

async function inspect(engine: ContainerEngine, id: string): Promise<z.infer<typeof Inspected>['State']> {
  return Inspected.parse(await engine.call('GET', `/containers/${id}/json`)).State;
}

/** Its cgroup, which counts what the engine does not tell. An empty one where it has ended, or the agent cannot see it. */
async function groupOf(engine: ContainerEngine, id: string): Promise<StageGroup> {
  const { Pid } = await inspect(engine, id);
  const found = Pid === 0 ? [] : await findHierarchies(Pid);
  return new StageGroup(found.filter(({ folder }) => folder.includes(id)));
}

/** Kills what runs in it. One that stays, because the engine does not answer, is removed at the agent's next start. */
async function remove(engine: ContainerEngine, id: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await engine.call('DELETE', `/containers/${id}?force=1&v=1`);
      return;
    } catch (error) {
      if ((error instanceof EngineError && error.status === 404) || tries === REMOVE_TRIES) return;
    }
    await sleep(tries * 200);
  }
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
