/** NUMA nodes and huge pages, as the kernel tells them. */
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Resources } from '../schema/runner.ts';
import { listed } from './cgroup.ts';

type Topology = Pick<Resources, 'numaNodes' | 'hugepages'>;

const KIB = 1024;

/** `sys` and `proc`: where these are mounted. What cannot be read is left out. */
export async function topology(sys = '/sys', proc = '/proc'): Promise<Topology> {
  const [online, hugepages] = await Promise.all([read(join(sys, 'devices/system/node/online')), hugepagesOf(sys, proc)]);
  const numaNodes = listed(online ?? '');
  return { ...(numaNodes === 0 ? {} : { numaNodes }), ...(hugepages === undefined ? {} : { hugepages }) };
}

async function hugepagesOf(sys: string, proc: string): Promise<Topology['hugepages']> {
  const folder = join(sys, 'kernel/mm/hugepages');
  const names = await readdir(folder).catch(() => undefined);
  if (names === undefined) return fromMeminfo(await read(join(proc, 'meminfo')));
  const sizes = await Promise.all(
    names.map(async (name) => {
      const [, kibibytes] = /^hugepages-([0-9]{1,9})kB$/.exec(name) ?? [];
      const total = number(await read(join(folder, name, 'nr_hugepages')));
      const free = number(await read(join(folder, name, 'free_hugepages')));
      return { sizeBytes: Number(kibibytes ?? 0) * KIB, total, free };
    }),
  );
  return sizes
    .filter(({ sizeBytes, total }) => sizeBytes > 0 && total > 0)
    .toSorted((one, other) => one.sizeBytes - other.sizeBytes)
    .slice(0, 16);
}

/** The usual size only; where /sys is hidden, as in some containers. */
function fromMeminfo(meminfo: string | undefined): Topology['hugepages'] {
  if (meminfo === undefined) return undefined;
  const field = (name: string): number => number(new RegExp(`^${name}:\\s+([0-9]+)`, 'm').exec(meminfo)?.[1]);
  const page = { sizeBytes: field('Hugepagesize') * KIB, total: field('HugePages_Total'), free: field('HugePages_Free') };
  return page.total > 0 && page.sizeBytes > 0 ? [page] : [];
}

const number = (text: string | undefined): number => (/^[0-9]{1,15}$/.test(text?.trim() ?? '') ? Number(text) : 0);

async function read(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(() => undefined);
}
