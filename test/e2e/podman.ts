/** Podman for tests of runners: images of this machine's own files, containers that are gone afterwards. */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import { programPath } from './bare-host.ts';

const RUNTIME = programPath('runc') ?? ['/usr/sbin/runc', '/sbin/runc'].find((path) => existsSync(path));
/** Where both are, runc: crun needs more of the kernel than a container in a container has. */
const FIRST = RUNTIME === undefined ? [] : ['--runtime', RUNTIME];

/** For `run`: a container in a container may not raise what podman would raise. */
export const LIMITS = ['--ulimit=nofile=1024:1024', '--ulimit=nproc=1024:1024'];

/** Why there is no podman here; undefined: there is. */
export const NO_PODMAN = spawnSync('podman', ['--version']).status === 0 ? undefined : 'podman is missing';

/** The command line that means podman here, for a script. */
export const PODMAN = ['podman', ...FIRST].join(' ');

/** Runs podman to its end; `variables` are in its environment. Rejects with what it says when it fails. */
export async function podman(args: readonly string[], variables: Readonly<Record<string, string>> = {}): Promise<string> {
  const { stdout } = await promisify(execFile)('podman', [...FIRST, ...args], {
    env: { ...process.env, ...variables },
    maxBuffer: 2 ** 24,
  });
  return stdout.trim();
}

/** Both streams of a container so far. */
export function logsOf(name: string): string {
  const { stdout, stderr } = spawnSync('podman', ['logs', name], { encoding: 'utf8' });
  return stdout + stderr;
}

/** Its exit code once it has ended. */
export async function ended(name: string): Promise<number> {
  return Number(await podman(['wait', name]));
}
