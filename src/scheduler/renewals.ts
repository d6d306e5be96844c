/** Which objects and parts an attempt may have new URLs for: its own inputs and open uploads, while it runs on the runner that asks. */
import type { AttemptId, RunnerId } from '../schema/ids.ts';
import type { HeartbeatRequest } from '../schema/runner.ts';
import { isOf } from './checkpoints.ts';
import type { Context } from './context.ts';
import { inputsOf, outputsOf } from './grants.ts';
import { planOf } from './plans/all.ts';
import type { OpenedUpload } from './ports.ts';

/** URLs to be signed for one attempt. */
export type UrlWishes = {
  readonly attempt: AttemptId;
  readonly inputs: readonly { readonly name: string; readonly key: string }[];
  readonly parts: readonly { readonly name: string; readonly upload: OpenedUpload; readonly numbers: readonly number[] }[];
};

/** What of a heartbeat's wishes is the attempts' own; the rest is passed over without a word. */
export function renewalsOf(ctx: Context, runner: RunnerId, request: HeartbeatRequest): UrlWishes[] {
  return request.attempts.flatMap((beat) => {
    const row = beat.urls === undefined ? undefined : ctx.tx.attempt(beat.attempt);
    if (beat.urls === undefined || row === undefined) return [];
    if (row.runner !== runner || row.epoch !== beat.epoch || row.status !== 'running') return [];
    const job = ctx.tx.job(row.job);
    if (job === undefined || job.generation !== row.generation) return [];
    try {
      const work = planOf(job.plan).work(job, row.stage);
      const wanted = new Set(beat.urls.inputs);
      // What it was given and has made anew meanwhile is at another place now, and not needed any more.
      const inputs = inputsOf(ctx, job, work).filter(({ name, key }) => wanted.has(name) && !isOf(row.id, key));
      const uploads = ctx.tx.uploadsOfAttempt(row.id);
      const outputs = outputsOf(job, work, row.id);
      const parts = beat.urls.parts.flatMap(({ name, numbers }) => {
        const open = uploads.find((upload) => upload.name === name);
        const output = outputs.find((one) => one.name === name);
        if (open === undefined || output === undefined) return [];
        const { maxSizeBytes, exactly } = output;
        return [{ name, upload: { key: open.key, uploadId: open.uploadId, maxSizeBytes, exactly }, numbers }];
      });
      return [{ attempt: row.id, inputs: inputs.map(({ name, key }) => ({ name, key })), parts }];
    } catch {
      // A job that is broken is met with care where its result is applied; the other attempts' heartbeats must not suffer.
      return [];
    }
  });
}
