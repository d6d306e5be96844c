/** What is refused before a request is looked at: a wrong media type, or no body. */
import type { MiddlewareHandler } from 'hono';
import { SealpoolError } from '../schema/problem.ts';
import type { Env } from './parts.ts';

/** What the validator reads as JSON; anything else it would take for an empty body. */
const JSON_TYPE = /^application\/json(;\s*[a-zA-Z0-9-]+=([^;]+))*$/i;

/** Refuses a body that does not say that it is JSON, and no body where there must be one. Throws 415 and 400. */
export const needsJson =
  (required: boolean): MiddlewareHandler<Env> =>
  async (c, next) => {
    const type = c.req.header('content-type');
    const hasBody = Number(c.req.header('content-length') ?? 0) > 0 || c.req.header('transfer-encoding') !== undefined;
    if (type === undefined ? hasBody : !JSON_TYPE.test(type)) {
      throw new SealpoolError(
        'unsupported_type',
        'unsupported_type',
        'this route takes a JSON body and this one is not marked as one; send it with `Content-Type: application/json`',
      );
    }
    if (type === undefined && required)
      throw new SealpoolError(
        'bad_request',
        'invalid_request',
        'this route takes a JSON body and there is none; see /openapi.json for what it takes',
      );
    return next();
  };
