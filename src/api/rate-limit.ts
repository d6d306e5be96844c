/**
 * How often who may ask: a bucket for each API token, each runner, and each address that sends no secret. Wrong secrets
 * are counted by address; one that sent too many is not listened to for a while, but for secrets that were good before.
 * All in memory and bounded; checked before the database is asked or a body is read.
 */
import type { Context as Call, MiddlewareHandler } from 'hono';
import { SealpoolError } from '../schema/problem.ts';
import { hashOf } from './auth.ts';
import { Buckets, type Rate, type Rates, Recent, type Taken } from './buckets.ts';
import type { ApiParts, Env } from './parts.ts';
import { problemAnswer } from './problems.ts';

/** Bodies of nobody known that may come in at once from one address: they are held until they are whole. */
export const MOST_BODIES = 200;

/** Most tokens, runners or addresses remembered: some megabytes at most. */
const MOST_KNOWN = 20_000;

export type RateLimits = {
  readonly rates: Rates;
  /** Milliseconds of any steady clock. */
  readonly now: () => number;
  /** Who is at the other end, as the platform knows it; undefined: nobody knows, and all of those share one bucket. */
  readonly address: (c: Call<Env>) => string | undefined;
};

type Owner = { readonly kind: 'token' | 'runner'; readonly id: string };

const PROBES: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/metrics']);

/** Answers to probes (which are kept for a while) must not depend on who else asks; signed URLs carry their own bound, which is what they allow. */
const free = (path: string): boolean => PROBES.has(path) || path.startsWith('/objects/');

const secretOf = (header: string | undefined): string | undefined => /^Bearer ([\x21-\x7e]{16,200})$/i.exec(header ?? '')?.[1];

/** Whose good secrets were seen, and everybody's buckets. */
export class Limiter {
  readonly #limits: RateLimits;
  readonly #owners = new Recent<Owner>(MOST_KNOWN);
  readonly #buckets: Readonly<Record<keyof Rates, Buckets>>;
  /** Bodies of nobody known that come in, by address. */
  readonly #bodies = new Map<string, number>();

  constructor(limits: RateLimits) {
    const { token, runner, anonymous, failed } = limits.rates;
    const buckets = (rate: Rate): Buckets => new Buckets(rate, MOST_KNOWN);
    this.#limits = limits;
    this.#buckets = { token: buckets(token), runner: buckets(runner), anonymous: buckets(anonymous), failed: buckets(failed) };
  }

  /** Entries in memory, for tests. */
  get size(): number {
    return this.#owners.size + Object.values(this.#buckets).reduce((sum, { size }) => sum + size, 0);
  }

  /** The secret with this hash is this one's: from now on its requests are counted by themselves. */
  admit(hash: string, kind: Owner['kind'], id: string): void {
    this.#owners.set(hash, { kind, id });
  }

  /** Whether that was said lately. */
  knows(hash: string): boolean {
    return this.#owners.get(hash) !== undefined;
  }

  /** Counts a request that comes in. */
  enter(secret: string | undefined, c: Call<Env>): Taken {
    const nowMs = this.#limits.now();
    const owner = secret === undefined ? undefined : this.#owners.get(hashOf(c, secret));
    if (owner !== undefined) return this.#buckets[owner.kind].take(owner.id, nowMs);
    const address = this.#limits.address(c) ?? '';
    const failed = this.#buckets.failed.look(address, nowMs);
    if (!failed.passed) return failed;
    // A secret not seen before may be a good one, and then has a bucket of its own: it is counted when that is known.
    const { anonymous } = this.#buckets;
    return secret === undefined ? anonymous.take(address, nowMs) : anonymous.look(address, nowMs);
  }

  /** Counts what only its answer shows: a wrong secret, or one that nobody looked at. */
  leave(secret: string | undefined, status: number, c: Call<Env>): void {
    const bucket = status === 401 ? 'failed' : secret !== undefined && !this.knows(hashOf(c, secret)) ? 'anonymous' : undefined;
    if (bucket !== undefined) this.#buckets[bucket].take(this.#limits.address(c) ?? '', this.#limits.now());
  }

  /** A body of nobody known comes in; call what it answers when that has ended. Undefined: enough come in from there. */
  receive(c: Call<Env>): (() => void) | undefined {
    const address = this.#limits.address(c) ?? '';
    const before = this.#bodies.get(address) ?? 0;
    if (before >= MOST_BODIES) return undefined;
    this.#bodies.set(address, before + 1);
    return () => {
      const left = (this.#bodies.get(address) ?? 0) - 1;
      if (left > 0) this.#bodies.set(address, left);
      else this.#bodies.delete(address);
    };
  }
}

function tooMany(parts: ApiParts, c: Call<Env>, what: string, seconds: number): Response {
  const message = `${what}, and this one was not looked at; send it again in ${seconds} s, and fewer from then on`;
  const refusal = new SealpoolError('too_many_requests', 'rate_limited', message, { retryAfterSeconds: seconds });
  const answer = problemAnswer(parts, c, refusal);
  answer.headers.set('retry-after', String(seconds));
  return answer;
}

/** Refuses with 429 bodies of nobody known while too many come in from their address. Stands before whatever reads the body. */
export function boundStrangers(parts: ApiParts): MiddlewareHandler<Env> {
  return async (c, next) => {
    const limiter = c.get('limiter');
    if (limiter === undefined) return next();
    const received = limiter.receive(c);
    if (received === undefined) return tooMany(parts, c, 'too many bodies come in from this address at once', 1);
    try {
      await next();
    } finally {
      received();
    }
  };
}

function headersOf({ burst, left, fullMs }: Taken): [string, string][] {
  return [
    ['ratelimit-limit', String(Math.floor(burst))],
    ['ratelimit-remaining', String(left)],
    ['ratelimit-reset', String(Math.ceil(fullMs / 1000))],
  ];
}

/** Refuses with 429, Retry-After and RateLimit headers who asks too often; everybody else gets the headers only. */
export function limited(parts: ApiParts, limiter: Limiter): MiddlewareHandler<Env> {
  return async (c, next) => {
    if (free(c.req.path)) return next();
    const secret = secretOf(c.req.header('authorization'));
    const taken = limiter.enter(secret, c);
    if (!taken.passed) {
      const seconds = Math.max(1, Math.ceil(taken.waitMs / 1000));
      const answer = tooMany(parts, c, 'too many requests, or too many with a wrong token', seconds);
      for (const [name, value] of headersOf(taken)) answer.headers.set(name, value);
      return answer;
    }
    await next();
    limiter.leave(secret, c.res.status, c);
    for (const [name, value] of headersOf(taken)) c.res.headers.set(name, value);
  };
}
