/** Runners in containers with nothing but the documented environment: a clean one that runs runner.sh, and the runner image. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { RunnerView } from '../../src/api/client.ts';
import { REAL_PROVER } from '../replay-prover/replay-prover.ts';
import { BareHost, HandedOut, programPath } from './bare-host.ts';
import { LIMITS, NO_PODMAN, PODMAN, ended, logsOf, podman } from './podman.ts';
import { Deployment, ROOT } from './processes.ts';

const MOST_MS = 180_000;
const STAGES = '["AddPiece", "BuildTreeD", "PC1"]';
/** Two sectors at a time: those that wait for a proof hold their thread. */
const WORKERS = '[{ name = "local", threads = 2 }]';
const CLEAN = 'localhost/sealpool-clean-host:test';
const IMAGE = 'localhost/sealpool-runner:test';
const NAME = `sealpool-test-${process.pid}`;
const BUSYBOX = programPath('busybox');

let folder: string;
let tar: string;
let handed: HandedOut;
let deployment: Deployment;

/** Image, agent and prover; `handed.prover` stays the script that only this machine can run. */
beforeAll(async () => {
  if (NO_PODMAN !== undefined) return;
  folder = mkdtempSync(join(tmpdir(), 'sealpool-containers-'));
  handed = new HandedOut(join(folder, 'handed'));
  await handed.write('1.0');
  tar = join(folder, 'image.tar');
  const build = join(ROOT, 'runner-image/build-runner-image.sh');
  execFileSync(build, [process.execPath, IMAGE, tar, handed.agent, REAL_PROVER], { stdio: 'pipe' });
}, MOST_MS);
afterAll(async () => {
  if (NO_PODMAN !== undefined) return;
  const loaded = `localhost/sealpool-runner:${createHash('sha256').update(readFileSync(tar)).digest('hex')}`;
  await podman(['rmi', '--force', '--ignore', CLEAN, IMAGE, loaded]);
  rmSync(folder, { recursive: true, force: true });
}, MOST_MS);
afterEach(async () => {
  await podman(['rm', '--force', '--ignore', '--time', '0', NAME]);
  await podman(['volume', 'rm', '--force', NAME]);
  await deployment.end();
}, MOST_MS);

async function deploy(settings: Record<string, string> = {}): Promise<Deployment> {
  deployment = await Deployment.start({
    settings: { SEALPOOL_AGENT: handed.agent, SEALPOOL_PROVER: REAL_PROVER, SEALPOOL_WORKERS: WORKERS, ...settings },
  });
  return deployment;
}

const token = async (): Promise<string> => (await deployment.client.createJoinToken({ trust: 'own' })).token;

async function soon<T>(read: () => Promise<T | undefined>, said: () => string): Promise<T> {
  const limit = Date.now() + MOST_MS;
  for (;;) {
    const found = await read().catch(() => undefined);
    if (found !== undefined) return found;
    if (Date.now() > limit) throw new Error(`it did not come to that; the container says:\n${said()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const registered = (holds: (runner: RunnerView) => boolean = () => true, said = (): string => logsOf(NAME)): Promise<RunnerView> =>
  soon(async () => (await deployment.client.runners()).items.find(holds), said);

/** The first stages of a sector, all by this runner. */
async function sealsABit({ id }: RunnerView): Promise<void> {
  const [job] = (await deployment.pledge()) as [string];
  const { attempts } = await deployment.until(job, (detail) =>
    detail.attempts.some(({ stage, status }) => stage === 'PC1' && status === 'done'),
  );
  expect(attempts.map(({ stage, status, runner }) => [stage, status, runner])).toEqual(
    ['AddPiece', 'BuildTreeD', 'PC1'].map((stage) => [stage, 'done', id]),
  );
}

/** An image with Node, busybox and what these load; no certificates, no users, no home. */
async function cleanHost(): Promise<void> {
  const context = join(folder, 'clean');
  const root = join(context, 'root');
  mkdirSync(join(root, 'bin'), { recursive: true });
  const layOut = (program: string, path: string) => execFileSync(join(ROOT, 'runner-image/lay-out.sh'), [program, root, path]);
  layOut(process.execPath, '/bin/node');
  execFileSync('cp', ['-L', BUSYBOX as string, join(root, 'bin/busybox')]);
  const applets = ['sh', 'wget', 'sha256sum', 'uname', 'mkdir', 'rm', 'mv', 'chmod', 'sleep', 'env', 'sed', 'id'];
  for (const applet of applets) symlinkSync('busybox', join(root, 'bin', applet));
  writeFileSync(join(context, 'Containerfile'), 'FROM scratch\nCOPY root/ /\nENV PATH=/bin\n');
  await podman(['build', '--quiet', '--tag', CLEAN, context]);
}

describe.runIf(NO_PODMAN === undefined)('runners in containers', () => {
  test.runIf(BUSYBOX !== undefined)('runner.sh on a clean one with Node, busybox and its wget', { timeout: 2 * MOST_MS }, async () => {
    await cleanHost();
    const { url } = await deploy();
    const secret = await token();
    const run = [
      'run',
      ...LIMITS,
      '--detach',
      '--name',
      NAME,
      '--network=host',
      '--env',
      'SEALPOOL_RUNNER_JOIN_TOKEN',
      '--env',
      'SEALPOOL_RUNNER_STAGES',
    ];
    await podman([...run, CLEAN, 'sh', '-c', `wget -qO- ${url}/runner.sh | sh`], {
      SEALPOOL_RUNNER_JOIN_TOKEN: secret,
      SEALPOOL_RUNNER_STAGES: STAGES,
    });
    const runner = await registered();
    expect(runner.agentVersion).toBe('1.0');
    await sealsABit(runner);
    expect(logsOf(NAME)).not.toContain(secret);
  });

  /** As docs/operating.md says it, but for the stages. */
  const IMAGE_RUN = [
    'run',
    ...LIMITS,
    '--detach',
    '--name',
    NAME,
    '--network=host',
    '--read-only',
    '--tmpfs',
    '/tmp',
    '--cap-drop=ALL',
    '--security-opt=no-new-privileges',
    '--volume',
    `${NAME}:/data`,
    '--env',
    'SEALPOOL_URL',
    '--env',
    'SEALPOOL_RUNNER_JOIN_TOKEN',
    '--env',
    'SEALPOOL_RUNNER_STAGES',
  ];

  test(
    'the image registers from its environment, as nobody on a read-only root, and is upgraded in place',
    { timeout: 3 * MOST_MS },
    async () => {
      await handed.write('1.0');
      const { url, client, controlPlane } = await deploy();
      const secret = await token();
      expect(secret.length).toBeLessThanOrEqual(256);
      await podman([...IMAGE_RUN, IMAGE], { SEALPOOL_URL: url, SEALPOOL_RUNNER_JOIN_TOKEN: secret, SEALPOOL_RUNNER_STAGES: STAGES });
      const runner = await registered(({ resources }) => resources.network !== undefined);
      expect(runner).toMatchObject({ agentVersion: '1.0', resources: { gpus: [] } });
      expect(await podman(['inspect', '--format', '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}}', NAME])).toBe('65532:65532 true');
      await sealsABit(runner);
      await controlPlane.end('SIGTERM');
      await handed.write('2.0');
      await controlPlane.start();
      expect((await registered(({ agentVersion }) => agentVersion === '2.0')).id).toBe(runner.id);
      await sealsABit(runner);
      await podman(['stop', '--time', '30', NAME]);
      expect(await ended(NAME)).toBe(0);
      // A container that is made anew on its volume is the same runner, without a token, and upgrades itself again.
      await podman(['rm', NAME]);
      await podman([...IMAGE_RUN, IMAGE], { SEALPOOL_URL: url, SEALPOOL_RUNNER_JOIN_TOKEN: '', SEALPOOL_RUNNER_STAGES: STAGES });
      await registered(({ agentVersion }) => agentVersion === '1.0');
      await registered(({ agentVersion }) => agentVersion === '2.0');
      expect((await client.runners()).items).toHaveLength(1);
      expect(logsOf(NAME)).not.toContain(secret);
    },
  );

  test('runner.sh on a host with podman and without Node takes the image from the control plane', { timeout: 2 * MOST_MS }, async () => {
    await handed.write('1.0');
    const { url } = await deploy({ SEALPOOL_RUNNER_IMAGE: tar });
    const host = new BareHost(join(folder, 'engine'), ['curl', 'sha256sum']);
    // Podman finds the container runtime on this machine's PATH, and the test finds the container by its name.
    host.program(
      'podman',
      `PATH='${process.env['PATH']}'\n[ "$1" != run ] || { shift; set -- run ${LIMITS.join(' ')} --name ${NAME} "$@"; }\nexec ${PODMAN} "$@"`,
    );
    const secret = await token();
    host.run(await (await fetch(`${url}/runner.sh`)).text(), {
      SEALPOOL_RUNNER_JOIN_TOKEN: secret,
      SEALPOOL_RUNNER_STAGES: STAGES,
      SEALPOOL_RUNNER_NAME: 'engine',
    });
    const runner = await registered(
      ({ name }) => name === 'engine',
      () => host.output,
    );
    expect(runner.agentVersion).toBe('1.0');
    await sealsABit(runner);
    // Its arguments are seen by every user of the host.
    expect(readFileSync(`/proc/${host.pid}/cmdline`, 'utf8')).toContain('--network=host');
    // The engine's own 10 s are too short for outputs that are on their way.
    expect(await podman(['inspect', '--format', '{{.Config.StopTimeout}}', NAME])).toBe('45');
    expect(readFileSync(`/proc/${host.pid}/cmdline`, 'utf8')).not.toContain(secret);
    expect(await host.end('SIGTERM')).toBe(0);
    chmodSync(join(host.home, 'sealpool-runner'), 0o700);
  });
});

test('without podman these tests say so', () => {
  if (NO_PODMAN !== undefined && process.env['CI'] === 'true') throw new Error(`${NO_PODMAN}; install it (apt-get install podman)`);
});
