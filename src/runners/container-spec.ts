/** What a stage's container may have: its folder, the proof parameters to read, the GPUs; nothing else. */
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { StageRun } from './executor.ts';
import type { StageLimits } from './stage-limits.ts';

/** Every container of ours has the id of the data folder whose agent made it. */
export const DATA_LABEL = 'sealpool.data';
/** And the attempt that it was made for (`attemptOf`). */
export const ATTEMPT_LABEL = 'sealpool.attempt';
const WORK = '/work';
const CACHE = '/cache';
const TMP_BYTES = 2 ** 30;
/** Half of what a program has by default, so that heartbeats and transfers go first. */
const CPU_SHARES = 512;

/** Indexes of cards, as their own tool counts them. */
export type Gpus = 'all' | readonly number[];

export type ContainerSpec = {
  readonly id: string;
  /** As the engine is asked for it. */
  readonly image: string;
  /** `uid:gid` in the container. */
  readonly user: string;
  /** The agent's own user is the same one inside; of a Podman without root. */
  readonly keepId: boolean;
  readonly isPodman: boolean;
  readonly limits: StageLimits;
  readonly cpus?: number | undefined;
  readonly cpuset?: string | undefined;
  readonly gpus?: Gpus | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
};

/** The attempt that a stage runs for, by the folder that it works in. */
export const attemptOf = ({ workDir }: Pick<StageRun, 'workDir'>): string => basename(workDir);

/** The body of the engine's "create". */
export function containerBody(spec: ContainerSpec, stage: StageRun): object {
  const { limits, gpus } = spec;
  const { binds, variables } = parameters(spec.environment);
  return {
    Image: spec.image,
    Cmd: stage.args,
    User: spec.user,
    WorkingDir: WORK,
    Env: [`HOME=${WORK}`, 'TMPDIR=/tmp', ...variables],
    Labels: { [DATA_LABEL]: spec.id, [ATTEMPT_LABEL]: attemptOf(stage) },
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
    NetworkDisabled: true,
    HostConfig: {
      NetworkMode: 'none',
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      ReadonlyRootfs: true,
      Binds: [`${stage.workDir}:${WORK}:rw`, ...binds],
      Tmpfs: { '/tmp': `rw,noexec,nosuid,nodev,size=${TMP_BYTES}` },
      // What it writes is read by the agent; a copy kept by the engine could fill the disk.
      LogConfig: { Type: 'none' },
      PidsLimit: limits.processes,
      ...(limits.memoryBytes === undefined ? {} : { Memory: limits.memoryBytes, MemorySwap: limits.memoryBytes }),
      ...(spec.cpus === undefined ? {} : { NanoCpus: Math.round(spec.cpus * 1e9) }),
      ...(spec.cpuset === undefined ? {} : { CpusetCpus: spec.cpuset }),
      ...(spec.keepId ? { UsernsMode: 'keep-id' } : {}),
      CpuShares: CPU_SHARES,
      // Where memory runs out on the whole machine, a stage ends before the agent.
      OomScoreAdj: 500,
      Ulimits: ulimits(limits),
      ...gpuRequest(gpus, spec.isPodman),
    },
  };
}

/** Docker hands cards out by its NVIDIA runtime; Podman by the names that `nvidia-ctk cdi generate` wrote down. */
function gpuRequest(gpus: Gpus | undefined, isPodman: boolean): object {
  if (gpus === undefined || (gpus !== 'all' && gpus.length === 0)) return {};
  if (isPodman) {
    const names = gpus === 'all' ? ['all'] : gpus.map(String);
    return { Devices: names.map((name) => ({ PathOnHost: `nvidia.com/gpu=${name}`, PathInContainer: '', CgroupPermissions: '' })) };
  }
  const which = gpus === 'all' ? { Count: -1 } : { DeviceIDs: gpus.map(String) };
  return { DeviceRequests: [{ Driver: 'nvidia', Capabilities: [['gpu']], ...which }] };
}

/** Folders of parameters to read, at the same place as outside, or below the cache that the image looks in. */
function parameters(environment: ContainerSpec['environment']): { binds: string[]; variables: string[] } {
  const binds: string[] = [];
  const variables = [`XDG_CACHE_HOME=${CACHE}`];
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith('FIL_PROOFS_') || value === undefined) continue;
    variables.push(`${name}=${value}`);
    if (value.startsWith('/') && existsSync(value)) binds.push(`${value}:${value}:ro`);
  }
  const caches = environment['XDG_CACHE_HOME'] ?? (environment['HOME'] === undefined ? undefined : join(environment['HOME'], '.cache'));
  const ours = caches === undefined ? undefined : join(caches, 'sealpool');
  if (ours !== undefined && existsSync(ours)) binds.push(`${ours}:${CACHE}/sealpool:ro`);
  return { binds, variables };
}

/** No core files, and no more files and processes than the agent may have: an engine that may not give more could not start it. */
function ulimits({ workBytes }: StageLimits): object[] {
  const both = (Name: string, value: number) => ({ Name, Soft: value, Hard: value });
  const own = readFileSync('/proc/self/limits', 'utf8');
  const hard = (name: string): number => Number(new RegExp(`^Max ${name} +\\S+ +([0-9]+)`, 'm').exec(own)?.[1] ?? 1_048_576);
  const pidMax = Number(readFileSync('/proc/sys/kernel/pid_max', 'utf8'));
  return [
    both('core', 0),
    both('nofile', Math.min(hard('open files'), 1_048_576)),
    both('nproc', Math.min(hard('processes'), pidMax)),
    ...(workBytes === undefined ? [] : [both('fsize', workBytes)]),
  ];
}
