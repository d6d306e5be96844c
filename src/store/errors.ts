/** What the engines' errors mean. Both name SQLite's codes, one as `code`, one inside the message. */
import { SealpoolError } from '../schema/problem.ts';

/** Waited before a full disk is tried again; told to the client. */
const RETRY_AFTER_SECONDS = 10;

function* causes(error: unknown): Generator<unknown> {
  // Drizzle wraps some errors: the code stands in the cause.
  for (let at: unknown = error; at !== undefined && at !== null; at = (at as { cause?: unknown }).cause) yield at;
}

/** `SQLITE_FULL`, `SQLITE_IOERR_FSYNC`…, or undefined for an error that is not the engine's. */
export function sqliteCode(error: unknown): string | undefined {
  for (const cause of causes(error)) {
    const { code, message } = cause as { code?: unknown; message?: unknown };
    if (typeof code === 'string' && code.startsWith('SQLITE_')) return code;
    const named = typeof message === 'string' ? /\bSQLITE_[A-Z_]+/.exec(message) : null;
    if (named !== null) return named[0];
  }
  return undefined;
}

/** The disk is full: nothing of the request stayed. */
export function storageFull(): SealpoolError {
  return new SealpoolError(
    'storage_full',
    'storage_full',
    'the disk of the database is full, nothing was changed; free space there, then send the request again',
    { retryAfterSeconds: RETRY_AFTER_SECONDS },
  );
}

/** Whether the state of the file is unknown after this: only a restart, which reads the log again, helps. */
export function isFatal(code: string | undefined): boolean {
  return code !== undefined && /^SQLITE_(IOERR|CORRUPT|NOTADB|CANTOPEN|READONLY)/.test(code);
}

/** What a fatal error says to whoever reads the log of the process that it ends. */
export function fatalError(error: unknown): Error {
  const cause = error instanceof Error ? error : new Error(String(error));
  if (!isFatal(sqliteCode(error))) return cause;
  return new Error(`${cause.message}; look at the disk of the database, then start again: everything that was answered is kept`, { cause });
}

/** A full disk and a broken uniqueness as problems; any other error as it came. */
export function asProblem(error: unknown): unknown {
  if (error instanceof SealpoolError) return error;
  const code = sqliteCode(error);
  if (code === 'SQLITE_FULL') return storageFull();
  for (const cause of causes(error)) {
    const { message } = cause as { message?: unknown };
    if (typeof message === 'string' && message.includes('UNIQUE constraint failed: jobs.miner, jobs.number')) {
      return new SealpoolError(
        'conflict',
        'sector_has_live_job',
        'this sector has a live job already; abort it or wait until it has finished',
      );
    }
  }
  return error;
}
