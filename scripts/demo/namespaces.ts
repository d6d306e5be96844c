/**
 * Machines that cannot reach each other, on one machine: the demo runs in a network namespace of its own, the hub, and
 * each runner in a further one, with one cable to the hub and a route to the control plane's address alone. The hub
 * forwards nothing. Kernel, network and processes of it end with the hub, however that ends.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';

/** Where the control plane listens: an address of the hub itself. */
export const HUB_ADDRESS = '10.91.0.1';
const INSIDE = 'DEMO_INSIDE_HUB';
const NEW_HUB = ['--net', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];

/** What stands against namespaces here, as a sentence; undefined: nothing. */
export function missingHere(): string | undefined {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux; run make demo without TOPOLOGY here';
  for (const tool of ['unshare', 'nsenter', 'ip']) {
    if (spawnSync('which', [tool]).status !== 0)
      return `${tool} is missing for network namespaces; install util-linux and iproute2 (Debian: apt-get install iproute2)`;
  }
  // As the hub will do it: a cable between two namespaces.
  const cable =
    'ip link set lo up && unshare --net sh -c "sleep 5" & sleep 0.2; ip link add cable type veth peer name up netns $!; exit $?';
  const tried = spawnSync('unshare', [...NEW_HUB, 'sh', '-c', cable], { encoding: 'utf8' });
  if (tried.status === 0) return undefined;
  return `network namespaces cannot be made here (${tried.stderr.trim().split('\n')[0] ?? 'refused'}); run it as root on a machine or in a container that allows it`;
}

export const isInside = (): boolean => process.env[INSIDE] === '1';

/** Runs this very program again inside a new hub; answers its exit code. */
export function runInHub(): Promise<number> {
  // The channel ends it with us, even after a kill -9.
  const child = spawn('unshare', [...NEW_HUB, process.execPath, '--disable-warning=ExperimentalWarning', ...process.argv.slice(1)], {
    env: { ...process.env, [INSIDE]: '1' },
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  const pass = (): void => {
    if (child.connected) child.send('end');
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, pass);
  return new Promise((resolve) => child.once('close', (code) => resolve(code ?? 1)));
}

/** Aborts when the demo outside is asked to end, or is gone. */
export function endOfOutside(): AbortSignal {
  const over = new AbortController();
  process.on('message', () => over.abort());
  process.on('disconnect', () => over.abort());
  // It must not keep an orderly end waiting.
  process.channel?.unref();
  return over.signal;
}

/** Prepares the hub. */
export function openHub(): void {
  ip('link', 'set', 'lo', 'up');
  ip('addr', 'add', `${HUB_ADDRESS}/32`, 'dev', 'lo');
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '0');
}

/** A program that begins once its namespace has a cable. */
export function spawnApart(program: string, args: readonly string[], env: Record<string, string>): ChildProcess {
  return spawn('unshare', ['--net', 'sh', '-c', 'read go && exec "$@"', 'sh', program, ...args], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** Address of the machine with this number, at its end of the cable. */
export const addressOf = (machine: number): string => `10.91.${machine}.2`;

/** Lays the cable between hub and machine, and lets its program begin. */
export async function connect(child: ChildProcess, machine: number): Promise<void> {
  const pid = String(child.pid);
  await ownNamespace(pid);
  const cable = `m${machine}`;
  ip('link', 'add', cable, 'type', 'veth', 'peer', 'name', 'cable', 'netns', pid);
  ip('addr', 'add', `10.91.${machine}.1/30`, 'dev', cable);
  ip('link', 'set', cable, 'up');
  inside(pid, 'ip', 'link', 'set', 'lo', 'up');
  inside(pid, 'ip', 'addr', 'add', `${addressOf(machine)}/30`, 'dev', 'cable');
  inside(pid, 'ip', 'link', 'set', 'cable', 'up');
  inside(pid, 'ip', 'route', 'add', `${HUB_ADDRESS}/32`, 'via', `10.91.${machine}.1`);
  child.stdin?.end('go\n');
}

/** Runs a program in the namespace of a process; answers what it printed. */
export function inside(pid: string, ...command: string[]): string {
  return execFileSync('nsenter', ['-t', pid, '-n', ...command], { encoding: 'utf8' });
}

function ip(...args: string[]): void {
  execFileSync('ip', args);
}

/** `unshare` has done its work once the process is in another namespace than we are. */
async function ownNamespace(pid: string): Promise<void> {
  const of = (process: string): string => spawnSync('readlink', [`/proc/${process}/ns/net`], { encoding: 'utf8' }).stdout;
  const ours = of('self');
  while (of(pid) === ours) await new Promise((resolve) => setTimeout(resolve, 10));
}
