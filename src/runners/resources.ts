/** What this machine has, and what of it this process may use. */
import { statfs } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import type { Resources } from '../schema/runner.ts';
import { type Limits, cgroupLimits } from './cgroup.ts';
import { findGpus } from './gpus.ts';
import { topology } from './topology.ts';

/** What stays as it is while the agent runs. */
export type Hardware = Omit<Resources, 'diskFreeBytes' | 'network'>;

/** Looks at the machine once. `environment`: where the tools of cards are looked for. */
export async function findHardware(environment: Readonly<Record<string, string | undefined>>): Promise<Hardware> {
  const [gpus, limits, more] = await Promise.all([findGpus(environment), cgroupLimits(), topology()]);
  return { ...within(limits, { cores: availableParallelism(), ramBytes: totalmem() }), gpus, ...more };
}

/** Totals, or less where a control group allows less. */
export function within(limits: Limits, totals: { readonly cores: number; readonly ramBytes: number }): typeof totals {
  return { cores: Math.min(totals.cores, limits.cores ?? Infinity), ramBytes: Math.min(totals.ramBytes, limits.ramBytes ?? Infinity) };
}

/** The hardware with the free space of the disk that stages work on. `freeableBytes`: what goes from there when a stage needs the room. */
export async function measureResources(dataDir: string, hardware: Hardware, freeableBytes = 0): Promise<Resources> {
  return { ...hardware, diskFreeBytes: (await freeBytes(dataDir)) + freeableBytes };
}

/** Free bytes of the disk that a folder is on. */
export async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
