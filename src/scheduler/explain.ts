/** Why a job waits, in a sentence, and which runner its stage would go to. */
import type { Job } from '../schema/job.ts';
import type { Context } from './context.ts';
import { RESERVING, failedOn, misfit } from './feasible.ts';
import { LimitGate } from './limits.ts';
import { noRoom } from './miner-storage.ts';
import { planOf } from './plans/all.ts';
import { untested } from './self-test/standing.ts';

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
      return plain(threadWanted(ctx, job));
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

function threadWanted(ctx: Context, job: Job): string {
  const threads = ctx.tx.threads().filter(({ plan, miner }) => plan === job.plan && (miner === null || miner === job.miner));
  if (threads.length === 0) {
    return `no sealing_thread takes the ${job.plan} plan for ${job.miner}: configure one (workers, plan = "${job.plan}") and start again.`;
  }
  const on = threads.filter(({ enabled }) => enabled).length;
  return on === 0
    ? `every sealing_thread with the ${job.plan} plan is switched off: switch one on.`
    : `it waits for a free sealing_thread with the ${job.plan} plan; ${on} ${on === 1 ? 'is' : 'are'} at work.`;
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
      untested(ctx.settings, runner, stage) ??
      away ??
      noRoom(ctx, runner, job, work) ??
      (failed.has(runner.id) ? 'it failed this stage before: others go first' : 'it fits and gets the stage when it has a free place');
    return { runner: runner.id, name: runner.name, fits: why.startsWith('it fits'), why };
  });
  const fitting = candidates.filter(({ fits }) => fits).length;
  const limited = new LimitGate(ctx).against(job, stage);
  const sentence =
    limited !== undefined
      ? `${stage} waits although a runner may be free: ${limited.why}.`
      : fitting > 0
        ? `${stage} waits for a free place on ${fitting === 1 ? 'the one runner that fits' : `one of ${fitting} runners that fit`}.`
        : `${stage} waits for a runner: ${candidates.length === 0 ? 'none is registered (sealpool runners token makes a join token)' : 'none that is registered fits'}.`;
  return { waitsFor: 'runner', sentence: sentence + because, candidates };
}
