/** The container engine and its images: what is said when one of them is not as it should be, and what is left alone. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type ContainerExecutorOptions, openContainerExecutor } from '../../src/runners/container-executor.ts';
import type { OpenExecutor, StageExit } from '../../src/runners/executor.ts';
import { NEEDS_PODMAN, type Podman, hasPodman, startPodman } from './podman.ts';

test('where nobody listens it is said which socket', async () => {
  const options = { socketPath: '/nowhere/engine.sock', image: `sha256:${'0'.repeat(64)}` };
  await expect(openContainerExecutor({ ...base(), ...options })).rejects.toThrow('no container engine answers at /nowhere/engine.sock');
});

const base = (): Omit<ContainerExecutorOptions, 'socketPath' | 'image'> => ({
  id: '00000000000000e1',
  environment: {},
  graceMs: 300,
  limits: { processes: 100 },
  log: () => undefined,
});

describe.runIf(hasPodman)(`on podman (${NEEDS_PODMAN})`, { timeout: 90_000 }, () => {
  let podman: Podman;
  let folder = '';
  const opened: OpenExecutor[] = [];
  beforeAll(async () => {
    podman = await startPodman();
  }, 120_000);
  afterAll(async () => podman?.close(), 120_000);
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'engine-'));
  });
  afterEach(async () => {
    for (const executor of opened.splice(0)) await executor.close();
    await rm(folder, { recursive: true, force: true });
  });

  const open = async (options: Partial<ContainerExecutorOptions>): Promise<OpenExecutor> => {
    const all = { ...base(), socketPath: podman.socketPath, image: podman.image.byId, ...options };
    const executor = await openContainerExecutor(all);
    opened.push(executor);
    return executor;
  };
  const run = async (
    { executor }: OpenExecutor,
    args: readonly string[],
    onLine = (_line: string): void => undefined,
  ): Promise<StageExit> => {
    const workDir = join(folder, 'work');
    await mkdir(workDir, { recursive: true });
    return executor.run({ program: 'unused', args, workDir, request: '', signal: new AbortController().signal, onLine });
  };

  test('an image by its tag is refused: it can become another one', async () => {
    await expect(open({ image: podman.image.byTag })).rejects.toThrow(/named by a tag.*NAME@sha256/);
  });

  test('one that is not there and cannot be pulled is named', async () => {
    const image = `localhost/none@sha256:${'0'.repeat(64)}`;
    await expect(open({ image })).rejects.toThrow(/localhost\/none@sha256:0.*(cannot be pulled|does not have)/);
    await expect(open({ image: `sha256:${'0'.repeat(64)}` })).rejects.toThrow('name its archive with runner.container_archive');
  });

  test('containers of others stay, also those of another data folder', async () => {
    const label = 'sealpool.data=00000000000000e2';
    const other = podman.run('create', '--network', 'none', '--label', label, podman.image.byTag);
    const ours = podman.run('create', '--network', 'none', '--label', 'sealpool.data=00000000000000e1', podman.image.byTag);
    await open({});
    const left = podman.run('ps', '--all', '--quiet', '--no-trunc').split('\n');
    expect([left.includes(other), left.includes(ours)]).toEqual([true, false]);
    podman.run('rm', other);
  });

  test('a stage whose program is not in the image cannot be started; no container stays', async () => {
    const before = podman.run('ps', '--all', '--quiet');
    const executor = await open({ limits: { processes: 100, memoryBytes: 1 } });
    await expect(run(executor, ['-c', 'echo'])).rejects.toMatchObject({
      code: 'program_missing',
      message: expect.stringContaining('cannot be started'),
    });
    expect(podman.run('ps', '--all', '--quiet')).toBe(before);
  });

  const ours = (...more: string[]): string => podman.run('ps', ...more, '--quiet', '--filter', 'label=sealpool.data=00000000000000e1');

  test('an engine that starts anew under a stage is waited for: the stage goes on, and what it answers is heard', async () => {
    const executor = await open({});
    let lines = 0;
    const script = 'while [ ! -e go ]; do echo tick >&2; sleep 0.1; done; echo heard';
    const stage = run(executor, ['-c', script], () => (lines += 1));
    // Its engine may go before it has written down that the container runs.
    await expect.poll(() => lines > 0 && ours(), { timeout: 30_000 }).toMatch(/./);
    await podman.stopService();
    await podman.startService();
    const before = lines;
    await expect.poll(() => lines, { timeout: 30_000 }).toBeGreaterThan(before);
    await writeFile(join(folder, 'work', 'go'), '');
    expect(await stage).toMatchObject({ code: 0, stdout: 'heard\n' });
    expect(ours('--all')).toBe('');
  });

  test('an engine that stays away fails the stage, and what it left is removed once it is back', async () => {
    const executor = await open({ sweepMs: 200, patience: { awayMs: 300, killMs: 5_000, answerMs: 30_000 } });
    const stopped: Promise<void>[] = [];
    const stage = run(executor, ['-c', 'echo ready >&2; exec sleep 1000'], () => stopped.push(podman.stopService()));
    await expect(stage).rejects.toMatchObject({ code: 'internal', message: expect.stringContaining('container engine') });
    await Promise.all(stopped);
    expect(ours('--all')).not.toBe('');
    await podman.startService();
    await expect.poll(() => ours('--all'), { timeout: 30_000, interval: 200 }).toBe('');
  });

  // The last one: the image goes, and comes back without its tag's digest.
  test('one that is not there is loaded from its archive, and refused where that holds another one', async () => {
    const archive = join(folder, 'image.tar');
    podman.run('save', '--quiet', '--output', archive, podman.image.byTag);
    podman.run('rmi', '--force', podman.image.byTag);
    await expect(open({ image: `sha256:${'0'.repeat(64)}`, archive })).rejects.toThrow(`${archive} holds another one`);
    podman.run('rmi', '--force', '--ignore', podman.image.byTag);
    const executor = await open({ image: podman.image.byId, archive });
    // Whoever has read a request is heard: podman takes the connection up at its leisure.
    expect(await run(executor, ['-c', 'cat > /dev/null; echo loaded'])).toMatchObject({ code: 0, stdout: 'loaded\n' });
  });
});
