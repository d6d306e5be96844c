/** One line per route: method, path, role, request, answer; the OpenAPI description follows from it. */
import { type RouteConfig, createRoute } from '@hono/zod-openapi';
import { z } from 'zod';
import { needs, needsRunner } from './auth.ts';
import { MAX_BODY_BYTES, MAX_LARGE_BODY_BYTES, MAX_STRANGERS_BODY_BYTES, limitBody } from './body-limit.ts';
import { IdempotencyHeader, readKey } from './idempotency.ts';
import { groupOf, operationIdOf } from './naming.ts';
import { boundStrangers } from './rate-limit.ts';
import { needsJson } from './refuse-early.ts';
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
  /** The body may have megabytes. */
  readonly largeBody?: boolean;
  /** Takes an Idempotency-Key; the handler makes what it makes inside `once`. */
  readonly once?: 'body' | 'stream';
  /** Headers it takes besides. */
  readonly headers?: z.ZodObject;
  /** Media type of a body that is no JSON; the handler reads it itself. */
  readonly rawBody?: string;
  readonly answer: A;
  /** What else it answers: other media types by name, other statuses with a sentence. */
  readonly also?: { readonly types?: Readonly<Record<string, Body>>; readonly statuses?: Readonly<Record<number, string>> };
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
  const { who, once, bodyOptional = false } = given;
  const maxBodyBytes = given.largeBody === true ? MAX_LARGE_BODY_BYTES : who === 'none' ? MAX_STRANGERS_BODY_BYTES : MAX_BODY_BYTES;
  const headers = once === undefined ? given.headers : IdempotencyHeader.extend(given.headers?.shape ?? {});
  return createRoute({
    method: given.method,
    path: given.path,
    operationId: operationIdOf(given.method, given.path),
    tags: [groupOf(given.path)],
    summary: given.summary,
    security: who === 'none' ? [] : [{ bearer: [] }],
    'x-sealpool-who': who,
    middleware: [
      ...(who === 'none' ? [] : [who === 'runner' ? needsRunner(parts) : needs(parts, who)]),
      ...(given.body === undefined ? [] : [needsJson(!bodyOptional)]),
      ...(given.body === undefined || who !== 'none' ? [] : [boundStrangers(parts)]),
      // Pieces have their sector's limit; a route that takes no body is sent one all the same.
      ...(given.method === 'get' || given.rawBody !== undefined ? [] : [limitBody(maxBodyBytes)]),
      ...(once === undefined ? [] : [readKey(once)]),
    ],
    request: {
      params: given.params ?? none,
      query: given.query ?? none,
      ...(headers === undefined ? {} : { headers }),
      ...bodyOf(given),
    } as Request<Params, Query, B>,
    responses: {
      200: { description: 'done', content: { 'application/json': { schema: given.answer }, ...also(given.also?.types) } },
      ...Object.fromEntries(Object.entries(given.also?.statuses ?? {}).map(([status, description]) => [status, { description }])),
    } as { 200: { description: string; content: { 'application/json': { schema: A } } } },
  } satisfies RouteConfig & { path: P });
}

/** Handlers answer JSON by its type; other media types are described only. */
function also(types: Readonly<Record<string, Body>> = {}) {
  return Object.fromEntries(Object.entries(types).map(([type, schema]) => [type, { schema }]));
}

function bodyOf({ body, rawBody, bodyOptional }: { body?: Body; rawBody?: string; bodyOptional?: boolean }) {
  if (rawBody !== undefined)
    return { body: { required: true, content: { [rawBody]: { schema: z.string().min(1).meta({ format: 'binary' }) } } } };
  if (body === undefined) return {};
  return { body: { required: bodyOptional !== true, content: { 'application/json': { schema: body } } } };
}
