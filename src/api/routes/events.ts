/** What happened: pages of events, or a stream that goes on (SSE). */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { streamSSE } from 'hono/streaming';
import { z } from 'zod';
import type { JobId } from '../../schema/ids.ts';
import { JobEvent } from '../../schema/job.ts';
import type { Context } from '../../scheduler/context.ts';
import { type Principal, mayMiner } from '../auth.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';
import { EventQuery } from '../requests.ts';

const EventPage = z.object({ items: z.array(JobEvent), after: z.number().int() });
type Page = z.infer<typeof EventPage>;
/** A comment this often keeps proxies from closing a quiet stream. */
const QUIET_MS = 15_000;

/** Events of this token's miners after `seq`; `after` moves past those it may not see as well. */
function page(ctx: Context, principal: Principal, seq: number, limit: number): Page {
  const events = ctx.tx.eventsAfter(seq, limit);
  const visible = new Map<JobId, boolean>();
  const mine = (job: JobId): boolean => {
    const known = visible.get(job) ?? (principal.miners === null || mayMiner(principal, ctx.tx.job(job)?.miner ?? ('' as never)));
    visible.set(job, known);
    return known;
  };
  return { items: events.filter(({ job }) => mine(job)), after: events.at(-1)?.seq ?? seq };
}

export function eventRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  const { door } = parts;
  const route = operation(parts, {
    method: 'get',
    path: '/v1/events',
    who: 'viewer',
    query: EventQuery,
    answer: EventPage,
    summary: 'Events after a number; with `Accept: text/event-stream` as they happen (Last-Event-ID is honoured)',
  });
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    const { after, limit } = c.req.valid('query');
    const last = Number(c.req.header('last-event-id'));
    const start = Number.isSafeInteger(last) && last > 0 ? last : (after ?? 0);
    if (!(c.req.header('accept') ?? '').includes('text/event-stream'))
      return c.json(await door.run((ctx) => page(ctx, principal, start, limit)), 200);
    // A stream is no JSON answer; the description knows only the page.
    return streamSSE(c, async (stream) => {
      const left = new AbortController();
      stream.onAbort(() => left.abort());
      const stop = AbortSignal.any([left.signal, parts.ending]);
      let seq = start;
      while (!stop.aborted) {
        const turn = new AbortController();
        const either = AbortSignal.any([turn.signal, stop]);
        const changed = door.changed('events', either);
        const { items, after: reached } = await door.run((ctx) => page(ctx, principal, seq, limit));
        for (const event of items) await stream.writeSSE({ id: String(event.seq), event: event.kind, data: JSON.stringify(event) });
        const more = reached !== seq;
        seq = reached;
        if (!more) {
          const quiet = await Promise.race([changed.then(() => false), parts.sleep(QUIET_MS, either).then(() => !either.aborted)]);
          if (quiet) await stream.write(': quiet\n\n');
        }
        turn.abort();
      }
    }) as never;
  });
}
