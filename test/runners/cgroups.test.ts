/** Finding cgroups in what the kernel says of them, and what a stage finds set that needs none. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readHierarchies } from '../../src/runners/cgroup-hierarchies.ts';
import { openWish } from './open-wish.ts';

const V2 = '29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot';

test('version 2 alone: the own group, below the mount', () => {
  expect(readHierarchies('0::/system.slice/runner.service\n', V2)).toEqual([
    { version: 2, folder: '/sys/fs/cgroup/system.slice/runner.service', controllers: ['memory', 'pids'] },
  ]);
});

test('in a container that sees a part of it only', () => {
  const part = '29 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw';
  expect(readHierarchies('0::/docker/abc\n', part)).toMatchObject([{ folder: '/sys/fs/cgroup' }]);
  expect(readHierarchies('0::/\n', V2)).toMatchObject([{ folder: '/sys/fs/cgroup' }]);
});

test('both versions: each controller where it is', () => {
  const mounts = [
    '30 25 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory',
    '31 25 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids',
    '32 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct',
    '33 25 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup rw',
  ].join('\n');
  expect(readHierarchies('9:pids:/\n4:memory:/a:b\n2:cpu,cpuacct:/\n1:name=systemd:/x\n0::/\n', mounts)).toEqual([
    { version: 1, folder: '/sys/fs/cgroup/pids', controllers: ['pids'] },
    { version: 1, folder: '/sys/fs/cgroup/memory/a:b', controllers: ['memory'] },
    { version: 2, folder: '/sys/fs/cgroup/unified', controllers: ['memory', 'pids'] },
  ]);
});

test('none', () => {
  expect(readHierarchies('', '')).toEqual([]);
});

test.runIf(process.getuid?.() === 0)('without cgroups the limits of the process count; a stage comes after the agent', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'launch-'));
  try {
    const workDir = join(dataDir, 'work');
    await mkdir(workDir);
    const limits = { memoryBytes: 2 ** 28, processes: 77, workBytes: 2 ** 20 };
    const opened = await openWish({ dataDir, id: '00000000000000b1', limits, user: '64321:64321', useCgroups: false });
    const { stdout } = await opened.executor.run({
      program: 'sh',
      args: [
        '-c',
        'cat /proc/self/limits; echo "adj $(cat /proc/self/oom_score_adj)"; echo "nice $(nice)"; echo "user $(id -u):$(id -g):$(id -G)"',
      ],
      workDir,
      request: '',
      signal: new AbortController().signal,
      onLine: () => undefined,
    });
    const said = (stdout ?? '').replaceAll(/ +/g, ' ');
    for (const line of ['Max core file size 0 0', 'Max data size 268435456', 'Max file size 1048576', 'Max processes 77 77'])
      expect(said).toContain(line);
    expect(said).toContain(`adj 500\nnice ${Math.min(19, getPriority() + 10)}\nuser 64321:64321:64321\n`);
  } finally {
    await rm(dataDir, { recursive: true });
  }
});
