/**
 * In which order stages are handed out: by the time since which they wait, put back for a miner of higher priority and
 * for a deadline that is near. Nothing is put back further than three days and its miner's priority, so what has waited
 * longer goes before all that came later: nothing starves.
 */
import type { Job } from '../../schema/job.ts';
import type { Stage } from '../../schema/stage.ts';
import { knownMiner } from '../allocate.ts';
import type { Context } from '../context.ts';
import { deadlineOf } from '../deadlines.ts';
import { epochNow, epochsToMs } from '../head.ts';
import type { Todo } from '../plan.ts';
import { epochsLeft } from '../ticket.ts';

const HOUR_MS = 3_600_000;
/** So far a stage is put back whose deadline is near. */
export const URGENT_MS = 72 * HOUR_MS;
/** How near a deadline is that hurries a stage: time left beyond what all that remains takes. */
export const NEAR_MS = { pre_commit: 2 * HOUR_MS, prove_commit: 24 * HOUR_MS } as const;
/** From C1 to the prove-commit on chain. */
const PROVE_EPOCHS = 60;

export type Slack = { readonly of: keyof typeof NEAR_MS; readonly leftMs: number };

/** The place in the queue as a time: the earliest goes first. `priority`: hours that the miner's stages are put back. */
export function rankOf(sinceMs: number, nowMs: number, priority: number, slack: Slack | undefined): number {
  const usual = sinceMs - priority * HOUR_MS;
  if (slack === undefined || slack.leftMs > NEAR_MS[slack.of]) return Math.round(usual);
  // By the time at which it must begin at the latest; an old one keeps its place where that is better.
  const urgent = nowMs + Math.min(slack.leftMs, NEAR_MS[slack.of]) - URGENT_MS;
  return Math.round(Math.min(usual, Math.max(urgent, sinceMs - URGENT_MS)));
}

/** How long what is next may still wait; undefined: nothing presses, or nobody knows the epoch. */
export function slackOf(ctx: Context, job: Job, todo: Todo): Slack | undefined {
  const deadline = deadlineOf(job);
  const now = epochNow(ctx);
  if (deadline === null || now === undefined) return undefined;
  const epochs = deadline.of === 'pre_commit' ? epochsLeft(ctx, job, todo) : deadline.epoch - now - PROVE_EPOCHS;
  return epochs === undefined ? undefined : { of: deadline.of, leftMs: epochsToMs(ctx, epochs) };
}

/** What the job waits with for a runner. */
export function runnerWanted(
  ctx: Context,
  job: Job,
  stage: Stage,
  todo: Todo,
  sinceMs: number,
): Extract<Job['waiting'], { for: 'runner' }> {
  const rankMs = rankOf(sinceMs, ctx.nowMs, knownMiner(ctx, job.miner)?.priority ?? 0, slackOf(ctx, job, todo));
  return { for: 'runner', stage, sinceMs, ...(rankMs === sinceMs ? {} : { rankMs }) };
}
