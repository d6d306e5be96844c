/**
 * Attempts that do not get on. Heartbeats keep a lease; work is shown by a fraction that rises, or by a note or a log that changes.
 * A runner that shows none for as long as its stage may take to show some, or that takes longer in all than any honest machine,
 * loses the stage to another one.
 */
import type { Attempt } from '../schema/job.ts';
import type { HeartbeatRequest } from '../schema/runner.ts';
import type { Stage } from '../schema/stage.ts';
import type { Context, Settings } from './context.ts';

type Beat = HeartbeatRequest['attempts'][number];

/** Whether it got further since it was last heard of. What it never said is no change. */
export function gotFurther(attempt: Attempt, beat: Beat): boolean {
  if (beat.fraction !== undefined && beat.fraction > (attempt.fraction ?? 0)) return true;
  if (beat.note !== undefined && beat.note !== attempt.note) return true;
  return beat.logTail !== undefined && beat.logTail !== attempt.logTail;
}

/** When it is taken away if it gets no further; null: never. `startMs`: when it was granted, and `sinceMs` when it last got further. */
export function dueOf(settings: Settings, stage: Stage, grantedMs: number, sinceMs: number): number | null {
  const further = settings.progressMs?.[stage];
  const whole = settings.stageMs?.[stage];
  const ends = [further === undefined ? undefined : sinceMs + further, whole === undefined ? undefined : grantedMs + whole];
  const set = ends.filter((ms) => ms !== undefined);
  return set.length === 0 ? null : Math.min(...set);
}

/** What a heartbeat says of an attempt's progress, and by when the next is due. */
export function progressOf(ctx: Context, attempt: Attempt, beat: Beat): Pick<Attempt, 'progressMs' | 'dueMs'> {
  if (!gotFurther(attempt, beat)) return { progressMs: attempt.progressMs, dueMs: attempt.dueMs };
  const due = dueOf(ctx.settings, attempt.stage, attempt.grantedMs, ctx.nowMs);
  // Time that the control plane itself was away was added to `dueMs`, and stays added.
  return { progressMs: ctx.nowMs, dueMs: due === null || attempt.dueMs === null ? due : Math.max(due, attempt.dueMs) };
}
