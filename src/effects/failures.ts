/** Errors of the outside as the outbox's four categories. */
import { SealpoolError } from '../schema/problem.ts';
import type { ErrorCategory } from '../schema/job.ts';
import type { EffectOutcome } from '../scheduler/effects.ts';

const CATEGORIES: readonly string[] = ['temporary', 'permanent', 'critical', 'abort'] satisfies ErrorCategory[];

/** Waiting mends these refusals of our own parts; the rest of them means that we asked for the wrong thing. */
const PASSING: readonly string[] = ['unavailable', 'storage_full', 'too_many_requests', 'internal'];

/**
 * The category an error carries (the chain's do), else what its kind says. What names neither is a fault
 * of network or system, and temporary: repeating an effect never does it twice.
 */
export function failureOf(error: unknown): Extract<EffectOutcome, { outcome: 'error' }> {
  const { category, code, message } = (error ?? {}) as { category?: unknown; code?: unknown; message?: unknown };
  return {
    outcome: 'error',
    category: categoryOf(error, category),
    code: typeof code === 'string' ? code : 'effect_failed',
    message: typeof message === 'string' && message !== '' ? message : String(error),
  };
}

function categoryOf(error: unknown, category: unknown): ErrorCategory {
  if (typeof category === 'string' && CATEGORIES.includes(category)) return category as ErrorCategory;
  if (error instanceof SealpoolError && !PASSING.includes(error.kind)) return 'permanent';
  return 'temporary';
}
