/**
 * Idempotency-Key: a creating request that is sent again makes nothing and gets the first answer. Key and answer are
 * written in the transaction that makes the thing, so of many at once, and after a crash, there is one.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';
import type { Context as Call, MiddlewareHandler } from 'hono';
import { z } from 'zod';
import { SealpoolError } from '../schema/problem.ts';
import type { Context } from '../scheduler/context.ts';
import type { Env } from './parts.ts';
import { sameHash } from './secrets.ts';

export const IdempotencyKey = z.string().regex(/^[!-~]{1,200}$/, 'an idempotency key is 1 to 200 visible ASCII characters');

/** The header, for a route's description and validation. */
export const IdempotencyHeader = z.object({
  'idempotency-key': IdempotencyKey.optional().describe(
    'Any text of yours, new for each thing to be made: the same request with the same key makes nothing again and gets the first answer, for 24 hours at least',
  ),
});

/** What middleware leaves of a request with a key; `request` is what it is, in short. */
export type Keyed = { readonly key: string; readonly request: string };

const hashOf = (text: string): string => bytesToHex(sha256(utf8ToBytes(text)));

/**
 * Reads the key before the handler runs. `body`: of what the request is, its body is part; `stream`: the body is too large to
 * be read first, and the handler tells its hash to `once` when it knows it.
 */
export function readKey(of: 'body' | 'stream'): MiddlewareHandler<Env> {
  return async (c, next) => {
    const key = IdempotencyKey.safeParse(c.req.header('idempotency-key'));
    // One that is malformed is refused with the rest of the request.
    if (key.success) {
      const { pathname, search } = new URL(c.req.url);
      // Hashed here and not in the transaction, where all others wait: an import has megabytes.
      const body = of === 'stream' ? '' : hashOf(await c.req.text());
      c.set('keyed', { key: key.data, request: `${c.req.method} ${pathname}${search}\n${body}` });
    }
    return next();
  };
}

export type OnceOptions<A> = {
  /** Hash of the streamed body. */
  readonly streamed?: string;
  /** The field that is told once and not kept, and what whoever asks again is told, given the answer without it. */
  readonly secret?: { readonly field: keyof A & string; readonly told: (made: A) => string };
};

/**
 * Makes something and answers it, once for each key of the token: call it inside `c.var.door.run`, with the whole making
 * in `make`. A repeat gets the first answer and the header `idempotency-replayed`. Throws 422 `idempotency_key_reused`
 * where the key was another request's, 409 `secret_told_already` where the answer had a secret. A request that is refused
 * does not use its key up.
 */
export function once<A extends object>(ctx: Context, c: Call<Env>, make: () => A, options: OnceOptions<A> = {}): A {
  const keyed = c.get('keyed');
  if (keyed === undefined) return make();
  const { key } = keyed;
  const { token } = c.get('principal');
  const request = hashOf(keyed.request + (options.streamed ?? ''));
  const before = ctx.tx.answer(token, key);
  if (before === undefined) {
    const answer = make();
    const kept = Object.fromEntries(Object.entries(answer).filter(([field]) => field !== options.secret?.field));
    ctx.tx.insertAnswer({ token, key, request, answer: JSON.stringify(kept), createdMs: ctx.nowMs });
    return answer;
  }
  if (!sameHash(before.request, request)) {
    throw new SealpoolError(
      'unprocessable',
      'idempotency_key_reused',
      'this Idempotency-Key was sent with another request before; send a new key with a new request, and the same bytes with the same key',
    );
  }
  const answer = JSON.parse(before.answer ?? '{}') as A;
  if (options.secret !== undefined)
    throw new SealpoolError('conflict', 'secret_told_already', options.secret.told(answer), { made: answer });
  c.header('idempotency-replayed', 'true');
  return answer;
}
