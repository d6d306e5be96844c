/**
 * Layers of PC1 that are stored while the stage goes on. Each becomes an artifact of the job at once, like any other output:
 * the next attempt starts after it, going back or aborting drops it, and its maker answers for it.
 */
import { type Artifact, wrongSize } from '../schema/artifact.ts';
import type { AttemptId, RunnerId } from '../schema/ids.ts';
import type { Attempt, Job } from '../schema/job.ts';
import { sumsOf } from '../schema/manifest.ts';
import type { Checkpoint } from '../schema/runner.ts';
import { change, discard, note } from './change.ts';
import type { Context } from './context.ts';
import { strike } from './fleet.ts';
import { outputKey } from './grants.ts';
import { type ReportAnswer, heldAttempt } from './held-attempt.ts';
import type { OutputFile } from './plan.ts';
import { planOf } from './plans/all.ts';
import type { RunnerRow, UploadRow } from './ports.ts';

type Output = Pick<Checkpoint['output'], 'name' | 'sizeBytes' | 'hash' | 'manifest'>;

/** Whether the attempt made the object with this key. */
export function isOf(attempt: AttemptId, key: string): boolean {
  return key.includes(`/${attempt}/`);
}

/** Where a checkpoint stands before its upload is completed: that upload, or the answer. */
export function checkCheckpoint(ctx: Context, runner: RunnerRow, checkpoint: Checkpoint): { readonly upload: UploadRow } | ReportAnswer {
  const held = heldAttempt(ctx, runner, checkpoint);
  if ('status' in held) return held;
  const { job, attempt } = held;
  const { name, sizeBytes } = checkpoint.output;
  const slot = slotOf(job, attempt, name);
  if (slot === undefined) return { status: 'refused', message: `${name} is nothing that is taken before the stage has ended` };
  const wrong = wrongSize(name, BigInt(sizeBytes), job.data.sealProof);
  if (wrong !== undefined) return { status: 'refused', message: wrong };
  const kept = job.data.artifacts[slot.artifact];
  const upload = ctx.tx.uploadsOfAttempt(attempt.id).find((row) => row.name === name);
  if (upload !== undefined) return { upload };
  if (kept !== undefined && isOf(attempt.id, kept.key)) return { status: 'duplicate', message: `${name} is kept already` };
  return { status: 'refused', message: `there is no open upload of ${name}; it goes with the report` };
}

/** Keeps one whose upload is complete. Checks again: time has passed. */
export function keepCheckpoint(ctx: Context, runner: RunnerRow, checkpoint: Checkpoint): ReportAnswer {
  const { output } = checkpoint;
  const held = heldAttempt(ctx, runner, checkpoint);
  const slot = 'status' in held ? undefined : slotOf(held.job, held.attempt, output.name);
  if ('status' in held || slot === undefined) {
    dropLate(ctx, checkpoint);
    return 'status' in held ? held : { status: 'refused', message: `${output.name} is no longer asked for` };
  }
  const { job, attempt } = held;
  const artifacts = { ...job.data.artifacts };
  const superseded = keepOutput(ctx, artifacts, slot.artifact, { attempt, job, output, early: true });
  ctx.tx.deleteUpload(attempt.id, output.name);
  if (superseded !== undefined) {
    discard(ctx, job, [superseded]);
    strikeRefutedLayer(ctx, job, attempt, job.data.artifacts[slot.artifact], output);
  }
  const kept = change(ctx, job, { data: { ...job.data, artifacts } });
  note(ctx, kept, {
    actor: `runner:${runner.id}`,
    kind: 'note',
    from: job.state,
    detail: { reason: `${output.name} is kept: another runner could go on after it`, attempt: attempt.id, runner: runner.id },
  });
  return { status: 'accepted', message: `${output.name} is kept` };
}

const slotOf = (job: Job, attempt: Attempt, name: string): OutputFile | undefined =>
  planOf(job.plan)
    .work(job, attempt.stage)
    .outputs.find((slot) => slot.early === true && slot.name === name);

/** Its object was made after its attempt had ended: nothing else would ever look for it. */
function dropLate(ctx: Context, { attempt: id, output }: Checkpoint): void {
  const attempt = ctx.tx.attempt(id);
  const job = attempt === undefined ? undefined : ctx.tx.job(attempt.job);
  if (attempt === undefined || job === undefined) return;
  const key = outputKey(job, id, output.name);
  if (Object.values(job.data.artifacts).every((artifact) => artifact.key !== key)) discard(ctx, job, [key]);
}

/**
 * Puts an output among `artifacts`. One with the same bytes as before keeps its first object, but for what is kept while a stage goes
 * on: whoever makes that again could not use the first. What an attempt has once said of an object stays. Answers the key that is
 * of no use now.
 */
export function keepOutput(
  ctx: Context,
  artifacts: Record<string, Artifact>,
  artifact: string,
  { attempt, job, output, early }: { readonly attempt: Attempt; readonly job: Job; readonly output: Output; readonly early: boolean },
): string | undefined {
  const key = outputKey(job, attempt.id, artifact);
  const before = artifacts[artifact];
  if (before?.key === key) return undefined;
  if (before?.hash === output.hash && !early) return key;
  const { manifest, sizeBytes } = output;
  // One that does not fit is of no use; that the file is the right one, its hash says.
  if (manifest !== undefined && sumsOf(manifest, Number(sizeBytes)) !== undefined) ctx.tx.putManifest(key, manifest);
  artifacts[artifact] = { key, sizeBytes, hash: output.hash, madeIn: attempt.state, madeBy: attempt.runner };
  return before?.key;
}

/** A layer has one right content: where an own runner made it again and came to another hash, its first maker has lied about it. */
export function strikeRefutedLayer(ctx: Context, job: Job, attempt: Attempt, before: Artifact | undefined, output: Output): void {
  if (before === undefined || before.hash === output.hash || before.madeBy === attempt.runner) return;
  const [maker, by] = [ctx.tx.runner(before.madeBy as RunnerId), ctx.tx.runner(attempt.runner)];
  if (maker?.trust !== 'rented' || by?.trust !== 'own') return;
  strike(ctx, maker, `${attempt.stage} of ${job.id}: ${output.name} has another hash than it said, an own runner made it again`, true);
}

/** After a refused result nothing of its maker is built on: its layers go, and those that were made after them. */
export function dropCheckpoints(ctx: Context, job: Job, attempt: Attempt): Job {
  const early = planOf(job.plan)
    .work(job, attempt.stage)
    .outputs.filter((slot) => slot.early === true)
    .map(({ artifact }) => artifact);
  const first = early.findIndex((artifact) => job.data.artifacts[artifact]?.madeBy === attempt.runner);
  if (first < 0) return job;
  const gone = new Set(early.slice(first));
  const kept = Object.entries(job.data.artifacts).filter(([artifact]) => !gone.has(artifact));
  discard(
    ctx,
    job,
    [...gone].flatMap((artifact) => job.data.artifacts[artifact]?.key ?? []),
  );
  return change(ctx, job, { data: { ...job.data, artifacts: Object.fromEntries(kept) } });
}
