/** What was answered to requests with an Idempotency-Key is kept for a day and then forgotten. */
import type { Context } from './context.ts';

/** Long enough for whoever lost an answer to ask again after a night. */
export const ANSWERS_KEPT_MS = 86_400_000;
/** Rows of one transaction: nobody waits long behind it. */
const BATCH = 200;

/** Drops answers that are too old, at most `batch`; answers whether there are more. */
export function forgetAnswers(ctx: Context, batch = BATCH): boolean {
  return ctx.tx.dropAnswers(ctx.nowMs - ANSWERS_KEPT_MS, batch) === batch;
}
