/** What runners say they have on their disks: placement goes by it, and what no job needs they are told to forget. */
import type { AttemptId, JobId } from '../schema/ids.ts';
import type { Context } from './context.ts';
import { mayStillMake } from './live-keys.ts';
import type { RunnerRow } from './ports.ts';

/** Keys of artifacts are `jobs/<job>/<attempt>/<artifact>` (`outputKey`). */
function madeBy(key: string): { readonly job: JobId; readonly attempt: AttemptId } | undefined {
  const [, job, attempt] = /^jobs\/([^/]+)\/([^/]+)\//.exec(key) ?? [];
  return job === undefined || attempt === undefined ? undefined : { job: job as JobId, attempt: attempt as AttemptId };
}

/**
 * Writes down what the runner has, without what it is to forget: artifacts of jobs that have ended or made others instead. What an
 * attempt made that has not been reported yet may be needed as soon as it is.
 */
export function noteCached(
  ctx: Context,
  runner: RunnerRow,
  cached: readonly string[] | undefined,
): { readonly runner: RunnerRow; readonly forget: readonly string[] } {
  if (cached === undefined) return { runner, forget: [] };
  const needed = new Map<JobId, ReadonlySet<string>>();
  const going = new Map<AttemptId, boolean>();
  const goesOn = (id: AttemptId): boolean => {
    const known = going.get(id);
    if (known !== undefined) return known;
    const attempt = ctx.tx.attempt(id);
    const may = attempt !== undefined && attempt.runner === runner.id && mayStillMake(attempt);
    going.set(id, may);
    return may;
  };
  const isNeeded = (key: string): boolean => {
    const by = madeBy(key);
    if (by === undefined) return false;
    const keys = needed.get(by.job) ?? new Set(Object.values(ctx.tx.job(by.job)?.data.artifacts ?? {}).map((artifact) => artifact.key));
    needed.set(by.job, keys);
    return keys.has(key) || goesOn(by.attempt);
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
