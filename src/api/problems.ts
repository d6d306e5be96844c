/** Refusals as RFC 9457 documents, and what every route shares of them. */
import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { z } from 'zod';
import { SealpoolError, toProblem } from '../schema/problem.ts';
import type { ApiParts, Env } from './parts.ts';

/** Answers an error. What is not ours is logged with its request id and told without its text. */
export function problemAnswer(parts: ApiParts, c: Context<Env>, thrown: unknown): Response {
  const error = known(thrown);
  const requestId = c.get('requestId');
  const problem = toProblem(error, requestId);
  if (!(error instanceof SealpoolError)) parts.log.error({ requestId, err: error }, 'a request broke');
  const headers: Record<string, string> = { 'content-type': 'application/problem+json', 'x-request-id': requestId };
  if (problem.status === 401) headers['www-authenticate'] = 'Bearer';
  if (problem.status === 503) headers['retry-after'] = '5';
  // The rest of a refused upload is not read: the connection cannot carry another request.
  if (problem.status === 413) headers.connection = 'close';
  return new Response(JSON.stringify(problem), { status: problem.status, headers });
}

function known(error: unknown): unknown {
  if (error instanceof HTTPException) {
    if (error.status === 413)
      return new SealpoolError('too_large', 'too_large', 'the body is larger than this route takes; send less at once');
    return new SealpoolError('bad_request', 'malformed', 'the body is not valid JSON; mend it and send it again');
  }
  const code = (error as { code?: unknown } | null)?.code;
  if (code === 'SQLITE_FULL' || code === 'ENOSPC' || code === 'EDQUOT') {
    return new SealpoolError(
      'storage_full',
      'storage_full',
      'the disk of the control plane is full and nothing was changed; free space there and try again',
    );
  }
  return error;
}

/** Called with the outcome of validating a request; a failure names the first field that is wrong. */
export function refuseInvalid(result: { success: true } | { success: false; error: z.core.$ZodError }): void {
  if (result.success) return;
  const { issues } = result.error;
  const sentences = issues.slice(0, 8).map((issue) => `${issue.path.join('.') || 'the request'}: ${issue.message}`);
  throw new SealpoolError(
    'bad_request',
    'invalid_request',
    `${sentences[0] ?? 'the request is not what this route takes'}; see /openapi.json for what it takes`,
    { issues: sentences },
  );
}

/** The same answer for what is not there and what belongs to somebody else. */
export function notFound(what: string): SealpoolError {
  return new SealpoolError('not_found', 'not_found', `there is no ${what} here; check its name, or list what there is`);
}
