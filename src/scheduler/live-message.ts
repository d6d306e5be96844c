/**
 * Messages of a job that are signed and not provably dead: each counts as on chain. What they bind, what they
 * cost, and until when a sector can be rescued.
 */
import type { ChainMessage, Job } from '../schema/job.ts';
import type { Context } from './context.ts';
import type { MessageField } from './effects.ts';
import { epochNow, epochsToMs } from './head.ts';
import { planOf } from './plans/all.ts';

/** Epochs from a pre-commit to the burning of its deposit: 30 days and the challenge delay (builtin-actors, MaxProveCommitDuration). */
export const PROVE_COMMIT_WITHIN = 86_550;
/** A message that was only just signed may take this long until it lands (one finality). */
const LANDING_MARGIN_EPOCHS = 900;

const NAME: Readonly<Record<MessageField, string>> = {
  preCommit: 'pre-commit',
  proveCommit: 'prove-commit',
  replicaUpdate: 'replica update',
};

export type LiveMessage = { readonly field: MessageField; readonly message: ChainMessage };

/** Not failed on chain: what was signed may be there, or come there. */
export function isLive(message: ChainMessage | undefined): message is ChainMessage {
  return message !== undefined && (message.exitCode ?? 0) === 0;
}

/** The job's live messages in the order they are sent. */
export function liveMessages(job: Job): LiveMessage[] {
  return Object.values(planOf(job.plan).messages).flatMap(({ field }) => {
    const message = job.data[field];
    return isLive(message) ? [{ field, message }] : [];
  });
}

/**
 * The live message that decides what the chain's sector is: a prove-commit, or a replica update, with the CommR that the sector
 * has once it has landed (a CID).
 */
export function decidesSector(job: Job): (LiveMessage & { readonly commR: string }) | undefined {
  const { data } = job;
  const live = liveMessages(job).findLast(({ field }) => field !== 'preCommit');
  const commR = data.boundCommR ?? (live?.field === 'replicaUpdate' ? data.snapCommR : data.commR);
  return live === undefined || commR === undefined ? undefined : { ...live, commR: commR.cid };
}

/** `pre-commit bafy… (nonce 7)`. */
export function messageName({ field, message }: LiveMessage): string {
  return message.found === true ? `${NAME[field]} of a lost database` : `${NAME[field]} ${message.cid} (nonce ${message.nonce})`;
}

/** What a signed pre-commit pays, read from its bytes: `a deposit of 1.5 FIL`. */
export function depositOf(ctx: Context, job: Job): string {
  const effect = ctx.tx.effectsOfJob(job.id).find(({ signed }) => signed !== null && signed.cid === job.data.preCommit?.cid);
  const attoFil = /"Value":\s*"([0-9]+)"/.exec(effect?.signed?.signed ?? '')?.[1];
  return attoFil === undefined ? 'an unknown deposit' : `a deposit of ${inFil(attoFil)} FIL`;
}

/** Decimal FIL from attoFIL (10^-18). */
export function inFil(attoFil: string): string {
  const digits = attoFil.padStart(19, '0');
  const fraction = digits.slice(-18).replace(/0+$/, '');
  return `${digits.slice(0, -18)}${fraction === '' ? '' : `.${fraction}`}`;
}

/** How long the sector of a live pre-commit can still be rescued, as a clause. */
export function rescueOf(ctx: Context, preCommit: ChainMessage): string {
  if (preCommit.landedEpoch === undefined) return `it has not landed yet and leaves ${PROVE_COMMIT_WITHIN} epochs once it has`;
  const last = preCommit.landedEpoch + PROVE_COMMIT_WITHIN;
  const now = epochNow(ctx);
  if (now === undefined) return `the sector can be rescued until epoch ${last}`;
  return now > last
    ? `the time to rescue the sector ended with epoch ${last}`
    : `${last - now} epochs are left to rescue the sector, until epoch ${last}`;
}

/** When the files of a job that was given up with live messages may go: no sooner than its pre-commit has expired. */
export function filesGoMs(ctx: Context, preCommit: ChainMessage | undefined): number {
  const now = epochNow(ctx);
  const left =
    preCommit?.landedEpoch === undefined || now === undefined
      ? PROVE_COMMIT_WITHIN + LANDING_MARGIN_EPOCHS
      : Math.max(0, preCommit.landedEpoch + PROVE_COMMIT_WITHIN - now);
  return ctx.nowMs + epochsToMs(ctx, left);
}

/** The messages that are out although the job gives them up, or goes back past them: told to the operator. */
export function noticeOf(messages: readonly LiveMessage[], what: string): string | null {
  if (messages.length === 0) return null;
  const out = messages.map(
    (live) => `${messageName(live)}${live.message.landedEpoch === undefined ? '' : `, landed at epoch ${live.message.landedEpoch}`}`,
  );
  return `${out.join(' and ')} ${out.length === 1 ? 'is' : 'are'} out and cannot be called back; ${what}`;
}
