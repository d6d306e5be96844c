/**
 * What may be bound, checked alike on both engines before a statement runs: a Durable Object fails at 101
 * parameters and at rows of about 2 MB, and silently stores booleans and dates as text; better-sqlite3
 * throws on those and takes the rest. Drizzle tells its logger every statement with its final values right
 * before running it, so the guard is one.
 */
import type { Logger } from 'drizzle-orm/logger';
import { SealpoolError } from '../schema/problem.ts';

/** More fail on a Durable Object. */
const MAX_PARAMETERS = 100;
/** Rows of 1.9 MB pass on a Durable Object, 2.2 MB fail. In characters; JSON of ours is nearly all ASCII. */
const MAX_TEXT = 1_800_000;

/** Refuses values and statements that only one of the engines takes, and anything outside a transaction. */
export class Guard implements Logger {
  /** Set while a transaction is open: a `Tx` kept beyond its `commit` must not write by itself. */
  open = false;

  /** Throws before the statement runs. */
  logQuery(query: string, params: unknown[]): void {
    if (!this.open) {
      throw new Error('the database was used outside commit(); a Tx is good only until its function returns');
    }
    if (params.length > MAX_PARAMETERS) {
      throw new Error(
        `${params.length} values bound to one statement, ${MAX_PARAMETERS} at most; pass a list as one JSON value: ${query.slice(0, 80)}`,
      );
    }
    for (const value of params) check(value);
  }
}

function check(value: unknown): void {
  if (value === null) return;
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new Error(`${value} cannot be stored; store a finite number or null`);
    return;
  }
  if (typeof value !== 'string') {
    throw new Error(`a ${typeof value} cannot be bound on both engines; store it as text, a number or null`);
  }
  if (value.length > MAX_TEXT) {
    throw new SealpoolError(
      'too_large',
      'row_too_large',
      `a row of ${value.length} characters does not fit into the database; keep large results in object storage`,
    );
  }
}
