/**
 * Whether a pre-commit can still land while its ticket is good. The chain refuses a ticket older than 3,780
 * epochs (2,880 and one finality) when the pre-commit is executed, so before each later step the epochs that
 * the rest takes are counted, lest hours go into a sector that the chain will not take.
 */
import type { Job } from '../schema/job.ts';
import { sealProofInfo } from '../schema/seal-proof.ts';
import { knownMiner } from './allocate.ts';
import type { Context, TicketStep } from './context.ts';
import { epochNow } from './head.ts';
import { isLive } from './live-message.ts';
import type { Todo } from './plan.ts';
import { planOf } from './plans/all.ts';
import { keptLayers } from './plans/stage-work.ts';

/** Oldest ticket, in epochs, that the chain takes when the pre-commit is executed. */
export const TICKET_VALID_EPOCHS = 3_780;
/** How far back a ticket is drawn: so much of its time is over at once. */
const DRAWN_BACK_EPOCHS = 900;
/** So long after its drawing a ticket whose place is lost is drawn anew: an hour. A younger one is not worth a new run. */
const AGED_EPOCHS = 120;

/** From the ticket to the chain. */
const STEPS: readonly TicketStep[] = ['PC1', 'PC2', 'C1', 'Verify', 'SubmitPC'];

/** Epochs that each step is expected to take with its transfers (times of operators' guides, 30 s each); small sectors take none but the one
 * in which the message is executed. */
const EXPECTED: Readonly<Record<number, Readonly<Record<TicketStep, number>>>> = {
  [2 ** 35]: { PC1: 360, PC2: 56, C1: 4, Verify: 2, SubmitPC: 10 },
  [2 ** 36]: { PC1: 720, PC2: 112, C1: 4, Verify: 2, SubmitPC: 10 },
};

/** Epochs from the start of `step` until the pre-commit is executed, without those that kept layers save. */
function epochsLeftFrom(ctx: Context, job: Job, step: TicketStep): number {
  const whole = epochsFrom(ctx, job, step);
  if (step !== 'PC1') return whole;
  const { layers, kept } = keptLayers(job);
  return whole - Math.floor(((whole - epochsFrom(ctx, job, 'PC2')) * kept) / layers.length);
}

/** The same where nothing is made yet. */
function epochsFrom(ctx: Context, job: Job, step: TicketStep): number {
  const bySize = EXPECTED[sealProofInfo(job.data.sealProof).sectorSizeBytes];
  const given = knownMiner(ctx, job.miner)?.expectedEpochs ?? {};
  return STEPS.slice(STEPS.indexOf(step)).reduce((sum, name) => sum + (given[name] ?? bySize?.[name] ?? (name === 'SubmitPC' ? 1 : 0)), 0);
}

/** The step of the way from ticket to chain that `todo` begins; undefined: it is not on that way. */
function stepOf(job: Job, todo: Todo): TicketStep | undefined {
  if (planOf(job.plan).messages['SubmitPC'] === undefined || job.data.ticket === undefined || isLive(job.data.preCommit)) return undefined;
  const name = todo.do === 'stage' ? todo.stage : todo.do === 'effect' ? todo.step : undefined;
  return STEPS.find((step) => step === name);
}

/** Epochs that what is next may still wait for the pre-commit to land in time; undefined: it is not on that way, or nobody knows the epoch. */
export function epochsLeft(ctx: Context, job: Job, todo: Todo): number | undefined {
  const step = stepOf(job, todo);
  const now = epochNow(ctx);
  if (step === undefined || job.data.ticket === undefined || now === undefined) return undefined;
  return job.data.ticket.epoch + TICKET_VALID_EPOCHS - now - epochsLeftFrom(ctx, job, step);
}

/** Why the ticket is too old for what is next, as a sentence with both repairs; undefined: it is good, or nobody knows the epoch. */
export function ticketTooOld(ctx: Context, job: Job, todo: Todo): string | undefined {
  const step = stepOf(job, todo);
  const { ticket } = job.data;
  if (step === undefined || ticket === undefined) return undefined;
  const now = epochNow(ctx);
  const last = ticket.epoch + TICKET_VALID_EPOCHS;
  const needed = epochsLeftFrom(ctx, job, step);
  if (now === undefined || now + needed <= last) return undefined;
  const why =
    now > last
      ? `the ticket of epoch ${ticket.epoch} expired with epoch ${last}, and it is epoch ${now}`
      : `the ticket of epoch ${ticket.epoch} expires with epoch ${last}, and from ${step} at epoch ${now} the pre-commit needs ${needed} more`;
  return `${why}; ${TICKET_REPAIRS}`;
}

/** Illegal argument: of a pre-commit among others that its ticket is too old (builtin-actors, miner: validate_precommit). */
const ILLEGAL_ARGUMENT = 16;

/** Why the chain refused a pre-commit that had waited too long, as a clause; undefined: that was not it. */
export function landedTooLate({ data: { ticket, preCommit } }: Job): string | undefined {
  if (ticket === undefined || preCommit?.exitCode !== ILLEGAL_ARGUMENT || preCommit.landedEpoch === undefined) return undefined;
  const last = ticket.epoch + TICKET_VALID_EPOCHS;
  // Told is the epoch that executed it, one after the one that has it.
  if (preCommit.landedEpoch - 1 <= last) return undefined;
  return `the pre-commit landed in epoch ${preCommit.landedEpoch}, after the ticket of epoch ${ticket.epoch} had expired with epoch ${last}`;
}

/** What helps against an expired ticket. */
export const TICKET_REPAIRS =
  'resume with --state TreeDBuilt to seal again with a fresh ticket, or with --state Aborted to give the sector up';

/** Whether the job goes back for a fresh ticket by itself: configured or PC1 not ended, nothing of it on chain, and a fresh one would last. */
export function fallsBack(ctx: Context, job: Job): boolean {
  if (isLive(job.data.preCommit) || !freshLasts(ctx, job)) return false;
  return knownMiner(ctx, job.miner)?.autoFallback === true || pc1NotEnded(ctx, job, planOf(job.plan).todo(job));
}

const freshLasts = (ctx: Context, job: Job): boolean => epochsFrom(ctx, job, 'PC1') <= TICKET_VALID_EPOCHS - DRAWN_BACK_EPOCHS;

/**
 * Why a fresh ticket is drawn before PC1 starts, as a clause: the place that this one was drawn for is lost, and it
 * has grown old in the queue. Undefined: it is taken. Layers that are kept are good for no other ticket: with them this one stays.
 */
export function agedTicket(ctx: Context, job: Job, todo: Todo): string | undefined {
  const { ticket } = job.data;
  const now = epochNow(ctx);
  if (ticket === undefined || now === undefined || now - ticket.epoch <= DRAWN_BACK_EPOCHS + AGED_EPOCHS) return undefined;
  if (!pc1NotEnded(ctx, job, todo) || !freshLasts(ctx, job)) return undefined;
  if (keptLayers(job).kept > 0) return undefined;
  return `the place that the ticket of epoch ${ticket.epoch} was drawn for is lost, and it is epoch ${now}; a fresh one is drawn`;
}

/** PC1 has not ended: its runner did not come, or failed. A job that was put here by hand keeps its ticket. */
function pc1NotEnded(ctx: Context, job: Job, todo: Todo): boolean {
  if (stepOf(job, todo) !== 'PC1') return false;
  if (job.reserved !== null) return job.reserved.untilMs <= ctx.nowMs;
  return ctx.tx.attemptsOfJob(job.id).some(({ stage, generation }) => stage === 'PC1' && generation === job.generation);
}
