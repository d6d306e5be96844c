/** What runners say they have on their disks: placement may go by it, and what no job needs they are told to forget. */
import type { JobId } from '../schema/ids.ts';
import type { Context } from './context.ts';
import type { RunnerRow } from './ports.ts';

/** Keys of artifacts are `jobs/<job>/<attempt>/<artifact>` (`outputKey`). */
const jobOf = (key: string): JobId | undefined => /^jobs\/([^/]+)\//.exec(key)?.[1] as JobId | undefined;

/** Writes down what the runner has, without what it is to forget: artifacts of jobs that have ended or made others instead. */
export function noteCached(
  ctx: Context,
  runner: RunnerRow,
  cached: readonly string[] | undefined,
): { readonly runner: RunnerRow; readonly forget: readonly string[] } {
  if (cached === undefined) return { runner, forget: [] };
  const needed = new Map<JobId, ReadonlySet<string>>();
  const isNeeded = (key: string): boolean => {
    const id = jobOf(key);
    if (id === undefined) return false;
    const keys = needed.get(id) ?? new Set(Object.values(ctx.tx.job(id)?.data.artifacts ?? {}).map((artifact) => artifact.key));
    needed.set(id, keys);
    return keys.has(key);
  };
  const forget = cached.filter((key) => !isNeeded(key));
  const dropped = new Set(forget);
  const kept = cached.filter((key) => !dropped.has(key));
  const before = runner.cached ?? [];
  if (kept.length === before.length && kept.every((key, at) => key === before[at])) return { runner, forget };
  const changed = { ...runner, cached: kept };
  ctx.tx.updateRunner(changed);
  return { runner: changed, forget };
}
