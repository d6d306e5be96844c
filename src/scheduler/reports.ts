/** Reports of runners. Fencing: an attempt that is not the running one of the job's generation changes nothing. */
import { wrongSize } from '../schema/artifact.ts';
import type { Attempt, Job } from '../schema/job.ts';
import type { Report } from '../schema/runner.ts';
import { badResults, strikeRefuted } from './bad-results.ts';
import { change, discard, dropUploads, note } from './change.ts';
import { dropCheckpoints, keepOutput, strikeRefutedLayer } from './checkpoints.ts';
import type { Context } from './context.ts';
import { failureText, readDispute, strikeDoubters } from './disputed-inputs.ts';
import { alone, expireTicket, fail, settle, waitFor } from './engine.ts';
import { reported } from './evidence.ts';
import { passOver, storedAnew } from './existing.ts';
import { outputKey } from './grants.ts';
import { type ReportAnswer, answer, heldAttempt, wasInterrupted } from './held-attempt.ts';
import { placeFreed } from './limits.ts';
import type { StageWork, Verdict } from './plan.ts';
import { learned } from './placement/stage-times.ts';
import { planOf } from './plans/all.ts';
import type { RunnerRow } from './ports.ts';
import { strike } from './fleet.ts';
import { assignFreed } from './threads.ts';
import { landedTooLate } from './ticket.ts';
import { failsWithOthers, transferWorked } from './transfer-faults.ts';

/** Where a report stands before its uploads are completed: to be applied, or answered at once. `wrong`: applying it refuses it, so nothing is to be completed. */
export function checkReport(
  ctx: Context,
  runner: RunnerRow,
  report: Report,
): { readonly status: 'apply'; readonly wrong?: string | undefined } | ReportAnswer {
  const held = heldAttempt(ctx, runner, report);
  if ('status' in held) return held;
  return { status: 'apply', wrong: report.outcome === 'done' ? wrongOf(held.job, held.attempt, report) : undefined };
}

/**
 * Applies a report whose uploads are complete. Checks again: time has passed since `checkReport`. What comes of it says that the
 * request did which the stage was granted to, whatever call brought the report: one id leads through the step.
 */
export function applyReport(given: Context, runner: RunnerRow, report: Report): ReportAnswer {
  const standing = checkReport(given, runner, report);
  if (standing.status !== 'apply') return standing;
  const { takingUntilMs: _taking, ...attempt } = given.tx.attempt(report.attempt) as Attempt;
  const ctx: Context = { ...given, request: attempt.request ?? given.request };
  const job = ctx.tx.job(attempt.job) as Job;
  let answered = answer('refused', `the job of attempt ${attempt.id} was stopped by an error inside Sealpool; drop the result`);
  // The reports of a call share a transaction: an error in one job must not cost the others' results.
  alone(ctx, job, () => {
    answered = applied(ctx, runner, job, attempt, report);
  });
  assignFreed(ctx);
  return answered;
}

function applied(ctx: Context, runner: RunnerRow, job: Job, attempt: Attempt, report: Report): ReportAnswer {
  if (report.outcome === 'failed') {
    end(ctx, job, attempt, 'failed', failureText(job, attempt, report));
    failed(ctx, runner, job, attempt, report);
    return answer('accepted', 'the failure is recorded');
  }
  const work = planOf(job.plan).work(job, attempt.stage);
  const wrong = wrongFiles(job, work, report);
  if (wrong !== undefined) return refuse(ctx, runner, job, attempt, wrong, true, report);
  const verdict = planOf(job.plan).applyStage(job, attempt.stage, report.result, runner.id);
  if (verdict.verdict === 'runner_fault') return refuse(ctx, runner, job, attempt, verdict.reason, verdict.lied, report);
  end(ctx, job, attempt, 'done', null);
  if (report.outputs.length > 0) transferWorked(ctx);
  const better = { ...learned(runner, attempt, job.data.sealProof, ctx.nowMs), strikes: 0 };
  if (runner.strikes > 0 || better.stageMs !== runner.stageMs) ctx.tx.updateRunner(better);
  if (verdict.verdict === 'ok' && attempt.stage === 'Verify') strikeRefuted(ctx, job, attempt);
  if (verdict.verdict === 'ok') strikeDoubters(ctx, job, attempt);
  const withFiles = verdict.verdict === 'ok' ? keepOutputs(ctx, job, attempt, work, report) : job;
  // Whatever else it means: the files are of no use, and nothing would ever look for them again.
  if (verdict.verdict !== 'ok') discardOutputs(ctx, job, attempt);
  act(ctx, withFiles, verdict);
  return answer('accepted', 'the result counts');
}

function end(ctx: Context, job: Job, attempt: Attempt, status: 'done' | 'failed' | 'refused', failure: string | null): void {
  ctx.tx.updateAttempt({ ...attempt, status, endedMs: ctx.nowMs, failure });
  if (status === 'done') ctx.tx.deleteUploads(attempt.id);
  placeFreed(ctx);
  note(ctx, job, {
    actor: `runner:${attempt.runner}`,
    kind: 'attempt',
    detail: {
      attempt: attempt.id,
      stage: attempt.stage,
      runner: attempt.runner,
      epoch: attempt.epoch,
      status,
      durationMs: ctx.nowMs - attempt.grantedMs,
      ...(failure === null ? {} : { failure }),
    },
  });
}

/** A result that does not hold costs the runner, not the job: the stage goes elsewhere. */
function refuse(ctx: Context, runner: RunnerRow, job: Job, attempt: Attempt, reason: string, lied: boolean, report: Report): ReportAnswer {
  end(ctx, job, attempt, 'refused', reason);
  strike(ctx, runner, `${attempt.stage} of ${job.id}: ${reason}`, lied, reported(job, attempt, report));
  discardOutputs(ctx, job, attempt);
  again(ctx, dropCheckpoints(ctx, job, attempt), attempt, reason);
  return answer('refused', `the result of attempt ${attempt.id} is refused: ${reason}`);
}

/** Whatever the attempt may have uploaded goes, and with it the uploads that are still open. */
function discardOutputs(ctx: Context, job: Job, attempt: Attempt): void {
  if (ctx.tx.uploadsOfAttempt(attempt.id).length > 0) {
    dropUploads(ctx, job, attempt.id);
    return;
  }
  const { outputs } = planOf(job.plan).work(job, attempt.stage);
  discard(
    ctx,
    job,
    // What was kept while the stage went on counts whatever became of it.
    outputs
      .map(({ artifact }) => ({ key: outputKey(job, attempt.id, artifact), kept: job.data.artifacts[artifact]?.key }))
      .flatMap(({ key, kept }) => (key === kept ? [] : [key])),
  );
}

/** The stage waits for another runner; when all have failed, longer each time, without costing the job a retry. */
function again(ctx: Context, job: Job, attempt: Attempt, reason: string): void {
  const tries = ctx.tx
    .attemptsOfJob(job.id)
    .filter((other) => other.stage === attempt.stage && other.state === attempt.state && other.generation === attempt.generation).length;
  if (tries <= 1) {
    const message = `${reason}; ${attempt.stage} goes to the next runner by itself`;
    settle(ctx, change(ctx, job, { error: { category: 'temporary', code: 'runner_fault', message, atMs: ctx.nowMs } }));
    return;
  }
  fail(
    ctx,
    job,
    {
      category: 'temporary',
      code: 'runner_fault',
      message: `${attempt.stage} failed on ${tries} attempts, last: ${reason}; it goes to the next runner by itself`,
    },
    false,
    tries,
  );
}

/** What is wrong with its files. A job that is broken says nothing here: applying the report meets that with care. */
function wrongOf(job: Job, attempt: Attempt, report: Extract<Report, { outcome: 'done' }>): string | undefined {
  try {
    return wrongFiles(job, planOf(job.plan).work(job, attempt.stage), report);
  } catch {
    return undefined;
  }
}

/** Exactly the files that were asked for: server-made names, none missing, none besides, none empty, cut short or too large. */
function wrongFiles(job: Job, work: StageWork, report: Extract<Report, { outcome: 'done' }>): string | undefined {
  const given = new Set<string>();
  for (const output of report.outputs) {
    if (given.has(output.name)) return `it names ${output.name} twice`;
    given.add(output.name);
    if (!work.outputs.some(({ name }) => name === output.name)) return `it returned ${output.name}, which was not asked for`;
    const wrong = wrongSize(output.name, BigInt(output.sizeBytes), job.data.sealProof);
    if (wrong !== undefined) return wrong;
  }
  const missing = work.outputs.find(({ name, required }) => required && !given.has(name));
  return missing === undefined ? undefined : `its output ${missing.name} is missing`;
}

/** Takes the outputs among the job's artifacts. */
function keepOutputs(ctx: Context, job: Job, attempt: Attempt, work: StageWork, report: Extract<Report, { outcome: 'done' }>): Job {
  const artifacts = { ...job.data.artifacts };
  const superseded: string[] = [];
  for (const output of report.outputs) {
    const { artifact = output.name, early = false } = work.outputs.find(({ name }) => name === output.name) ?? {};
    const key = keepOutput(ctx, artifacts, artifact, { attempt, job, output, early });
    if (key === undefined) continue;
    superseded.push(key);
    if (early) strikeRefutedLayer(ctx, job, attempt, job.data.artifacts[artifact], output);
  }
  discard(ctx, job, superseded);
  return change(ctx, job, { data: { ...job.data, artifacts } });
}

/** Carries a verdict out. */
export function act(ctx: Context, job: Job, verdict: Verdict): Job {
  switch (verdict.verdict) {
    case 'ok': {
      const changed = change(ctx, job, { data: { ...job.data, ...verdict.data } });
      if (verdict.data.stored !== undefined) storedAnew(ctx, changed);
      return settle(ctx, changed);
    }
    case 'wait':
      return waitFor(ctx, job, verdict.code, verdict.message);
    case 'pass_over':
      note(ctx, job, { actor: 'engine', kind: 'note', from: job.state, detail: { reason: verdict.reason, passedOver: job.number } });
      return settle(ctx, passOver(ctx, job, verdict.forGood ? verdict.reason : undefined));
    case 'bad_results':
      return badResults(ctx, job, verdict);
    case 'error': {
      const known = verdict.data === undefined ? job : change(ctx, job, { data: { ...job.data, ...verdict.data } });
      const late = verdict.code === 'pre_commit_failed' ? landedTooLate(known) : undefined;
      if (late !== undefined) return settle(ctx, expireTicket(ctx, known, late));
      return fail(ctx, known, { category: verdict.category, code: verdict.code, message: verdict.message });
    }
    case 'runner_fault':
      throw new Error('a runner fault is dealt with where the runner is known');
  }
}

/** A rented host may stop once; one that takes the same stage to stop it again holds the job up, and pays unless it was told to drain. */
function brokenOff(ctx: Context, runner: RunnerRow, job: Job, attempt: Attempt, report: Report, reason: string): void {
  const before = ctx.tx
    .attemptsOfJob(job.id)
    .some(
      (other) =>
        other.id !== attempt.id &&
        other.runner === runner.id &&
        other.stage === attempt.stage &&
        other.state === attempt.state &&
        other.generation === attempt.generation &&
        wasInterrupted(other),
    );
  if (before && runner.status !== 'draining') strike(ctx, runner, reason, false, reported(job, attempt, report));
  again(ctx, job, attempt, reason);
}

/** Codes that mean our own request or data is wrong, when an own runner says so. */
const OURS: ReadonlySet<string> = new Set(['bad_request', 'input_invalid']);

function failed(ctx: Context, runner: RunnerRow, job: Job, attempt: Attempt, report: Extract<Report, { outcome: 'failed' }>): void {
  const reason = `${attempt.stage} on ${runner.name}: ${report.message}`;
  discardOutputs(ctx, job, attempt);
  if (report.code === 'interrupted') {
    if (runner.trust === 'own') settle(ctx, job);
    else brokenOff(ctx, runner, job, attempt, report, reason);
    return;
  }
  if (report.code === 'storage_full') {
    fail(
      ctx,
      job,
      { category: 'temporary', code: 'storage_full', message: `${reason}; free space or attach another path, it goes on by itself` },
      false,
    );
    return;
  }
  const disputed = readDispute(ctx, runner, job, attempt, report);
  if (disputed !== undefined) {
    if (disputed.strikes) strike(ctx, runner, reason, false, reported(job, attempt, report));
    if (disputed.verdict === undefined) again(ctx, job, attempt, reason);
    else act(ctx, job, disputed.verdict);
    return;
  }
  if (runner.trust === 'own' && OURS.has(report.code)) {
    fail(ctx, job, { category: 'permanent', code: report.code, message: `${reason}; mend the cause, then resume` });
    return;
  }
  const shared = report.code === 'transfer_failed' && failsWithOthers(ctx, runner);
  if (!shared) strike(ctx, runner, reason, false, reported(job, attempt, report));
  again(ctx, job, attempt, reason);
}
