/** How long bodies may be. Looked at once it is known who sends one: until then nothing of it is read. */
import type { MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { SealpoolError } from '../schema/problem.ts';
import type { Env } from './parts.ts';

/** Bodies are small JSON, except pieces, which have their sector's limit, and object parts, which have their own. */
export const MAX_BODY_BYTES = 256 * 2 ** 10;
/** 64 reports of some hundred outputs with their parts; 500 sectors with their pieces. */
export const MAX_LARGE_BODY_BYTES = 16 * 2 ** 20;
/** Of anybody: a machine with 64 GPUs that joins. */
export const MAX_STRANGERS_BODY_BYTES = 64 * 2 ** 10;

/** Refuses a larger body: by what its length says, and read only where that is not said, since looking at it costs as much as a short request. */
export function limitBody(maxSize: number): MiddlewareHandler<Env> {
  const onError = (): never => {
    throw new SealpoolError('too_large', 'too_large', `the body is larger than the ${maxSize} bytes this route takes; send less at once`);
  };
  const counted = bodyLimit({ maxSize, onError });
  return (c, next) => {
    const length = c.req.header('content-length');
    if (length === undefined || c.req.header('transfer-encoding') !== undefined) return counted(c, next);
    return Number(length) <= maxSize ? next() : onError();
  };
}
