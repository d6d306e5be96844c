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

/** Stands for the CID of a message that nobody here knows. */
const UNKNOWN_CID = 'found-on-chain';

/** A message that this database does not have, as one of a lost database: only its work on the chain is known; `epoch`: when that was done. */
export function foundMessage(epoch: number): ChainMessage {
  return { cid: UNKNOWN_CID, nonce: -1, try: 0, landedEpoch: epoch, exitCode: 0, found: true };
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
