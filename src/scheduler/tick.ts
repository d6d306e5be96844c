/** What time alone brings about: leases that ran out, attempts that get no further, retries that are due, free threads. */
import { change } from './change.ts';
import type { Context } from './context.ts';
import { alone, settle } from './engine.ts';
import { loseSilent } from './fleet.ts';
import { holdHead } from './head.ts';
import { limitsWakeMs } from './limits.ts';
import { takeOverdue } from './overdue.ts';
import { runnerWanted } from './placement/rank.ts';
import { planOf } from './plans/all.ts';
import { holdRestored } from './reconcile.ts';
import { assignThreads, syncThreads } from './threads.ts';
import { stopTakingAll } from './taken-results.ts';
import { ticketTooOld } from './ticket.ts';

/** Rows handled per tick: a tick is short, the next one follows at once when there is more. */
const BATCH = 200;
/** Key in `meta` of the last time that was written down. */
export const ALIVE = 'alive_ms';
/** How often the time is written down, so that a restart knows how long it was away. */
const ALIVE_EVERY_MS = 5_000;
const TICKETS = 'tickets_ms';
/** An epoch of the main network: tickets grow no faster. */
const TICKETS_EVERY_MS = 30_000;
const TICKETS_LOOKED_AT = 1_000;
/** Stages that a job may wait for between its ticket and its prove-commit. */
const DUE_STAGES = ['PC1', 'PC2', 'C1', 'C2', 'Verify', 'Persist'] as const;

/**
 * Does what is due; answers when it should be called again (Unix milliseconds), and whether leases were given more time. `lateMs`: it
 * is called so much later than the last one asked for, as the whole process was too busy, or runners could not get through for so long.
 */
export function tick(ctx: Context, lateMs = 0): { readonly wakeAtMs: number; readonly extended: boolean } {
  const alive = ctx.tx.meta(ALIVE);
  const away = ctx.nowMs - Number(alive ?? ctx.nowMs);
  // A suspended machine, a full disk or too much to do silenced us, not the runners, whose heartbeats wait: they get as long again.
  const silentMs = away > ctx.settings.stallMs ? away : lateMs;
  // Up to a third of what a lease has over a heartbeat none is near its end for it.
  const { leaseMs, heartbeatMs } = ctx.settings;
  const extended = silentMs > (leaseMs - heartbeatMs) / 3;
  if (extended) ctx.tx.extendLeases(silentMs, ctx.nowMs);
  const expired = ctx.tx.expiredAttempts(ctx.nowMs, BATCH);
  for (const attempt of expired) {
    const job = ctx.tx.job(attempt.job);
    if (job !== undefined) alone(ctx, job, () => loseSilent(ctx, attempt));
  }
  const overdue = ctx.tx.overdueAttempts(ctx.nowMs, BATCH);
  for (const attempt of overdue) {
    const job = ctx.tx.job(attempt.job);
    if (job !== undefined) alone(ctx, job, () => takeOverdue(ctx, job, attempt));
  }
  const due = ctx.tx.jobsDue(ctx.nowMs, BATCH);
  for (const job of due) alone(ctx, job, () => void settle(ctx, change(ctx, job, { waiting: { for: 'nothing' } })));
  assignThreads(ctx);
  lookAtTickets(ctx);
  const spacedMs = limitsWakeMs(ctx);
  if (ctx.nowMs - Number(alive ?? 0) >= ALIVE_EVERY_MS) ctx.tx.setMeta(ALIVE, String(ctx.nowMs));
  if ([expired, overdue, due].some(({ length }) => length === BATCH)) return { wakeAtMs: ctx.nowMs, extended };
  const nextMs = Math.min(ctx.tx.nextWakeMs() ?? Number.POSITIVE_INFINITY, spacedMs ?? Number.POSITIVE_INFINITY);
  return { wakeAtMs: Math.min(nextMs, ctx.nowMs + ALIVE_EVERY_MS), extended };
}

/**
 * Tickets grow old while jobs wait for a runner: told as soon as it is too late, not when one asks at last. Before that, one
 * whose deadline has come near goes before others.
 */
function lookAtTickets(ctx: Context): void {
  if (ctx.nowMs - Number(ctx.tx.meta(TICKETS) ?? 0) < TICKETS_EVERY_MS) return;
  ctx.tx.setMeta(TICKETS, String(ctx.nowMs));
  for (const job of ctx.tx.jobsForRunner(DUE_STAGES, TICKETS_LOOKED_AT)) {
    alone(ctx, job, () => {
      const todo = planOf(job.plan).todo(job);
      if (ticketTooOld(ctx, job, todo) !== undefined) {
        settle(ctx, job);
        return;
      }
      if (job.waiting.for !== 'runner') return;
      const { rankMs: before, stage, sinceMs } = job.waiting;
      const waiting = runnerWanted(ctx, job, stage, todo, sinceMs);
      if ((waiting.rankMs ?? sinceMs) < (before ?? sinceMs)) change(ctx, job, { waiting });
    });
  }
}

/** Once at start: leases are extended by the time the control plane itself was away, threads follow the configuration. */
export function restarted(ctx: Context): void {
  const alive = ctx.tx.meta(ALIVE);
  if (alive !== undefined) ctx.tx.extendLeases(Math.max(0, ctx.nowMs - Number(alive)), ctx.nowMs);
  ctx.tx.setMeta(ALIVE, String(ctx.nowMs));
  stopTakingAll(ctx);
  holdHead(ctx);
  syncThreads(ctx);
  holdRestored(ctx);
  assignThreads(ctx);
}
