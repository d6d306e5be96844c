/**
 * Messages that wait too long: in the mempool, where the base fee has risen above what they offer or an earlier one of the sender does
 * not land; or unsent, behind an earlier one that the node refuses. Of the latter nobody else may tell: its own job may have been given up.
 */
import { sectorName } from '../schema/ids.ts';
import type { Job } from '../schema/job.ts';
import { change, note } from './change.ts';
import type { Context } from './context.ts';
import type { EffectOutcome, EffectRow, HeldBy } from './effects.ts';
import { epochsToMs } from './head.ts';
import { isFinal } from './machine.ts';

/** So long a message may wait for a block before somebody is told. */
const STUCK_EPOCHS = 10;
const STUCK = 'message_stuck';
const HELD = 'message_held';

type Wait = Extract<EffectOutcome, { outcome: 'wait' }>;

/**
 * Tells once of a message that waits too long, and anew when another one holds it up; what the job shows follows what the node says.
 * One that is in a block, or may be sent, is well again.
 */
export function tellStuck(ctx: Context, effect: EffectRow, job: Job, { pending, heldBy }: Wait): void {
  const { want, step } = effect;
  if ((want.kind !== 'landed' && want.kind !== 'message') || effect.generation !== job.generation || isFinal(job.state)) return;
  const { error } = job;
  if (pending !== true && heldBy === undefined) {
    if (error?.code === STUCK || error?.code === HELD) change(ctx, job, { error: null });
    return;
  }
  if (job.paused || ctx.nowMs - effect.createdMs < epochsToMs(ctx, STUCK_EPOCHS)) return;
  const refused = heldBy?.why ?? null;
  const code = heldBy === undefined || refused === null ? STUCK : HELD;
  const message =
    heldBy === undefined || refused === null
      ? stuckMessage(ctx, job, want.kind === 'landed' ? want.message : (effect.signed?.cid ?? ''), heldBy)
      : heldMessage(ctx, heldBy, refused);
  if (error?.code === code && error.message === message) return;
  // The job waits for its effect as before: nothing is retried, and nothing counted.
  change(ctx, job, { error: { category: 'temporary', code, message, atMs: ctx.nowMs } });
  // A line in the mempool gets on from epoch to epoch, which is no news.
  if (error?.code === code && (code === STUCK || heldBy === undefined || error.message.includes(nonceOf(heldBy)))) return;
  note(ctx, job, { actor: 'engine', kind: 'error', from: job.state, detail: { step, code, message, pauses: false } });
}

const nonceOf = ({ sender, nonce }: HeldBy): string => `nonce ${nonce} of ${sender}`;

/** Whose message holds it up, what the node says against that, and what helps. */
function heldMessage(ctx: Context, heldBy: HeldBy, why: string): string {
  return `its message waits: ${nonceOf(heldBy)}${whose(ctx, heldBy)} has to go first, and the node does not take that: ${why}; mend it, and both go out by themselves`;
}

/** `, of job j-… (s-t01000-7, PCSubmitted)`; nothing where nobody knows. */
function whose(ctx: Context, { job: id }: HeldBy): string {
  const job = id === null ? undefined : ctx.tx.job(id);
  if (job === undefined) return '';
  return `, of job ${job.id} (${job.number === null ? job.miner : sectorName(job.miner, job.number)}, ${job.state})`;
}

/** Which message it is, what it offers, which of its sender has to land first, and what helps. */
function stuckMessage(ctx: Context, job: Job, cid: string, heldBy: HeldBy | undefined): string {
  const signed = ctx.tx.effectsOfJob(job.id).find((row) => row.signed?.cid === cid)?.signed ?? undefined;
  const why = 'the base fee may have risen above that, or an earlier message of the address waits';
  if (signed === undefined) return `message ${cid} has been in the mempool for ${STUCK_EPOCHS} epochs; ${why}; look at the node's mempool`;
  const { sender, nonce } = signed;
  const feeCap = /"GasFeeCap":\s*"([0-9]+)"/.exec(signed.signed)?.[1] ?? 'an unknown number of';
  const which = `message ${cid} (nonce ${nonce} of ${sender}, fee cap ${feeCap} attoFIL per unit of gas) has been in the mempool for ${STUCK_EPOCHS} epochs`;
  const replace = (first: number): string =>
    `lotus mpool replace --auto ${sender} ${first}; the sector goes on by itself once either lands`;
  if (heldBy === undefined) return `${which}; ${why}; wait until the base fee falls, or replace it with ${replace(nonce)}`;
  const first = `${nonceOf(heldBy)}${whose(ctx, heldBy)}, which is in the mempool as well, has to land first, and the base fee may have risen above what that offers`;
  return `${which}; ${first}; wait until the base fee falls, or replace that one with ${replace(heldBy.nonce)}`;
}
