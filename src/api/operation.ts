/** One line per route: method, path, role, request, answer; the OpenAPI description follows from it. */
import { type RouteConfig, createRoute } from '@hono/zod-openapi';
import { z } from 'zod';
import { needs, needsRunner } from './auth.ts';
import { IdempotencyHeader, readKey } from './idempotency.ts';
import type { ApiParts } from './parts.ts';
import type { Role } from './views.ts';

type Body = z.ZodType;

export type Operation<P extends string, Params extends z.ZodObject, Query extends z.ZodObject, B extends Body, A extends Body> = {
  readonly method: 'get' | 'post' | 'patch' | 'delete';
  readonly path: P;
  /** Least role of the token; `runner`: a registered runner's credential; `none`: anybody. */
  readonly who: Role | 'runner' | 'none';
  readonly summary: string;
  readonly params?: Params;
  readonly query?: Query;
  readonly body?: B;
  /** The body may be left out (then it is `{}`). */
  readonly bodyOptional?: boolean;
  /** Takes an Idempotency-Key; the handler makes what it makes inside `once`. */
  readonly once?: 'body' | 'stream';
  /** Headers it takes besides. */
  readonly headers?: z.ZodObject;
  readonly answer: A;
};

const none = z.object({});

/** A body that is left out reads as `{}`, so for handlers there is always one. */
type Request<Params, Query, B> = { params: Params; query: Query; body: { required: true; content: { 'application/json': { schema: B } } } };

/** The route of an operation, with its role checked before anything of the request is looked at. */
export function operation<
  P extends string,
  Params extends z.ZodObject = typeof none,
  Query extends z.ZodObject = typeof none,
  B extends Body = typeof none,
  A extends Body = Body,
>(parts: ApiParts, given: Operation<P, Params, Query, B, A>) {
  const { who, once } = given;
  const headers = once === undefined ? given.headers : IdempotencyHeader.extend(given.headers?.shape ?? {});
  return createRoute({
    method: given.method,
    path: given.path,
    summary: given.summary,
    ...(who === 'none' ? {} : { security: [{ bearer: [] }] }),
    'x-sealpool-who': who,
    middleware: [
      ...(who === 'none' ? [] : [who === 'runner' ? needsRunner(parts) : needs(parts, who)]),
      ...(once === undefined ? [] : [readKey(once)]),
    ],
    request: {
      params: given.params ?? none,
      query: given.query ?? none,
      ...(headers === undefined ? {} : { headers }),
      ...(given.body === undefined
        ? {}
        : { body: { required: given.bodyOptional !== true, content: { 'application/json': { schema: given.body } } } }),
    } as Request<Params, Query, B>,
    responses: {
      200: { description: 'done', content: { 'application/json': { schema: given.answer } } },
    },
  } satisfies RouteConfig & { path: P });
}
