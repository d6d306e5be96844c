/** Why an attempt ends without a result: a code of the protocol and a sentence. */
import type { z } from 'zod';
import type { FailureCode } from '../schema/runner.ts';

export type FailureName = z.infer<typeof FailureCode>;

/** Thrown inside an attempt, reported as `failed`. `input` is the artifact that is to blame. */
export class StageFailure extends Error {
  readonly code: FailureName;
  readonly input: string | undefined;

  constructor(code: FailureName, message: string, input?: string) {
    super(message);
    this.name = 'StageFailure';
    this.code = code;
    this.input = input;
  }
}

/** The errno name of a failed system call, or `undefined`. */
export function errnoOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** Any error as a failure; a full disk is `full` (which disk it was, the caller knows). */
export function asFailure(error: unknown, full: 'out_of_disk' | 'storage_full'): StageFailure {
  if (error instanceof StageFailure) return error;
  const text = error instanceof Error ? error.message : String(error);
  const code = errnoOf(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new StageFailure(
      full,
      `${full === 'storage_full' ? 'the miner storage' : "the runner's work disk"} is full (${text}); free space there`,
    );
  }
  return new StageFailure('internal', `the runner failed: ${text}; look into its log`);
}
