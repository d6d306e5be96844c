/** Jobs that have ended while a message of theirs was out: what came of it, and whom it keeps waiting. */
import type { Job } from '../schema/job.ts';
import { DELETE_KEPT, change, discard, followEnded, giveBack, note, recordLanded, want } from './change.ts';
import type { Context } from './context.ts';
import type { EffectOutcome, EffectRow } from './effects.ts';
import { decidesSector, filesGoMs, messageName } from './live-message.ts';

/** What an effect of a job that has ended came to. The job stays as it ended; the sector's record and its pieces follow. */
export function endedJobHears(ctx: Context, job: Job, { want: wanted }: EffectRow, outcome: EffectOutcome): void {
  if (outcome.outcome === 'pushed') followEnded(ctx, job);
  if (outcome.outcome !== 'landed' || wanted.kind !== 'landed' || job.data[wanted.what]?.cid !== wanted.message) return;
  const { epoch, exitCode, onChain, detail } = outcome;
  const landed = change(ctx, job, {
    data: { ...job.data, [wanted.what]: { ...job.data[wanted.what], landedEpoch: epoch, exitCode } },
  });
  const done = exitCode === 0 && onChain;
  const known = done && recordLanded(ctx, landed);
  if (exitCode !== 0) giveBack(ctx, landed);
  // As when the job had finished, unless it was to delete nothing.
  const pieces = job.data.pieces.map(({ key }) => key);
  if (done && job.state === 'Aborted' && pieces.length > 0) {
    if (known) discard(ctx, landed, pieces);
    // Where nothing tells which files the sector has, their data may be its last copy: time to look, as for files of a forced abort.
    else want(ctx, landed, DELETE_KEPT, { kind: 'delete', keys: pieces }, filesGoMs(ctx, undefined));
  }
  const unknown = `it landed, but too little is left of the job to write the record of sector ${job.number}; import the sector from its sector.json`;
  const failed = `it failed on the chain with exit code ${exitCode}${detail === '' ? '' : ` (${detail})`}; the sector is as it was`;
  const reason = known ? 'it landed, and the record of the sector says so' : exitCode !== 0 ? failed : done ? unknown : detail;
  note(ctx, landed, { actor: 'chain', kind: 'note', from: job.state, detail: { reason, message: wanted.message, epoch, exitCode } });
}

/** A message of a job that has ended can never land: its sector is free, and its pieces are. */
export function endedMessageDied(ctx: Context, job: Job, cid: string, reason: string): void {
  if (decidesSector(job)?.message.cid === cid) giveBack(ctx, job);
  note(ctx, job, { actor: 'chain', kind: 'note', from: job.state, detail: { reason, message: cid } });
}

/** Why a job may not have the sector yet although no live job has it, and until when; undefined: it may. */
export function heldByEnded(ctx: Context, miner: Job['miner'], number: number): string | undefined {
  const job = ctx.tx.followedJob(miner, number);
  if (job === undefined) return undefined;
  const decides = decidesSector(job);
  const out = decides === undefined ? 'what it did on the chain' : `its ${messageName(decides)}`;
  return `job ${job.id} (${job.plan}) of sector ${number} of ${miner} is ${job.state}, and ${out} is followed until it has landed or can never land: only then it is known what the sector is`;
}
