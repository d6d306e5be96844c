/** Control groups, NUMA nodes and huge pages, from trees as the kernel shows them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cgroupLimits } from '../../src/runners/cgroup.ts';
import { within } from '../../src/runners/resources.ts';
import { topology } from '../../src/runners/topology.ts';

const GIB = 2 ** 30;

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'kernel-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function tree(files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${content}\n`);
  }
}

const limits = () => cgroupLimits({ root: join(root, 'cgroup'), self: join(root, 'self') });

test('version 2: the tightest of the group and all above it', async () => {
  tree({
    self: '0::/system.slice/runner.service',
    'cgroup/cpuset.cpus.effective': '0-63',
    'cgroup/system.slice/memory.max': String(96 * GIB),
    'cgroup/system.slice/cpu.max': '800000 100000',
    'cgroup/system.slice/runner.service/memory.max': 'max',
    'cgroup/system.slice/runner.service/cpu.max': 'max 100000',
    'cgroup/system.slice/runner.service/cpuset.cpus.effective': '0-15,32',
  });
  expect(await limits()).toEqual({ ramBytes: 96 * GIB, cores: 8 });
});

test('version 2 in a container: its own group is the root', async () => {
  tree({ self: '0::/', 'cgroup/memory.max': String(8 * GIB), 'cgroup/cpu.max': '150000 100000', 'cgroup/cpuset.cpus.effective': '0-3' });
  expect(await limits()).toEqual({ ramBytes: 8 * GIB, cores: 2 });
  // A path that only the host sees, and one outside of the container's own.
  tree({ self: '0::/docker/0123456789abcdef' });
  expect(await limits()).toEqual({ ramBytes: 8 * GIB, cores: 2 });
  tree({ self: '0::/../../other' });
  expect(await limits()).toEqual({ ramBytes: 8 * GIB, cores: 2 });
});

test('a part of a core is one', async () => {
  tree({ self: '0::/', 'cgroup/cpu.max': '20000 100000' });
  expect(await limits()).toEqual({ cores: 1 });
});

test('version 1: memory, quota and set are in trees of their own', async () => {
  tree({
    self: '12:cpuset:/pod\n5:cpu,cpuacct:/pod/one\n3:memory:/pod/one\n1:name=systemd:/pod/one\n0::/pod/one',
    'cgroup/memory/memory.limit_in_bytes': '9223372036854771712',
    'cgroup/memory/pod/memory.limit_in_bytes': String(64 * GIB),
    'cgroup/memory/pod/one/memory.limit_in_bytes': String(32 * GIB),
    'cgroup/cpu/pod/one/cpu.cfs_quota_us': '-1',
    'cgroup/cpu/pod/one/cpu.cfs_period_us': '100000',
    'cgroup/cpu/pod/cpu.cfs_quota_us': '1600000',
    'cgroup/cpu/pod/cpu.cfs_period_us': '100000',
    'cgroup/cpuset/pod/cpuset.cpus': '2,4,6-9',
  });
  expect(await limits()).toEqual({ ramBytes: 32 * GIB, cores: 6 });
});

test('version 1 in a container, whose groups the host names otherwise', async () => {
  tree({
    self: '3:memory:/docker/abc\n5:cpu,cpuacct:/docker/abc',
    'cgroup/memory/memory.limit_in_bytes': String(4 * GIB),
    'cgroup/cpu/cpu.cfs_quota_us': '250000',
    'cgroup/cpu/cpu.cfs_period_us': '100000',
  });
  expect(await limits()).toEqual({ ramBytes: 4 * GIB, cores: 3 });
});

test('no groups, and files that say nothing, are no limits', async () => {
  expect(await limits()).toEqual({});
  tree({ self: '0::/', 'cgroup/memory.max': 'max', 'cgroup/cpu.max': 'what', 'cgroup/cpuset.cpus.effective': '' });
  expect(await limits()).toEqual({});
});

test('limits count before totals, and more than there is is not there', () => {
  const totals = { cores: 4, ramBytes: 16 * GIB };
  expect(within({}, totals)).toEqual(totals);
  expect(within({ cores: 2, ramBytes: 96 * GIB }, totals)).toEqual({ cores: 2, ramBytes: 16 * GIB });
});

test('NUMA nodes, and huge pages by size, without sizes there are none of', async () => {
  tree({
    'sys/devices/system/node/online': '0-1,3',
    'sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages': '64',
    'sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages': '60',
    'sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages': '0',
    'sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages': '0',
  });
  expect(await topology(join(root, 'sys'), join(root, 'proc'))).toEqual({
    numaNodes: 3,
    hugepages: [{ sizeBytes: GIB, total: 64, free: 60 }],
  });
});

test('where /sys is hidden, what meminfo says; where that is too, nothing', async () => {
  expect(await topology(join(root, 'sys'), join(root, 'proc'))).toEqual({});
  tree({ 'proc/meminfo': 'MemTotal:       131891884 kB\nHugePages_Total:    1024\nHugePages_Free:      512\nHugepagesize:       2048 kB' });
  expect(await topology(join(root, 'sys'), join(root, 'proc'))).toEqual({ hugepages: [{ sizeBytes: 2 ** 21, total: 1024, free: 512 }] });
});
