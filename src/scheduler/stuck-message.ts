/** Messages that stay in the mempool: the base fee has risen above what they offer, or an earlier one of the sender does not land. */
import type { Job } from '../schema/job.ts';
import { change, note } from './change.ts';
import type { Context } from './context.ts';
import type { EffectRow } from './effects.ts';
import { epochsToMs } from './head.ts';
import { isFinal } from './machine.ts';

/** So long a message may wait for a block before somebody is told. */
const STUCK_EPOCHS = 10;
const CODE = 'message_stuck';

/** Tells once of a followed message that waits too long; `pending` false: it is in a block, and nothing is wrong any more. */
export function tellStuck(ctx: Context, effect: EffectRow, job: Job, pending: boolean): void {
  const { want, step } = effect;
  if (want.kind !== 'landed' || effect.generation !== job.generation || isFinal(job.state)) return;
  const told = job.error?.code === CODE;
  if (!pending) {
    if (told) change(ctx, job, { error: null });
    return;
  }
  if (told || job.paused || ctx.nowMs - effect.createdMs < epochsToMs(ctx, STUCK_EPOCHS)) return;
  const message = stuckMessage(ctx, job, want.message);
  // The job waits for its effect as before: nothing is retried, and nothing counted.
  change(ctx, job, { error: { category: 'temporary', code: CODE, message, atMs: ctx.nowMs } });
  note(ctx, job, { actor: 'engine', kind: 'error', from: job.state, detail: { step, code: CODE, message, pauses: false } });
}

/** Which message it is, what it offers, and what helps. */
function stuckMessage(ctx: Context, job: Job, cid: string): string {
  const signed = ctx.tx.effectsOfJob(job.id).find((row) => row.signed?.cid === cid)?.signed ?? undefined;
  const why = 'the base fee may have risen above that, or an earlier message of the address waits';
  if (signed === undefined) return `message ${cid} has been in the mempool for ${STUCK_EPOCHS} epochs; ${why}; look at the node's mempool`;
  const { sender, nonce } = signed;
  const feeCap = /"GasFeeCap":\s*"([0-9]+)"/.exec(signed.signed)?.[1] ?? 'an unknown number of';
  const repair = `wait until the base fee falls, or replace it with lotus mpool replace --auto ${sender} ${nonce}; the sector goes on by itself once either lands`;
  return `message ${cid} (nonce ${nonce} of ${sender}, fee cap ${feeCap} attoFIL per unit of gas) has been in the mempool for ${STUCK_EPOCHS} epochs; ${why}; ${repair}`;
}
