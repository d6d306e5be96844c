/** Which executor an agent uses, from what it was told and what is there. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CannotRun } from './cannot-run.ts';
import { openContainerExecutor } from './container-executor.ts';
import type { Gpus } from './container-spec.ts';
import { dataId } from './data-id.ts';
import type { OpenExecutor } from './executor.ts';
import type { AgentOptions } from './options.ts';
import { openProcessExecutor } from './process-executor.ts';

/** How stages are to run; what is left out has a default. */
export type ExecutorOptions = {
  /** `auto`: in containers where there is an image and an engine, else as processes. */
  readonly kind?: 'auto' | 'process' | 'container' | undefined;
  /** Stages run as this user (`name`, `uid` or `uid:gid`); only root can make them. */
  readonly user?: string | undefined;
  readonly memoryBytes?: number | undefined;
  readonly processes?: number | undefined;
  readonly workBytes?: number | undefined;
  readonly cpus?: number | undefined;
  readonly cpuset?: string | undefined;
  readonly socketPath?: string | undefined;
  /** By digest or id. */
  readonly image?: string | undefined;
  /** A file to load the image from where it is not there. */
  readonly archive?: string | undefined;
  /** Cards that a container gets; by default all where there are any. */
  readonly gpus?: Gpus | undefined;
};

const DEFAULT_PROCESSES = 16_384;
const DEFAULT_GRACE_MS = 5_000;

/** Opens it, and ends what an agent before this one left in it; call it with the lock held. */
export async function openExecutor(options: AgentOptions, hasGpus: boolean): Promise<OpenExecutor> {
  const { dataDir, environment, graceMs = DEFAULT_GRACE_MS, log, executor = {} } = options;
  const { kind = 'auto', image, user, memoryBytes, processes = DEFAULT_PROCESSES, workBytes } = executor;
  const id = await dataId(dataDir);
  const limits = { memoryBytes, processes, workBytes };
  const socketPath = executor.socketPath ?? usualSockets(environment).find((path) => existsSync(path));
  const hasSocket = socketPath !== undefined && existsSync(socketPath);
  let opened: OpenExecutor;
  if (kind === 'container' || (kind === 'auto' && image !== undefined && hasSocket)) {
    if (image === undefined)
      throw new CannotRun('configuration', 'containers need an image; name it with runner.container_image as NAME@sha256:…');
    if (socketPath === undefined)
      throw new Error('there is no Docker or Podman here; start its service, or name its socket with runner.container_socket');
    const gpus = executor.gpus ?? (hasGpus ? 'all' : undefined);
    opened = await openContainerExecutor({ ...executor, id, socketPath, image, gpus, environment, graceMs, limits, log });
  } else {
    if (image !== undefined && kind === 'auto') log('warn', 'there is an image for stages but no container engine; they run as processes');
    opened = await openProcessExecutor({ dataDir, id, environment, graceMs, limits, user });
  }
  const { executor: how, contains } = opened.isolation;
  log('info', `stages run as ${how === 'container' ? 'containers' : 'processes'}, kept from: ${contains.join(', ') || 'nothing'}`);
  return opened;
}

function usualSockets(environment: AgentOptions['environment']): string[] {
  const own = environment['XDG_RUNTIME_DIR'];
  return ['/run/podman/podman.sock', '/var/run/docker.sock', ...(own === undefined ? [] : [join(own, 'podman/podman.sock')])];
}
