/** Why a job waits, in a sentence, and which runner its stage would go to. */
import type { Job } from '../schema/job.ts';
import type { Context } from './context.ts';
import { RESERVING, failedOn, misfit } from './feasible.ts';
import { planOf } from './plans/all.ts';

export type Explanation = {
  readonly waitsFor: string;
  readonly sentence: string;
  readonly candidates: readonly { readonly runner: string; readonly name: string; readonly fits: boolean; readonly why: string }[];
};

/** See `GET /v1/sectors/{id}/explain`. */
export function explain(ctx: Context, job: Job): Explanation {
  const { waiting } = job;
  const because = job.error === null ? '' : ` The last error: ${job.error.message}.`;
  const plain = (sentence: string): Explanation => ({ waitsFor: waiting.for, sentence: sentence + because, candidates: [] });
  switch (waiting.for) {
    case 'thread':
      return plain(`it waits for a free sealing_thread with the ${job.plan} plan`);
    case 'stage':
      return plain(`${waiting.stage} runs as attempt ${waiting.attempt}`);
    case 'effect': {
      const effect = ctx.tx.effect(waiting.effect);
      return plain(
        `${effect?.step ?? 'a step outside'} is under way${effect?.lastError === null || effect === undefined ? '' : `: ${effect.lastError}`}`,
      );
    }
    case 'retry':
      return plain(`it tries again in ${Math.max(0, Math.ceil((waiting.untilMs - ctx.nowMs) / 1000))} s`);
    case 'operator':
      return plain('it is paused until somebody resumes it');
    case 'nothing':
      return plain(`it is ${job.state}`);
    case 'runner':
      return runnerWanted(ctx, job, waiting.stage, because);
  }
}

function runnerWanted(ctx: Context, job: Job, stage: Parameters<typeof misfit>[1], because: string): Explanation {
  const todo = planOf(job.plan).todo(job);
  const work = todo.do === 'stage' ? planOf(job.plan).work(job, stage) : RESERVING;
  const failed = failedOn(ctx.tx.attemptsOfJob(job.id), job, stage);
  const goneMs = ctx.settings.pollMs + ctx.settings.leaseMs;
  const candidates = ctx.tx.runners().map((runner) => {
    const away = ctx.nowMs - runner.lastSeenMs > goneMs ? 'it has not been heard of lately' : undefined;
    const why =
      misfit(runner, stage, work, job, ctx.nowMs) ??
      away ??
      (failed.has(runner.id) ? 'it failed this stage before: others go first' : 'it fits and gets the stage when it has a free place');
    return { runner: runner.id, name: runner.name, fits: why.startsWith('it fits'), why };
  });
  const fitting = candidates.filter(({ fits }) => fits).length;
  const sentence =
    fitting > 0
      ? `${stage} waits for a free place on ${fitting === 1 ? 'the one runner that fits' : `one of ${fitting} runners that fit`}.`
      : `${stage} waits for a runner: ${candidates.length === 0 ? 'none is registered (sealpool runners token makes a join token)' : 'none that is registered fits'}.`;
  return { waitsFor: 'runner', sentence: sentence + because, candidates };
}
