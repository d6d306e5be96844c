/** Docker's or Podman's HTTP API over its Unix socket. Both speak the same one; what differs is said where it does. */
import { createReadStream } from 'node:fs';
import type { Duplex } from 'node:stream';
import { Pool } from 'undici';
import { z } from 'zod';

/** The newest version of the API that we know; an engine that knows only older ones gets its own. */
const NEWEST = [1, 47] as const;
/** Podman 4 and Docker 20.10 have it. */
const OLDEST = [1, 40] as const;

const Version = z.object({
  ApiVersion: z.string().regex(/^[0-9]+\.[0-9]+$/),
  MinAPIVersion: z
    .string()
    .regex(/^[0-9]+\.[0-9]+$/)
    .optional(),
  Components: z.array(z.object({ Name: z.string() })).nullish(),
});
const Info = z.object({ SecurityOptions: z.array(z.string()).nullish() });

/** An answer of the engine that is no success. */
export class EngineError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'EngineError';
    this.status = status;
  }
}

/** How long an answer is waited for: what is left out is the engine's own limit, and no signal. */
export type CallLimit = { readonly limitMs?: number | undefined; readonly signal?: AbortSignal | undefined };

/** For what is long by nature. */
export const NO_LIMIT: CallLimit = { limitMs: Number.POSITIVE_INFINITY };

/** A container engine that has answered. */
export class ContainerEngine {
  readonly isPodman: boolean;
  /** It maps users, and its containers have no more rights than whoever started it. */
  readonly isRootless: boolean;
  readonly #pool: Pool;
  readonly #answerMs: number;
  readonly #prefix: string;

  private constructor(pool: Pool, answerMs: number, version: string, isPodman: boolean, isRootless: boolean) {
    this.#pool = pool;
    this.#answerMs = answerMs;
    this.#prefix = `/v${version}`;
    this.isPodman = isPodman;
    this.isRootless = isRootless;
  }

  /**
   * Asks who listens at `socketPath` and agrees on a version. Throws a sentence when nobody does, or one too old. An engine that
   * hangs fails a call after `answerMs`, where the call says nothing else.
   */
  static async open(socketPath: string, answerMs = 30_000): Promise<ContainerEngine> {
    // A stage takes hours, and so does the answer to "wait until it ends": each call has a limit of its own.
    const pool = new Pool('http://engine', { socketPath, headersTimeout: 0, bodyTimeout: 0, connect: { timeout: 5_000 } });
    try {
      const version = Version.parse(await json(await pool.request({ method: 'GET', path: '/version', headersTimeout: 30_000 })));
      const agreed = agree(version.ApiVersion, version.MinAPIVersion);
      if (agreed === undefined) {
        throw new Error(
          `it speaks version ${version.ApiVersion} of the API, and ${OLDEST.join('.')} to ${NEWEST.join('.')} are known here; use Docker from 20.10 on or Podman from 4 on`,
        );
      }
      const info = Info.parse(await json(await pool.request({ method: 'GET', path: `/v${agreed}/info`, headersTimeout: 30_000 })));
      const isPodman = version.Components?.some(({ Name }) => Name.startsWith('Podman')) ?? false;
      const isRootless = info.SecurityOptions?.some((option) => option.includes('rootless')) ?? false;
      return new ContainerEngine(pool, answerMs, agreed, isPodman, isRootless);
    } catch (error) {
      await pool.destroy();
      throw new Error(`no container engine answers at ${socketPath}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
  }

  /** A call with a JSON answer (null when it has none). Throws `EngineError` for any status of 400 and above. */
  async call(method: 'GET' | 'POST' | 'DELETE', path: string, body?: unknown, limit: CallLimit = {}): Promise<unknown> {
    const headers = body === undefined ? {} : { 'content-type': 'application/json' };
    const sent = body === undefined ? null : JSON.stringify(body);
    const asked = { method, path: this.#prefix + path, headers, body: sent };
    return this.#within(limit, async (signal) => json(await this.#pool.request({ ...asked, signal })));
  }

  /** Sends a file, such as an image's archive. */
  async send(path: string, file: string): Promise<unknown> {
    const headers = { 'content-type': 'application/x-tar' };
    return json(await this.#pool.request({ method: 'POST', path: this.#prefix + path, headers, body: createReadStream(file) }));
  }

  /** The two-way stream of a container's stdin, stdout and stderr; `toHear`: of what it writes only. */
  async attach(id: string, toHear: boolean, limit: CallLimit): Promise<Duplex> {
    const path = `${this.#prefix}/containers/${id}/attach?stream=1&stdout=1&stderr=1${toHear ? '' : '&stdin=1'}`;
    const { socket } = await this.#within(limit, async (signal) => this.#pool.upgrade({ method: 'POST', path, protocol: 'tcp', signal }));
    return socket;
  }

  async #within<T>({ limitMs = this.#answerMs, signal }: CallLimit, ask: (signal: AbortSignal | null) => Promise<T>): Promise<T> {
    const limit = limitMs === Number.POSITIVE_INFINITY ? undefined : AbortSignal.timeout(Math.ceil(limitMs));
    const signals = [limit, signal].filter((one) => one !== undefined);
    try {
      return await ask(signals.length === 0 ? null : AbortSignal.any(signals));
    } catch (error) {
      if (limit?.aborted === true) throw new Error(`no answer within ${limitMs / 1000} s`, { cause: error });
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

/** The version to speak with an engine that knows from `least` to `most`; undefined: none in common. */
export function agree(most: string, least: string | undefined): string | undefined {
  const theirs = numbers(most);
  const chosen = isLess(theirs, NEWEST) ? theirs : NEWEST;
  if (isLess(chosen, OLDEST) || (least !== undefined && isLess(chosen, numbers(least)))) return undefined;
  return chosen.join('.');
}

type Numbers = readonly [number, number];

const numbers = (version: string): Numbers => version.split('.').map(Number) as unknown as Numbers;
const isLess = (one: Numbers, other: Numbers): boolean => one[0] < other[0] || (one[0] === other[0] && one[1] < other[1]);

/** The last JSON value of an answer: some are one per line, as a pull tells its progress. */
async function json(answer: Awaited<ReturnType<Pool['request']>>): Promise<unknown> {
  const text = await answer.body.text();
  if (answer.statusCode >= 400) throw new EngineError(answer.statusCode, messageOf(text) ?? `status ${answer.statusCode}`);
  try {
    return JSON.parse(text === '' ? 'null' : text);
  } catch {
    return text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
  }
}

function messageOf(text: string): string | undefined {
  try {
    const { message } = JSON.parse(text) as { message?: unknown };
    return typeof message === 'string' ? message.slice(0, 500) : undefined;
  } catch {
    return undefined;
  }
}
