/** A Podman service of its own for one test file, with a small image of busybox made from nothing. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { vi } from 'vitest';
import { ContainerEngine } from '../../src/runners/container-engine.ts';

const BUSYBOX = '/bin/busybox';
const APPLETS = ['sh', 'cat', 'dd', 'env', 'grep', 'head', 'id', 'ls', 'setsid', 'sleep', 'tail', 'wc'];

const succeeds = (program: string, ...args: string[]): boolean => spawnSync(program, args).status === 0;
/** Podman, its runtime, and a busybox that needs no libraries. */
export const hasPodman =
  process.getuid?.() === 0 && succeeds('podman', '--version') && succeeds('runc', '--version') && succeeds(BUSYBOX, 'true');
export const NEEDS_PODMAN = 'needs root, podman, runc and busybox-static';

export type Podman = {
  readonly socketPath: string;
  /** Of the image, whose entry point is a shell. */
  readonly image: { readonly byDigest: string; readonly byId: string; readonly byTag: string };
  /** Builds the prover's own image on the same storage; answers its name by digest. */
  buildProver(program: string): Promise<string>;
  /** The podman command on the same storage; answers what it printed. */
  run(...args: string[]): string;
  stopService(): Promise<void>;
  startService(): Promise<void>;
  close(): Promise<void>;
};

/** Builds the image and starts the service. */
export async function startPodman(): Promise<Podman> {
  const folder = await mkdtemp(join(tmpdir(), 'podman-'));
  await writeFile(join(folder, 'containers.conf'), '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]\n');
  const env = { ...process.env, CONTAINERS_CONF: join(folder, 'containers.conf') };
  const store = ['--runtime', 'runc', '--root', join(folder, 'store'), '--runroot', join(folder, 'run')];
  const run = (...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync('podman', [...store, ...args], { env, encoding: 'utf8' });
    if (status !== 0) throw new Error(`podman ${args.join(' ')}: ${stderr}`);
    return stdout.trim();
  };
  await makeImage(join(folder, 'image'), (context) => run('build', '--quiet', '--tag', 'stage:test', context));
  const [digest, id] = run('image', 'inspect', 'stage:test', '--format', '{{.Digest}} {{.Id}}').split(' ');
  const socketPath = join(folder, 'engine.sock');
  let service: ChildProcess | undefined;
  const startService = async (): Promise<void> => {
    service = spawn('podman', [...store, 'system', 'service', '--time', '0', `unix://${socketPath}`], {
      env,
      cwd: folder,
      stdio: 'ignore',
    });
    await vi.waitFor(async () => (await ContainerEngine.open(socketPath)).close(), { timeout: 45_000, interval: 50 });
  };
  const stopService = async (): Promise<void> => {
    if (service !== undefined) await killed(service);
    service = undefined;
  };
  const close = async (): Promise<void> => {
    run('rm', '--all', '--force', '--time', '0');
    await stopService();
    spawnSync('umount', [join(folder, 'store/overlay')]);
    await rm(folder, { recursive: true, force: true });
  };
  await startService().catch(async (error: unknown) => {
    await close();
    throw error;
  });
  return {
    socketPath,
    image: { byDigest: `localhost/stage@${digest}`, byId: `sha256:${id}`, byTag: 'localhost/stage:test' },
    run,
    buildProver: async (program) => {
      const podman = join(folder, 'podman');
      await writeFile(podman, `#!/bin/sh\nexec podman ${store.join(' ')} "$@"\n`, { mode: 0o755 });
      const script = join(import.meta.dirname, '../../runner-image/build-image.sh');
      const { status, stderr } = spawnSync(script, [program, 'prover:test'], { env: { ...env, PODMAN: podman }, encoding: 'utf8' });
      if (status !== 0) throw new Error(`build-image.sh: ${stderr}`);
      return `localhost/prover@${run('image', 'inspect', 'prover:test', '--format', '{{.Digest}}')}`;
    },
    startService,
    stopService,
    close,
  };
}

async function makeImage(context: string, build: (context: string) => void): Promise<void> {
  const bin = join(context, 'root/bin');
  await mkdir(bin, { recursive: true });
  for (const name of ['work', 'tmp', 'cache']) await mkdir(join(context, 'root', name));
  await chmod(join(context, 'root/tmp'), 0o1777);
  await cp(BUSYBOX, join(bin, 'busybox'), { dereference: true });
  for (const applet of APPLETS) await symlink('busybox', join(bin, applet));
  await writeFile(join(context, 'Containerfile'), 'FROM scratch\nCOPY root/ /\nENTRYPOINT ["/bin/sh"]\n');
  build(context);
}

function killed(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}
