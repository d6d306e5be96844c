/** Which answers of an object store end a transfer, and which are tried again. */
import type { UrlPlace, Urls } from './fresh-urls.ts';
import { Backoff, pause } from './lanes.ts';
import { StageFailure, errnoOf } from './failure.ts';

/** How the embedded store and S3 endpoints say that there is no room. */
const FULL = /storage_full|answered 507|InsufficientStorage|StorageFull|QuotaExceeded/;

const OF_THE_DISK: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG', 'EIO', 'EROFS']);

/** A connection over which no byte moves for so long is broken off, and another one is made. */
export const STALL_MS = 30_000;

export type TransferOptions = {
  /** Aborted when the attempt is cancelled or the agent stops. */
  readonly signal: AbortSignal;
  /** How long to go on without one byte of progress. */
  readonly patienceMs: number;
  /** Whether the control plane answers. While it does not, patience does not run: the attempt waits for it anyway, and is welcome after that. */
  readonly reachable?: (() => boolean) | undefined;
  /** Told of bytes that were moved. */
  readonly onMoved?: ((bytes: number) => void) | undefined;
  /** Where new URLs come from when these end; without it, those given are all there are. */
  readonly urls?: Urls | undefined;
  /** In place of `STALL_MS`, of an upload. */
  readonly stallMs?: number | undefined;
  /** Threads of a download; by default as many as pay for its size. */
  readonly threads?: number | undefined;
};

/** A refusal that another try will not change. */
class Refused extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** What S3 says with a status of its own choice about a part that arrived damaged or not whole: it is sent again. */
const S3_AGAIN: ReadonlySet<string> = new Set([
  'BadDigest',
  'XAmzContentChecksumMismatch',
  'IncompleteBody',
  'RequestTimeout',
  'SlowDown',
  'InternalError',
  'OperationAborted',
]);

/** Throws for every status but the wanted ones; the URL's query is a secret and is not repeated. */
export async function checkStatus(answer: Response, wanted: readonly number[], what: string): Promise<void> {
  if (wanted.includes(answer.status)) return;
  throw refusal(answer.status, await answer.text().catch(() => ''), what);
}

/** The error for an answer with this status and body. */
export function refusal(status: number, body: string, what: string): Error {
  const text = body.slice(0, 2000);
  const s3Code = s3CodeOf(text);
  // S3's sentences repeat the request with its signature; its code says enough.
  const detail = s3Code ?? problemDetail(text) ?? `status ${status}`;
  const again = [408, 409, 422, 425, 429].includes(status) || (s3Code !== undefined && S3_AGAIN.has(s3Code));
  const lasting = status >= 400 && status < 500 && !again;
  const message = `${what}: the object store answered ${status} (${detail})`;
  return lasting ? new Refused(status, message) : new Error(message);
}

/** The code in S3's body of a refusal. */
function s3CodeOf(text: string): string | undefined {
  return /<Code>([A-Za-z0-9.]{1,60})<\/Code>/.exec(text)?.[1];
}

/** Whether an answer to a GET says that the object is gone; a bucket or a key of access that is unknown says nothing about it. */
export function saysMissing(status: number, body: string): boolean {
  return status === 410 || (status === 404 && ['NoSuchKey', undefined].includes(s3CodeOf(body.slice(0, 2000))));
}

/**
 * Tries `step` until it answers. `step` calls `progress` whenever bytes moved, which starts the patience anew; what breaks after that
 * is tried once more, however late it broke. Patience runs only while the control plane answers.
 * Throws `transfer_failed` (or `storage_full`, when that is what the store kept saying).
 */
export async function withRetries<T>(options: TransferOptions, what: string, step: (progress: () => void) => Promise<T>): Promise<T> {
  const backoff = new Backoff(100, 5_000);
  let lastMs = performance.now();
  let broken = 0;
  for (;;) {
    try {
      return await step(() => {
        lastMs = performance.now();
        broken = 0;
        backoff.reset();
      });
    } catch (error) {
      options.signal.throwIfAborted();
      // What this machine's own disk refuses, another try does not change.
      if (error instanceof StageFailure || OF_THE_DISK.has(errnoOf(error) ?? '')) throw error;
      const text = describe(error);
      if (error instanceof Refused) throw new StageFailure('transfer_failed', `${text}; a new attempt gets new URLs`);
      broken += 1;
      if (options.reachable?.() === false) lastMs = performance.now();
      if (broken > 1 && performance.now() - lastMs > options.patienceMs) {
        const code = FULL.test(text) ? 'storage_full' : 'transfer_failed';
        throw new StageFailure(
          code,
          `${what} made no progress for ${Math.round(options.patienceMs / 1000)} s, last: ${text}; check the network between runner and object store`,
        );
      }
    }
    await pause(backoff.nextMs(), options.signal);
    options.signal.throwIfAborted();
  }
}

/** A control plane that stays away ends the transfer like an object store that does. */
async function urlWithin(options: TransferOptions, urls: Urls, place: UrlPlace, given: string | undefined): Promise<string> {
  const limit = AbortSignal.timeout(options.patienceMs);
  try {
    return await urls.urlFor(place, given, AbortSignal.any([options.signal, limit]));
  } catch (error) {
    options.signal.throwIfAborted();
    throw limit.aborted ? new Error(`the control plane gave no new URL for ${place.name}; check whether it runs`) : error;
  }
}

/** Calls `step` with the URL to use now. A URL that is refused is replaced, and the error says to try again. */
export async function withUrl<T>(
  options: TransferOptions,
  place: UrlPlace,
  given: string | undefined,
  step: (url: string) => Promise<T>,
): Promise<T> {
  const url = options.urls === undefined ? given : await urlWithin(options, options.urls, place, given);
  if (url === undefined) throw new StageFailure('transfer_failed', `there is no URL for ${place.name}; a new attempt gets new URLs`);
  try {
    return await step(url);
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 403 || options.urls?.refused(place, url) !== true) throw error;
    throw new Error(`${error.message}; a new URL is asked for`);
  }
}

function problemDetail(text: string): string | undefined {
  try {
    const { code, detail } = JSON.parse(text) as { code?: unknown; detail?: unknown };
    return typeof detail === 'string' ? `${String(code)}: ${detail}` : undefined;
  } catch {
    return undefined;
  }
}

/** `fetch failed` says nothing; its cause does. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}
