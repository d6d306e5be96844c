/** What a chain call can fail with, sorted by what helps. */

/**
 * `temporary`: the same call may succeed later (node away, time-out, low balance).
 * `permanent`: it will not, however often it is repeated (the chain refused what was asked).
 */
export type ChainErrorCategory = 'temporary' | 'permanent';

/** A call to the chain failed. The message says what happened, then what to do. */
export class ChainError extends Error {
  readonly category: ChainErrorCategory;
  /** Stable and short: `rpc_unreachable`, `rpc_timeout`, `rpc_unauthorized`, `actor_exit`, `ticket_expired`… */
  readonly code: string;
  /** The actor's exit code where the node told one. */
  readonly exitCode: number | undefined;
  /** The JSON-RPC error code where the node answered with an error. */
  readonly rpcCode: number | undefined;
  /** Nothing is wrong but the moment: ask again after so many epochs, and do not count it as a failure. */
  readonly waitEpochs: number | undefined;

  constructor(
    category: ChainErrorCategory,
    code: string,
    message: string,
    detail: { exitCode?: number | undefined; rpcCode?: number | undefined; waitEpochs?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = 'ChainError';
    this.category = category;
    this.code = code;
    this.exitCode = detail.exitCode;
    this.rpcCode = detail.rpcCode;
    this.waitEpochs = detail.waitEpochs;
  }
}

/** Exit codes that go away by themselves: out of funds (system), out of gas, out of funds (actor). */
const RETRIED_EXIT_CODES = new Set([6, 7, 19]);

/** Whether a message that ended with this exit code may simply be sent again. */
export function exitCodeIsRetried(exitCode: number): boolean {
  return RETRIED_EXIT_CODES.has(exitCode);
}
