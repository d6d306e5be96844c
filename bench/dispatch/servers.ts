/** Starts the servers of Debian's packages on free ports, with their data in a folder that goes afterwards. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface RunningServer {
  readonly port: number;
  stop(): Promise<void>;
}

/** A port of loopback that nobody listens on now. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** Resolves when `serves` says yes; rejects when `child` has ended before. */
async function serving(child: ChildProcess, name: string, serves: () => boolean): Promise<void> {
  while (!serves()) {
    if (child.exitCode !== null)
      throw new Error(`${name} ended with exit code ${child.exitCode} before it listened; start it by hand to see why`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Whether a client program says that its server answers. */
function answers(program: string, ...args: string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

function running(port: number, child: ChildProcess, folder: string): RunningServer {
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    port,
    stop: async () => {
      child.kill('SIGINT');
      await closed;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function need(program: string, found: string | undefined): string {
  if (found === undefined) throw new Error(`${program} is not installed; apt-get install what bench/dispatch/debian-packages.txt lists`);
  return found;
}

/** Redis that has every write on disk before it answers. */
export async function startRedis(): Promise<RunningServer> {
  const program = need('redis-server', ['/usr/bin/redis-server', '/usr/local/bin/redis-server'].find(existsSync));
  const folder = mkdtempSync(join(tmpdir(), 'bench-redis-'));
  const port = await freePort();
  const options = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--dir',
    folder,
    '--appendonly',
    'yes',
    '--appendfsync',
    'always',
    '--save',
    '',
  ];
  const child = spawn(program, options, { stdio: 'ignore' });
  await serving(child, 'redis-server', () => answers('/usr/bin/redis-cli', '-p', String(port), 'ping'));
  return running(port, child, folder);
}

/** PostgreSQL as it comes: fsync and synchronous_commit are on. It refuses to run as root, so root lends it to `postgres`. */
export async function startPostgres(): Promise<RunningServer> {
  const versions = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql').toSorted() : [];
  const bin = join('/usr/lib/postgresql', need('postgresql', versions.at(-1)), 'bin');
  const folder = mkdtempSync(join(tmpdir(), 'bench-postgres-'));
  const root = process.getuid?.() === 0;
  const id = (kind: '-u' | '-g'): number => Number(execFileSync('id', [kind, 'postgres'], { encoding: 'utf8' }));
  const as = root ? { uid: id('-u'), gid: id('-g') } : {};
  if (root) chownSync(folder, id('-u'), id('-g'));
  const data = join(folder, 'data');
  execFileSync(join(bin, 'initdb'), ['-D', data, '-U', 'bench', '--auth=trust', '-E', 'UTF8'], { ...as, cwd: folder, stdio: 'pipe' });
  const port = await freePort();
  const options = ['-D', data, '-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-c', `unix_socket_directories=${folder}`];
  const child = spawn(join(bin, 'postgres'), options, { ...as, cwd: folder, stdio: 'ignore' });
  await serving(child, 'postgres', () => answers(join(bin, 'pg_isready'), '-h', '127.0.0.1', '-p', String(port)));
  return running(port, child, folder);
}
