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

/** What gives room on the disk back when a stage needs it. */
export type Freeable = { freeableBytes(): Promise<number> };

/** The hardware with the space of the disk that stages work on: what is free there, and what `kept` gives back. */
export async function measureResources(dataDir: string, hardware: Hardware, kept: readonly Freeable[] = []): Promise<Resources> {
  let diskFreeBytes = await freeBytes(dataDir);
  // After the disk: what goes meanwhile does not count twice.
  for (const one of kept) diskFreeBytes += await one.freeableBytes();
  return { ...hardware, diskFreeBytes };
}

/** Free bytes of the disk that a folder is on. */
export async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}
