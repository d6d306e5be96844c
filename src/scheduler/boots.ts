/**
 * Which process of a runner speaks. A process makes up a boot id when it starts. A new one means that the process before has
 * died; when that one speaks all the same, two have the credential, and one of them has stolen it.
 *
 * The rule: the word of an earlier process counts as late, and changes nothing, for one lease after a newer process has spoken
 * (it was on its way when its process died). After that two processes are alive.
 */
import type { EarlierBoot, RunnerRow } from './ports.ts';

/** Earlier processes that are remembered. */
const MOST_EARLIER = 32;

export type Heard =
  | { readonly process: 'newest' }
  /** One that takes the newest one's place; `earlier` is what is to be remembered then. */
  | { readonly process: 'new'; readonly earlier: readonly EarlierBoot[]; readonly stolen: string | undefined }
  | { readonly process: 'earlier'; readonly stolen: string | undefined };

const TWO_PROCESSES =
  'two processes used its credential at the same time, so somebody has stolen it; ban it and register the machine anew, or end one of them and uncordon it';

/** What the process with this boot id is to the runner. `stolen`: the reason to quarantine it. */
export function heardFrom(runner: RunnerRow, bootId: string, nowMs: number, lateMs: number): Heard {
  if (bootId === runner.bootId) return { process: 'newest' };
  const before = runner.earlierBoots.find(({ id }) => id === bootId);
  if (before !== undefined) return { process: 'earlier', stolen: nowMs - before.untilMs > lateMs ? TWO_PROCESSES : undefined };
  const all = [...runner.earlierBoots, { id: runner.bootId, untilMs: nowMs }];
  const dropped = all.length > MOST_EARLIER ? all[0] : undefined;
  // Whoever starts so many within a lease wants the other process forgotten.
  const churned = dropped !== undefined && nowMs - dropped.untilMs <= lateMs;
  return {
    process: 'new',
    earlier: all.slice(-MOST_EARLIER),
    stolen: churned
      ? `more than ${MOST_EARLIER} processes used its credential within one lease; find out who, then uncordon or ban it`
      : undefined,
  };
}
