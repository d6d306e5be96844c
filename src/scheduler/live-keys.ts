/**
 * Which keys a job needs: the one place that says so. Whatever keeps files of a job in object storage adds a line to NAMED; what
 * none of them names, and no attempt that runs can make, is garbage.
 */
import type { Attempt, Job } from '../schema/job.ts';
import type { Context } from './context.ts';
import { isFinal } from './machine.ts';

type Named = (ctx: Context, job: Job) => Iterable<string>;

const NAMED: readonly Named[] = [
  // Among them layers that were kept while PC1 went on, whatever became of their attempt.
  (_ctx, { data }) => Object.values(data.artifacts).map(({ key }) => key),
  (_ctx, { data }) => data.pieces.map(({ key }) => key),
];

/** Whether this attempt's outputs may still come to count. Never again once it has ended: a grant does not move. */
export function mayStillMake(attempt: Attempt): boolean {
  return attempt.status === 'running';
}

/** What stands about the keys of one job. */
export type JobKeys = {
  /** The job needs them, or it ended and keeps them. */
  readonly live: ReadonlySet<string>;
  /** An effect is about to delete them by itself. */
  readonly leaving: ReadonlySet<string>;
  /** Ids of uploads that an effect is about to abort by itself. */
  readonly aborting: ReadonlySet<string>;
};

/**
 * A job that goes on needs all that it names. One that has ended keeps what it names until an effect has deleted it: of a forced
 * abort only once its pre-commit has expired, of a job that never looked whether its message landed not at all.
 */
export function keysOf(ctx: Context, job: Job): JobKeys {
  const named = new Set(NAMED.flatMap((names) => [...names(ctx, job)]));
  const leaving = new Set<string>();
  const aborting = new Set<string>();
  const final = isFinal(job.state);
  for (const { want, status } of final ? ctx.tx.effectsOfJob(job.id) : ctx.tx.openEffectsOfJob(job.id)) {
    if (want.kind !== 'delete') continue;
    if (status === 'open') for (const { uploadId } of want.uploads ?? []) aborting.add(uploadId);
    for (const key of want.keys) {
      if (status === 'open') leaving.add(key);
      else if (final && status === 'done') named.delete(key);
    }
  }
  return { live: named, leaving, aborting };
}
