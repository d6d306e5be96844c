/**
 * What is put in front of a stage program so that it runs apart from the machine, with the tools that every
 * Linux has (util-linux, coreutils). What a machine does not allow is left out, and said.
 */
import { execFile } from 'node:child_process';
import { access, constants, stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import type { StageLimits } from './stage-limits.ts';
import type { StageUser } from './stage-user.ts';

/**
 * Joins the cgroups whose files come before `--`, then becomes the rest. Where memory runs out on the whole
 * machine, the kernel ends a stage before it ends the agent.
 */
const JOIN = `{ echo 500 >/proc/self/oom_score_adj; } 2>/dev/null
while [ "$1" != -- ]; do echo 0 >"$1" || exit 125; shift; done
unset PWD OLDPWD; shift; exec "$@"`;
/** The first process of a process namespace: the kernel keeps signals from it, so it must not be the stage itself. */
const INIT = 'unset PWD OLDPWD; "$@"; exit $?';

export type Launch = {
  /** Before program and arguments; `joinFiles` are those of the stage's group. */
  readonly wrap: (joinFiles: readonly string[]) => string[];
  readonly noNetwork: boolean;
  /** All that a stage starts ends with it, since it has a process namespace of its own. */
  readonly ownProcesses: boolean;
  readonly noCapabilities: boolean;
};

export type LaunchOptions = {
  /** Of the agent: where the tools are found. */
  readonly path: string;
  readonly isRoot: boolean;
  /** An image of nothing but the runner has none, and with it none of the tools: its stages are started as they are. */
  readonly hasShell: boolean;
  readonly user?: StageUser | undefined;
  readonly limits: StageLimits;
  /** Whether cgroups bound memory and processes, and end all that a stage has started. */
  readonly grouped: { readonly memory: boolean; readonly processes: boolean; readonly kill: boolean };
};

/** Tries what works here. */
export async function findLaunch(options: LaunchOptions): Promise<Launch> {
  const { path, isRoot, hasShell, user, limits, grouped } = options;
  const tool = async (name: string, ...args: string[]): Promise<string[]> => {
    const program = await findProgram(name, path);
    const prefix = program === undefined ? [] : [program, ...args];
    return prefix.length > 0 && (await works(prefix)) ? prefix : [];
  };
  const users = isRoot ? [] : ['--user', '--map-current-user'];
  const own = ['--pid', '--fork', '--kill-child'];
  const spaces = grouped.kill ? [[]] : [[...own, '--mount-proc'], own, []];
  let apart: string[] = [];
  for (const space of spaces) {
    apart = await tool('unshare', ...users, '--net', ...space);
    if (apart.length > 0) break;
  }
  const ownProcesses = apart.includes('--pid');
  const rlimits = [
    '--core=0',
    ...(limits.memoryBytes === undefined || grouped.memory ? [] : [`--data=${limits.memoryBytes}`]),
    ...(limits.workBytes === undefined ? [] : [`--fsize=${limits.workBytes}`]),
    // Counted over all processes of a user: only one that has nothing else can be bounded so.
    ...(user === undefined || grouped.processes ? [] : [`--nproc=${limits.processes}`]),
  ];
  const dropped = isRoot ? ['--bounding-set=-all', '--inh-caps=-all'] : [];
  const became = user === undefined ? [] : ['--reuid', String(user.uid), '--regid', String(user.gid), '--clear-groups'];
  const rights = await tool('setpriv', '--no-new-privs', ...dropped, ...became);
  if (user !== undefined && rights.length === 0) {
    throw new Error(
      `stages cannot run as user ${user.name}: setpriv (util-linux) is missing or not allowed to; install it, start the runner as root, or leave runner.user out`,
    );
  }
  const after = [
    ...(ownProcesses ? ['/bin/sh', '-c', INIT, 'sh'] : []),
    ...(await tool('prlimit', ...rlimits)),
    // Heartbeats and transfers go first.
    ...(await tool('nice', '-n', '10')),
    ...(await tool('ionice', '-t', '-c', '2', '-n', '7')),
    ...rights,
  ];
  return {
    wrap: (joinFiles) => (hasShell ? ['/bin/sh', '-c', JOIN, 'sh', ...joinFiles, '--', ...apart, ...after] : []),
    noNetwork: apart.includes('--net'),
    ownProcesses,
    noCapabilities: !isRoot || rights.length > 0,
  };
}

/** A program by its path, or by its name in the folders of `path`; undefined: there is none that can be run. */
export async function findProgram(name: string, path: string): Promise<string | undefined> {
  const candidates = name.includes('/') ? [name] : path.split(delimiter).map((folder) => join(folder, name));
  for (const candidate of candidates) {
    const isFile = await stat(candidate).then(
      (found) => found.isFile(),
      () => false,
    );
    if (!isFile) continue;
    const canRun = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (canRun) return candidate;
  }
  return undefined;
}

async function works([program = '', ...args]: readonly string[]): Promise<boolean> {
  return promisify(execFile)(program, [...args, '/bin/sh', '-c', ':'], { timeout: 5_000 }).then(
    () => true,
    () => false,
  );
}
