/**
 * One JSON-RPC call to a Lotus (or Venus) node: time-out, bearer token, answers checked by zod.
 * Failures are `ChainError`: temporary when the same call may work later.
 */
import { Agent, request } from 'undici';
import { z } from 'zod';
import { ChainError, exitCodeIsRetried } from './errors.ts';

export type LotusRpcOptions = {
  /** `http://…/rpc/v1`. */
  readonly url: string;
  /** Bearer token; a function is asked before each call, so that a renewed file is seen. */
  readonly token: string | (() => Promise<string>) | null;
  /** How long one call may take; default 30,000. */
  readonly timeoutMs?: number;
};

const Envelope = z.object({
  jsonrpc: z.literal('2.0'),
  result: z.unknown().optional(),
  error: z.object({ code: z.number(), message: z.string() }).nullish(),
});

const METHOD_NOT_FOUND = -32601;
const INVALID_PARAMS = -32602;

/** Speaks to one node. `close()` frees its connections. */
export class LotusRpc {
  readonly #options: LotusRpcOptions;
  readonly #timeoutMs: number;
  readonly #agent: Agent;
  #nextId = 1;

  constructor(options: LotusRpcOptions) {
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.#agent = new Agent({ connect: { timeout: this.#timeoutMs } });
  }

  /** Calls `Filecoin.<method>` and parses its result. */
  async call<T>(method: string, params: readonly unknown[], answer: z.ZodType<T>): Promise<T> {
    const { status, text } = await this.#post(method, params);
    const envelope = Envelope.safeParse(parseJson(text));
    // Lotus answers some errors with status 500 and a JSON-RPC body, which says more. Any other body is that of something in between.
    if (status >= 400 && !envelope.data?.error)
      throw new ChainError('temporary', 'rpc_http_status', `${method}: the node answered HTTP ${status}; look at the node's log`);
    if (!envelope.success) {
      throw new ChainError(
        'temporary',
        'rpc_bad_answer',
        `${method}: the node answered something that is not JSON-RPC; check that the URL ends in /rpc/v1`,
      );
    }
    if (envelope.data.error) throw rpcError(method, envelope.data.error);
    const result = answer.safeParse(envelope.data.result ?? null);
    if (!result.success) {
      // As from a gateway, or a node that is being replaced: one such answer must not pause every job that it meets.
      throw new ChainError(
        'temporary',
        'rpc_unexpected_answer',
        `${method}: the node's answer has another shape than expected (${z.prettifyError(result.error)}); it is asked again by itself, check the node's version if this stays`,
      );
    }
    return result.data;
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #token(method: string): Promise<string | null> {
    const { token } = this.#options;
    if (typeof token !== 'function') return token;
    try {
      return await token();
    } catch (cause) {
      // As when it is being renewed: it is read again before the next call.
      throw new ChainError('temporary', 'token_unreadable', `${method}: ${cause instanceof Error ? cause.message : String(cause)}`, {
        cause,
      });
    }
  }

  async #post(method: string, params: readonly unknown[]): Promise<{ readonly status: number; readonly text: string }> {
    const token = await this.#token(method);
    const body = JSON.stringify({ jsonrpc: '2.0', id: this.#nextId++, method: `Filecoin.${method}`, params });
    try {
      const response = await request(this.#options.url, {
        method: 'POST',
        dispatcher: this.#agent,
        headers: { 'content-type': 'application/json', ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
        body,
        // Covers the body as well: a node that stalls mid-answer must not hold the sender for ever.
        signal: AbortSignal.timeout(this.#timeoutMs),
      });
      const text = await response.body.text();
      if (response.statusCode === 401 || response.statusCode === 403) {
        // Somebody mends it, or it is being renewed: nothing has to be resumed then.
        throw new ChainError(
          'temporary',
          'rpc_unauthorized',
          `${method}: the node refused the token (HTTP ${response.statusCode}); give one with sign permission`,
        );
      }
      return { status: response.statusCode, text };
    } catch (cause) {
      if (cause instanceof ChainError) throw cause;
      const name = cause instanceof Error ? cause.name : '';
      if (name === 'TimeoutError' || name === 'ConnectTimeoutError') {
        throw new ChainError('temporary', 'rpc_timeout', `${method}: no answer within ${this.#timeoutMs} ms; look at the node's load`, {
          cause,
        });
      }
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ChainError(
        'temporary',
        'rpc_unreachable',
        `${method}: the node cannot be reached (${reason}); check that it runs and its URL`,
        { cause },
      );
    }
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The exit code in a node's sentence: `(RetCode=16)` of gas estimates, `exit …(16)`, or `exit=[…(16)]`. */
function exitCodeIn(message: string): number | undefined {
  const match = /RetCode=(\d+)/.exec(message) ?? /exit(?: |=\[)[A-Za-z]*\(?(\d+)[)\]]/.exec(message);
  return match === null ? undefined : Number(match[1]);
}

function rpcError(method: string, error: { code: number; message: string }): ChainError {
  if (error.code === METHOD_NOT_FOUND || error.code === INVALID_PARAMS) {
    return new ChainError('permanent', 'rpc_refused', `${method}: ${error.message}; check the node's version`, { rpcCode: error.code });
  }
  const exitCode = exitCodeIn(error.message);
  if (exitCode !== undefined) {
    const category = exitCodeIsRetried(exitCode) ? 'temporary' : 'permanent';
    return new ChainError(category, 'actor_exit', `${method}: the actor would refuse the message: ${error.message}`, {
      exitCode,
      rpcCode: error.code,
    });
  }
  return new ChainError('temporary', 'rpc_error', `${method}: the node answered: ${error.message}`, { rpcCode: error.code });
}
