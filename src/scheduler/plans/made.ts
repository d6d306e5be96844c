/** Reading what earlier states must have made. */
import type { ChainMessage, Job } from '../../schema/job.ts';
import { Invariant, type Todo } from '../plan.ts';

/** A number and a field that the state before must have made; a gap is a bug of ours. */
export function made<T>(job: Job, value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) {
    throw new Invariant(`job ${job.id} is in ${job.state} without ${what}, which an earlier state must have made`);
  }
  return value;
}

/** The CID of a message for records; null where there is none, or nobody knows it (found on the chain after a restore). */
export function knownCid(message: ChainMessage | undefined): string | null {
  return message === undefined || message.found === true ? null : message.cid;
}

/** The job's sector number. */
export function numberOf(job: Job): number {
  return made(job, job.number, 'a number');
}

export const stage = (name: Extract<Todo, { do: 'stage' }>['stage']): Todo => ({ do: 'stage', stage: name });
export const advance = (event: string): Todo => ({ do: 'advance', event });
export const nothing: Todo = { do: 'nothing' };
