/**
 * Control groups for stages, below the agent's own: they bound memory and processes, and nothing that a stage
 * starts gets out of one, so a whole stage can be killed, daemons too. Version 2 of cgroups, and version 1 for
 * the controllers that a machine still has there. Where the agent may not make any there are none.
 */
import { mkdir, readFile, readdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Controller, type Hierarchy, findHierarchies, makeRoom } from './cgroup-hierarchies.ts';
import type { StageLimits } from './stage-limits.ts';

const KILL_PATIENCE_MS = 10_000;

/** Where the groups of all stages of this agent are made. */
export class StageGroups {
  readonly #homes: readonly Hierarchy[];
  /** What can be bounded. */
  readonly bounds: ReadonlySet<Controller>;

  private constructor(homes: readonly Hierarchy[]) {
    this.#homes = homes;
    this.bounds = new Set(homes.flatMap(({ controllers }) => controllers));
  }

  /** Makes room for groups named by `id` and ends what an agent before this one left there. Undefined: not allowed here. */
  static async open(id: string): Promise<StageGroups | undefined> {
    const homes: Hierarchy[] = [];
    for (const hierarchy of await findHierarchies()) {
      const home = await makeRoom(hierarchy, `sealpool-${id}`).catch(() => undefined);
      if (home === undefined) continue;
      homes.push(home);
      for (const name of await folders(home.folder)) await new StageGroup([{ ...home, folder: join(home.folder, name) }]).end();
    }
    return homes.length === 0 ? undefined : new StageGroups(homes);
  }

  /** A group for one stage. */
  async make(name: string, limits: StageLimits): Promise<StageGroup> {
    const groups = this.#homes.map((home) => ({ ...home, folder: join(home.folder, name) }));
    for (const { folder, version, controllers } of groups) {
      await mkdir(folder);
      if (controllers.includes('pids')) await writeFile(join(folder, 'pids.max'), String(limits.processes));
      if (!controllers.includes('memory') || limits.memoryBytes === undefined) continue;
      const [memory, swap] = version === 2 ? ['memory.max', 'memory.swap.max'] : ['memory.limit_in_bytes', 'memory.memsw.limit_in_bytes'];
      await writeFile(join(folder, memory), String(limits.memoryBytes));
      // Version 1 counts memory and swap together. Where swap is not counted, there is none to bound.
      await writeFile(join(folder, swap), String(version === 2 ? 0 : limits.memoryBytes)).catch(() => undefined);
    }
    return new StageGroup(groups);
  }

  async close(): Promise<void> {
    for (const { folder } of this.#homes) await rmdir(folder).catch(() => undefined);
  }
}

/** The group of one stage: a folder in each hierarchy. */
export class StageGroup {
  readonly #groups: readonly Hierarchy[];

  constructor(groups: readonly Hierarchy[]) {
    this.#groups = groups;
  }

  /** A process that writes 0 into each of these is in the group, with all that it starts from then on. */
  get joinFiles(): string[] {
    return this.#groups.map(({ folder }) => join(folder, 'cgroup.procs'));
  }

  /** The limit that the kernel has held it to. */
  async met(): Promise<Controller | undefined> {
    for (const { folder, version, controllers } of this.#groups) {
      const events = version === 2 ? 'memory.events' : 'memory.oom_control';
      if (controllers.includes('memory') && (await counted(join(folder, events), 'oom_kill')) > 0) return 'memory';
      if (controllers.includes('pids') && (await counted(join(folder, 'pids.events'), 'max')) > 0) return 'pids';
    }
    return undefined;
  }

  /** Kills all that is in it and removes it. Answers how many processes it met. */
  async end(): Promise<number> {
    const killed = new Set<number>();
    const untilMs = Date.now() + KILL_PATIENCE_MS;
    for (const { folder } of this.#groups) {
      // Nothing more may begin, or a stage that forks without end would be faster than we are.
      await writeFile(join(folder, 'pids.max'), '0', { flag: 'r+' }).catch(() => undefined);
      await writeFile(join(folder, 'cgroup.kill'), '1', { flag: 'r+' }).catch(() => undefined);
    }
    for (const { folder } of this.#groups) {
      while (!(await removed(folder)) && Date.now() < untilMs) {
        for (const pid of await processes(folder)) {
          killed.add(pid);
          kill(pid);
        }
        await sleep(5);
      }
    }
    return killed.size;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself meanwhile.
  }
}

async function processes(folder: string): Promise<number[]> {
  const text = await readFile(join(folder, 'cgroup.procs'), 'utf8').catch(() => '');
  return text
    .split('\n')
    .map(Number)
    .filter((pid) => pid > 0);
}

/** A group can be removed once nothing is in it. */
const removed = (folder: string): Promise<boolean> =>
  rmdir(folder).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  );

async function folders(folder: string): Promise<string[]> {
  return (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

async function counted(file: string, name: string): Promise<number> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const line = text.split('\n').find((line) => line.startsWith(`${name} `));
  return Number(line?.split(' ')[1] ?? 0);
}
