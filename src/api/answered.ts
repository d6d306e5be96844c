/** What is told of every answered request: a line of the log, and counts by route. */
import type { Context } from 'hono';
import { matchedRoutes } from 'hono/route';
import type { ApiParts, Env } from './parts.ts';

/** Asked every few seconds by machines: of these only the log's finer levels tell. */
const OFTEN = /^\/(v1\/runners\/self\/|objects\/|healthz$|readyz$|metrics$)/;

/** Logs and counts the answer; `c.res` is final. */
export function tellAnswered(parts: ApiParts, c: Context<Env>, durationMs: number): void {
  const { method, path } = c.req;
  const { status } = c.res;
  // Only the path: queries of signed URLs are permissions.
  const fields = { requestId: c.get('requestId'), method, path, status, durationMs: Math.round(durationMs * 10) / 10 };
  if (OFTEN.test(path)) parts.log.debug(fields, 'request');
  else parts.log.info(fields, 'request');
  parts.onAnswered?.({ route: routeOf(c), method, status, durationMs });
}

/** The pattern that took it: a path would be a label of its own for every sector, and for whatever somebody tries. */
function routeOf(c: Context<Env>): string {
  return matchedRoutes(c).findLast(({ path }) => !path.endsWith('/*') || path === '/objects/*')?.path ?? 'none';
}
