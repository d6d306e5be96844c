/** Events that are no job's: what happened to a runner, and what somebody did through the API. */
import { AUDIT_KIND, type RUNNER_KINDS } from '../schema/event.ts';
import type { MinerId, RunnerId } from '../schema/ids.ts';
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

/** Appends that a stored file is not as it was stored. */
export function noteStored(ctx: Context, runner: RunnerId, miner: MinerId, detail: Readonly<Record<string, unknown>>): void {
  const about = { ...NOTHING, runner, miner, kind: 'storage_file_bad' as const, actor: `runner:${runner}` };
  ctx.tx.appendEvent({ ...about, atMs: ctx.nowMs, detail: { ...detail }, request: ctx.request ?? null });
  ctx.signals.add('events');
}

/** Who did it: as events name them, and the token they had, since several may have one name. */
export type Who = string | { readonly actor: string; readonly token: string };

/** As events name them. */
export const actorOf = (who: Who): string => (typeof who === 'string' ? who : who.actor);

/** Appends who did what. `detail` never has a secret in it. */
export function audit(ctx: Context, who: Who, action: string, detail: Readonly<Record<string, unknown>> = {}): void {
  const by = typeof who === 'string' ? {} : { by: who.token };
  ctx.tx.appendEvent({
    ...NOTHING,
    kind: AUDIT_KIND,
    actor: actorOf(who),
    atMs: ctx.nowMs,
    detail: { action, ...by, ...detail },
    request: ctx.request ?? null,
  });
  ctx.signals.add('events');
}
