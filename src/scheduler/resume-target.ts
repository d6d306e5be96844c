/** Where a job can be resumed: states it went through whose inputs are still there. Pure: nothing is changed here. */
import type { Job } from '../schema/job.ts';
import { SealpoolError } from '../schema/problem.ts';
import { Invariant, dataBefore } from './plan.ts';
import { planOf } from './plans/all.ts';

/** Older users type `Abort`. */
export function canonicalState(state: string): string {
  return state === 'Abort' ? 'Aborted' : state;
}

/** States that the job can be resumed at, earliest first, and Aborted. */
export function resumable(job: Job): string[] {
  const { order } = planOf(job.plan);
  const past = order.slice(0, order.indexOf(job.state) + 1).filter((name) => name !== 'Empty' || job.state === 'Empty');
  return [...past.filter((state) => state === job.state || hasInputs(job, state)), 'Aborted'];
}

/** Whether the work of `state` would find what earlier states made: a rebuild without a snap has no tree of one. */
function hasInputs(job: Job, state: string): boolean {
  const plan = planOf(job.plan);
  const data = dataBefore(plan, job.data, state);
  try {
    const there = { ...job, state, data };
    const todo = plan.todo(there);
    if (todo.do !== 'stage') return true;
    return plan.work(there, todo.stage).inputs.every(({ artifact }) => data.artifacts[artifact] !== undefined);
  } catch (error) {
    if (error instanceof Invariant) return false;
    throw error;
  }
}

/** The state to resume at, or the refusal with the valid ones: 400 for one that the plan does not have, 409 for one that cannot be now. */
export function targetOrRefuse(job: Job, state: string | undefined): string {
  if (state === undefined) return job.state;
  const plan = planOf(job.plan);
  const valid = resumable(job);
  if (!plan.order.includes(state)) {
    throw new SealpoolError(
      'bad_request',
      'unknown_state',
      `${state} is no state of the ${plan.name} plan; from ${job.state} you can resume at ${valid.join(', ')}`,
      { valid },
    );
  }
  if (valid.includes(state)) return state;
  throw new SealpoolError(
    'conflict',
    'inputs_missing',
    `${state} needs what job ${job.id} in ${job.state} does not have; you can resume at ${valid.join(', ')}`,
    { valid },
  );
}
