/** Events that are no job's: what happened to a runner, and what somebody did through the API. */
import { AUDIT_KIND, type RUNNER_KINDS } from '../schema/event.ts';
import type { RunnerId } from '../schema/ids.ts';
import type { Context } from './context.ts';

const NOTHING = { job: null, miner: null, runner: null, generation: 0, from: null, to: null, event: null } as const;

/** Appends an event of this runner. */
export function noteRunner(
  ctx: Context,
  runner: RunnerId,
  kind: (typeof RUNNER_KINDS)[number],
  actor: string,
  detail: Readonly<Record<string, unknown>>,
): void {
  ctx.tx.appendEvent({ ...NOTHING, runner, kind, actor, atMs: ctx.nowMs, detail: { ...detail }, request: ctx.request ?? null });
  ctx.signals.add('events');
}

/** Appends who did what. `detail` never has a secret in it. */
export function audit(ctx: Context, actor: string, action: string, detail: Readonly<Record<string, unknown>> = {}): void {
  ctx.tx.appendEvent({ ...NOTHING, kind: AUDIT_KIND, actor, atMs: ctx.nowMs, detail: { action, ...detail }, request: ctx.request ?? null });
  ctx.signals.add('events');
}
