/**
 * Effects that only wait, and wait too long: messages in the mempool, where the base fee has risen above what they offer or an earlier
 * one of the sender does not land; unsent ones, behind an earlier one that the node refuses, of which nobody else may tell (its own job
 * may have been given up); and what the chain says has to be waited for, such as money.
 */
import { sectorName } from '../schema/ids.ts';
import type { Job, JobError } from '../schema/job.ts';
import { change, note } from './change.ts';
import type { Context } from './context.ts';
import type { EffectOutcome, EffectRow, HeldBy } from './effects.ts';
import { epochsToMs } from './head.ts';
import { isFinal } from './machine.ts';

/** So long an effect may wait before somebody is told. */
const STUCK_EPOCHS = 10;
const STUCK = 'message_stuck';
const HELD = 'message_held';
/** Somebody has to send money, and the sooner the better. */
const FUNDS = 'insufficient_funds';

type Wait = Extract<EffectOutcome, { outcome: 'wait' }>;

/**
 * Tells once of an effect that waits too long, and anew when another message holds it up; what the job shows follows what the node says.
 * One that waits as it should is well again, whatever went wrong before.
 */
export function tellStuck(ctx: Context, effect: EffectRow, job: Job, wait: Wait): void {
  if (effect.generation !== job.generation || job.paused || isFinal(job.state)) return;
  const { error } = job;
  const news = newsOf(ctx, effect, job, wait);
  if (news === undefined) {
    if (error !== null && isOf(effect, error)) change(ctx, job, { error: null });
    return;
  }
  const { code, message } = news;
  if (error?.code === code && error.message === message) return;
  // The job waits for its effect as before: nothing is retried, and nothing counted.
  change(ctx, job, { error: { category: 'temporary', code, message, atMs: ctx.nowMs } });
  // A line in the mempool gets on from epoch to epoch, and amounts change: no news.
  const toldOf = code !== HELD || wait.heldBy === undefined || error?.message.includes(nonceOf(wait.heldBy)) === true;
  if (error?.code === code && toldOf) return;
  note(ctx, job, { actor: 'engine', kind: 'error', from: job.state, detail: { step: effect.step, code, message, pauses: false } });
}

/** What there is to tell of the wait by now; undefined: nothing. */
function newsOf(ctx: Context, effect: EffectRow, job: Job, wait: Wait): Pick<JobError, 'code' | 'message'> | undefined {
  const { code, reason, pending, heldBy } = wait;
  if (code !== FUNDS && ctx.nowMs - effect.createdMs < epochsToMs(ctx, STUCK_EPOCHS)) return undefined;
  if (code !== undefined) return { code, message: reason };
  const refused = heldBy?.why ?? null;
  if (heldBy !== undefined && refused !== null) return { code: HELD, message: heldMessage(ctx, heldBy, refused) };
  if (pending !== true || effect.want.kind !== 'landed') return undefined;
  return { code: STUCK, message: stuckMessage(ctx, job, effect.want.message, heldBy) };
}

/** Whether this effect set the job's error: it was told here, or is what went wrong with it last. */
function isOf({ lastError }: EffectRow, { category, code, message }: JobError): boolean {
  return category === 'temporary' && (code === STUCK || code === HELD || message === lastError);
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
