/** Which executor a test wants, as plain values, so that another process can be told. */
import { openContainerExecutor } from '../../src/runners/container-executor.ts';
import type { OpenExecutor } from '../../src/runners/executor.ts';
import { openProcessExecutor } from '../../src/runners/process-executor.ts';
import type { StageLimits } from '../../src/runners/stage-limits.ts';

export type ExecutorWish = {
  readonly dataDir: string;
  readonly id: string;
  readonly limits?: StageLimits;
  readonly user?: string;
  readonly useCgroups?: boolean;
  /** In containers, by the engine that listens there. */
  readonly container?: { readonly socketPath: string; readonly image: string };
};

export const GRACE_MS = 300;

export async function openWish({ container, limits = { processes: 1000 }, ...wish }: ExecutorWish): Promise<OpenExecutor> {
  const all = { ...wish, limits, environment: process.env, graceMs: GRACE_MS };
  return container === undefined ? openProcessExecutor(all) : openContainerExecutor({ ...all, ...container, log: () => undefined });
}
