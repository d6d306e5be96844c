/** Why a job waits, in a sentence, and which runner its stage would go to. */
import type { Job } from '../schema/job.ts';
import type { Stage } from '../schema/stage.ts';
import type { Context } from './context.ts';
import { LimitGate } from './limits.ts';
import { type Candidate, candidatesFor } from './placement/candidates.ts';
import { RESERVING } from './placement/feasible.ts';
import { patienceOf } from './placement/gate.ts';
import { planOf } from './plans/all.ts';

export type Explanation = {
  readonly waitsFor: string;
  readonly sentence: string;
  readonly candidates: readonly Candidate[];
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

function runnerWanted(ctx: Context, job: Job, stage: Stage, because: string): Explanation {
  const todo = planOf(job.plan).todo(job);
  const work = todo.do === 'stage' ? planOf(job.plan).work(job, stage) : RESERVING;
  const candidates = candidatesFor(ctx, job, stage, work);
  const fitting = candidates.filter(({ fits }) => fits).length;
  const limited = new LimitGate(ctx).against(job, stage);
  const sentence =
    limited !== undefined
      ? `${stage} waits although a runner may be free: ${limited.why}.`
      : fitting > 0
        ? `${stage} waits for a free place on ${fitting === 1 ? 'the one runner that fits' : `one of ${fitting} runners that fit`}.${goesTo(ctx, job, candidates)}`
        : `${stage} waits for a runner: ${candidates.length === 0 ? 'none is registered (sealpool runners token makes a join token)' : 'none that is registered fits'}.`;
  return { waitsFor: 'runner', sentence: sentence + because, candidates };
}

/** Which one, at what cost, and until when it is kept for it. */
function goesTo(ctx: Context, { waiting }: Job, candidates: readonly Candidate[]): string {
  const found = candidates.find(({ gets }) => gets);
  if (found === undefined || found.cost === null) return '';
  const when = found.cost.queueS > 0 ? `, which is expected to be free in ${Math.ceil(found.cost.queueS / 60)} min` : '';
  const untilMs = waiting.for === 'runner' ? waiting.sinceMs + patienceOf(ctx).patienceMs : 0;
  const over = untilMs <= ctx.nowMs ? ' It has waited so long that the first one that asks gets it.' : '';
  return ` It would go to ${found.name}${when}.${over}`;
}
