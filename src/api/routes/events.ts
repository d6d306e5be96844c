/** What happened: pages of events, or a stream that goes on (SSE). */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { streamSSE } from 'hono/streaming';
import { z } from 'zod';
import { Event, eventKind, eventType } from '../../schema/event.ts';
import type { Context } from '../../scheduler/context.ts';
import type { EventFilter } from '../../scheduler/ports.ts';
import { type Principal, holds, mayMiner } from '../auth.ts';
import { openEventFeed } from '../event-feed.ts';
import { operation } from '../operation.ts';
import type { ApiParts, Env } from '../parts.ts';
import { notFound } from '../problems.ts';
import { EventQuery } from '../requests.ts';
import { asConfigured, findJob } from './sectors.ts';

const EventPage = z.object({ items: z.array(Event), after: z.number().int() });
type Page = z.infer<typeof EventPage>;
/** A comment this often keeps proxies from closing a quiet stream. */
const QUIET_MS = 15_000;
/** As `streamSSE` sets them. */
const STREAM_HEADERS = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' };

/** What the query asks for, as far as the token may see it: one for some miners sees what happens to those. */
function filterOf(ctx: Context, principal: Principal, query: z.output<typeof EventQuery>): EventFilter {
  const { type, sector, miner, runner } = query;
  const asked = miner === undefined ? undefined : asConfigured(ctx, miner);
  if (asked !== undefined && !mayMiner(principal, asked)) throw notFound(`miner ${miner}`);
  return {
    kinds: type === undefined ? undefined : type.map(eventKind),
    job: sector === undefined ? undefined : findJob(ctx, principal, sector).id,
    runner,
    miners: asked === undefined ? (principal.miners ?? undefined) : [asked],
  };
}

/** Events after `seq`; `after` moves past those that the filter leaves out as well. */
function page(ctx: Context, filter: EventFilter, seq: number, limit: number): Page {
  const last = ctx.tx.lastEventSeq();
  const items = [...ctx.tx.eventsAfter(seq, limit, filter)];
  return { items, after: items.length < limit ? Math.max(seq, last) : (items.at(-1)?.seq ?? seq) };
}

/** Writes a comment now and then until the stream ends. */
async function keepAlive(parts: ApiParts, stop: AbortSignal, write: () => Promise<unknown>): Promise<void> {
  while (!stop.aborted) {
    await parts.sleep(QUIET_MS, stop);
    if (!stop.aborted) await write();
  }
}

/** One event of a stream, written once for all that it goes to. */
const blocks = new WeakMap<Event, string>();

function blockOf(event: Event): string {
  const known = blocks.get(event);
  if (known !== undefined) return known;
  const block = `event: ${eventType(event.kind)}\ndata: ${JSON.stringify(event)}\nid: ${event.seq}\n\n`;
  blocks.set(event, block);
  return block;
}

export function eventRoutes(app: OpenAPIHono<Env>, parts: ApiParts): void {
  const feed = openEventFeed(parts.door, parts.ending);
  const route = operation(parts, {
    method: 'get',
    path: '/v1/events',
    who: 'viewer',
    query: EventQuery,
    answer: EventPage,
    also: { types: { 'text/event-stream': z.string().describe('Each event: its seq as id, its type as event, itself as data.') } },
    summary: 'Events after a number; with `Accept: text/event-stream` as they happen (Last-Event-ID is honoured)',
  });
  app.openapi(route, async (c) => {
    const principal = c.get('principal');
    const query = c.req.valid('query');
    const { after, limit } = query;
    const { filter, newest } = await c.var.door.run((ctx) => ({
      filter: filterOf(ctx, principal, query),
      newest: ctx.tx.lastEventSeq(),
    }));
    const last = Number(c.req.header('last-event-id'));
    const start = Number.isSafeInteger(last) && last > 0 ? last : after === 'now' ? newest : (after ?? 0);
    if (!(c.req.header('accept') ?? '').includes('text/event-stream'))
      return c.json(await c.var.door.run((ctx) => page(ctx, filter, start, limit)), 200);
    // HEAD comes here as well, and nobody would read or end its stream.
    if (c.req.method === 'HEAD') return c.body(null, 200, STREAM_HEADERS) as never;
    // A stream is no JSON answer; the description knows only the page.
    return streamSSE(c, async (stream) => {
      const left = new AbortController();
      stream.onAbort(() => left.abort('the client left'));
      const stop = AbortSignal.any([left.signal, parts.ending]);
      const quiet = keepAlive(parts, stop, () => stream.write(': quiet\n\n'));
      try {
        for await (const { items } of feed.follow(filter, start, stop)) {
          // A token that was revoked or expired meanwhile hears nothing more.
          if (items.length > 0 && !(await c.var.door.run((ctx) => holds(ctx, principal)))) left.abort('the token ended');
          for (const event of items) {
            if (stop.aborted) break;
            await stream.write(blockOf(event));
          }
        }
      } finally {
        left.abort('the stream ended');
        await quiet;
      }
    }) as never;
  });
}
