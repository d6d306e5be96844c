/** What the control groups of this process allow: a container sees the whole machine's totals and may use less. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Undefined: no limit, or none that can be read. */
export type Limits = { readonly ramBytes?: number; readonly cores?: number };

export type CgroupPlaces = {
  /** `/sys/fs/cgroup` */
  readonly root: string;
  /** `/proc/self/cgroup` */
  readonly self: string;
};

const USUAL: CgroupPlaces = { root: '/sys/fs/cgroup', self: '/proc/self/cgroup' };

/** The tightest limits of this process's groups and all above them, of version 1 and 2. */
export async function cgroupLimits(places: CgroupPlaces = USUAL): Promise<Limits> {
  const lines = ((await text(places.self)) ?? '').trim().split('\n');
  const found: Limits[] = [];
  for (const line of lines) {
    const [, controllers = '', path = ''] = /^[0-9]+:([^:]*):(.*)$/.exec(line) ?? [];
    const names = controllers.split(',');
    if (controllers === '') for (const folder of upwards(places.root, path)) found.push(await limitsOf2(folder));
    if (names.includes('memory')) for (const folder of upwards(join(places.root, 'memory'), path)) found.push(await memoryOf1(folder));
    if (names.includes('cpu')) for (const folder of upwards(join(places.root, 'cpu'), path)) found.push(await quotaOf1(folder));
    if (names.includes('cpuset'))
      for (const folder of upwards(join(places.root, 'cpuset'), path)) found.push(await setOf(folder, 'cpuset.cpus'));
  }
  const ramBytes = least(found.map((limits) => limits.ramBytes));
  const cores = least(found.map((limits) => limits.cores));
  return { ...(ramBytes === undefined ? {} : { ramBytes }), ...(cores === undefined ? {} : { cores }) };
}

/** The group and those above it. In a container the path may be one that only the host sees: then what is there is the root. */
function upwards(root: string, path: string): string[] {
  const folders = [root];
  // A group outside of the container's own is named with `..`.
  if (path.split('/').includes('..')) return folders;
  for (let at = join('/', path); at !== '/'; at = dirname(at)) folders.push(join(root, at));
  return folders;
}

async function limitsOf2(folder: string): Promise<Limits> {
  const [memory, cpu, set] = await Promise.all([
    text(join(folder, 'memory.max')),
    text(join(folder, 'cpu.max')),
    setOf(folder, 'cpuset.cpus.effective'),
  ]);
  const [quota, period] = (cpu ?? '').trim().split(/\s+/);
  const cores = least([coresOf(quota, period), set.cores]);
  const ramBytes = bytesOf(memory);
  return { ...(ramBytes === undefined ? {} : { ramBytes }), ...(cores === undefined ? {} : { cores }) };
}

async function memoryOf1(folder: string): Promise<Limits> {
  const ramBytes = bytesOf(await text(join(folder, 'memory.limit_in_bytes')));
  return ramBytes === undefined ? {} : { ramBytes };
}

async function quotaOf1(folder: string): Promise<Limits> {
  const [quota, period] = await Promise.all([text(join(folder, 'cpu.cfs_quota_us')), text(join(folder, 'cpu.cfs_period_us'))]);
  const cores = coresOf(quota?.trim(), period?.trim());
  return cores === undefined ? {} : { cores };
}

async function setOf(folder: string, name: string): Promise<Limits> {
  const cores = listed((await text(join(folder, name))) ?? '');
  return cores === 0 ? {} : { cores };
}

/** `max` and version 1's nine exabytes are no limit; nor is nothing. */
function bytesOf(given: string | undefined): number | undefined {
  const bytes = Number(given?.trim() || 'max');
  return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined;
}

/** A part of a core counts as one: there is always something to run on. `max` and -1 are no limit. */
function coresOf(quota: string | undefined, period: string | undefined): number | undefined {
  const cores = Math.ceil(Number(quota || 'max') / Number(period || 'max'));
  return Number.isFinite(cores) && cores > 0 ? cores : undefined;
}

/** How many numbers a list as `0-3,8` has. */
export function listed(list: string): number {
  return list
    .trim()
    .split(',')
    .reduce((sum, range) => {
      const [, first, last = first] = /^([0-9]+)(?:-([0-9]+))?$/.exec(range) ?? [];
      return first === undefined ? sum : sum + Number(last) - Number(first) + 1;
    }, 0);
}

function least(values: readonly (number | undefined)[]): number | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

async function text(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}
