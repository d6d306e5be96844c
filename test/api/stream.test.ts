/** A client of the event stream that drops at any point and comes back with Last-Event-ID misses nothing and sees nothing twice. */
import { Agent, get } from 'node:http';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { createApp } from '../../src/api/app.ts';
import type { Event } from '../../src/schema/event.ts';
import type { NewEvent } from '../../src/schema/event.ts';
import { listen } from '../../src/main/http-server.ts';
import { ApiWorld, OURS, THEIRS } from './api-world.ts';

let world: ApiWorld;
beforeEach(async () => {
  world = await ApiWorld.open();
});
afterEach(() => world.close());

/** Random enough to drop anywhere, the same each time (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const KINDS = ['transition', 'paused', 'error', 'note', 'audit'] as const;

/** An event about one of two miners, or about none. */
function eventNumber(n: number, jobs: readonly string[]): NewEvent {
  const kind = KINDS[n % KINDS.length] as (typeof KINDS)[number];
  const which = n % 3;
  const about = kind === 'audit' || which === 2 ? null : which;
  return {
    job: about === null ? null : (jobs[about] as NewEvent['job']),
    miner: about === null ? null : about === 0 ? OURS : THEIRS,
    runner: null,
    generation: 1,
    atMs: n,
    actor: 'engine',
    kind: about === null ? 'audit' : kind,
    from: null,
    to: null,
    event: null,
    // Of lengths that make parts of the stream end anywhere.
    detail: { action: 'test', n, filling: 'ü'.repeat(n % 97) },
    request: null,
  };
}

/** Whole events of a stream's text, and what remains. */
function wholeEvents(text: string): { events: { id: number; type: string; data: Event }[]; rest: string } {
  const blocks = text.split('\n\n');
  const rest = blocks.pop() ?? '';
  const events = blocks.flatMap((block) => {
    const field = (name: string) =>
      block
        .split('\n')
        .find((line) => line.startsWith(`${name}: `))
        ?.slice(name.length + 2);
    const data = field('data');
    return data === undefined ? [] : [{ id: Number(field('id')), type: field('event') as string, data: JSON.parse(data) as Event }];
  });
  return { events, rest };
}

/**
 * Follows the stream until `enough`, on a new connection each time the old one was dropped after a random number of bytes.
 * An event counts once it came whole; its id is what the client comes back with.
 */
async function follow(url: string, token: string, random: () => number, enough: (seen: readonly Event[]) => boolean) {
  const seen: Event[] = [];
  const types = new Set<string>();
  const agent = new Agent({ keepAlive: false });
  let drops = 0;
  let last: number | undefined;
  while (!enough(seen)) {
    const dropAfter = Math.floor(random() ** 3 * 200_000);
    await new Promise<void>((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${token}`,
        accept: 'text/event-stream',
        ...(last === undefined ? {} : { 'last-event-id': String(last) }),
      };
      const request = get(url, { agent, headers }, (response) => {
        if (response.statusCode !== 200) reject(new Error(`the stream was refused with ${response.statusCode}`));
        let [text, bytes] = ['', 0];
        const decoder = new TextDecoder();
        response.on('data', (chunk: Buffer) => {
          // What came before the drop, to the byte.
          const kept = chunk.subarray(0, Math.max(0, dropAfter - bytes));
          bytes += chunk.length;
          const { events, rest } = wholeEvents(text + decoder.decode(kept, { stream: true }));
          text = rest;
          for (const { id, type, data } of events) {
            expect(id).toBe(data.seq);
            seen.push(data);
            types.add(type);
            last = id;
          }
          if (bytes >= dropAfter || enough(seen)) response.destroy();
        });
        response.on('close', resolve);
        response.on('error', () => resolve());
      });
      request.on('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNRESET' ? resolve() : reject(error)));
    });
    drops += 1;
  }
  agent.destroy();
  return { seen, types, drops };
}

test('over 10,000 events, with filters, while they are written', { timeout: 180_000 }, async () => {
  const server = await listen(world.app.fetch, '127.0.0.1', 0);
  onTestFinished(() => server.close(0));
  const url = `http://127.0.0.1:${server.port}/v1/events`;
  const jobs = [...(await world.pledge(OURS)), ...(await world.pledge(THEIRS))];
  const before = await world.door.run((ctx) => ctx.tx.lastEventSeq());
  const TOTAL = 10_000;
  const random = seeded(20_261_129);
  let written = 0;
  const write = async (): Promise<void> => {
    while (written < TOTAL) {
      const many = Math.min(TOTAL - written, 1 + Math.floor(random() * 120));
      await world.door.run((ctx) => {
        for (let at = 0; at < many; at += 1) ctx.tx.appendEvent(eventNumber(written + at, jobs));
        ctx.signals.add('events');
      });
      written += many;
    }
  };
  const bound = await world.token('viewer', [OURS]);
  const last = before + TOTAL + 1;
  const all = () => world.door.run((ctx) => ctx.tx.eventsAfter(before, 20_000));
  const wanted = async (holds: (event: Event) => boolean) => (await all()).filter(holds).map(({ seq }) => seq);
  const ended = (seen: readonly Event[]): boolean => (seen.at(-1)?.seq ?? 0) >= last;
  const filters = [
    { query: '', token: world.admin, holds: () => true },
    {
      query: '&type=sector.paused,sector.error,audit',
      token: world.admin,
      holds: ({ kind }: Event) => ['paused', 'error', 'audit'].includes(kind),
    },
    { query: '&type=audit&limit=7', token: world.admin, holds: ({ kind }: Event) => kind === 'audit' },
    { query: `&miner=${THEIRS}`, token: world.admin, holds: ({ miner }: Event) => miner === THEIRS },
    { query: '', token: bound, holds: ({ miner }: Event) => miner === OURS },
    { query: `&sector=${jobs[0]}`, token: bound, holds: ({ job }: Event) => job === jobs[0] },
  ];
  const following = filters.map(({ query, token, holds }, at) =>
    // The last event that the filter lets through is known when all are written.
    follow(`${url}?after=${before}${query}`, token, seeded(at + 1), (seen) => {
      if (written < TOTAL) return false;
      return ended(seen) || seen.length >= expectedCount(holds);
    }),
  );
  const sent: Event[] = [];
  function expectedCount(holds: (event: Event) => boolean): number {
    return sent.length === 0 ? Number.POSITIVE_INFINITY : sent.filter(holds).length;
  }
  await write();
  sent.push(...(await all()));
  // Streams that wait for more see one more event, which ends them.
  for (const miner of [OURS, THEIRS]) await world.pledge(miner);
  const followed = await Promise.all(following);
  for (const [at, { seen, drops }] of followed.entries()) {
    const { query, holds } = filters[at] as (typeof filters)[number];
    const expected = (await wanted(holds)).slice(0, seen.length);
    expect(
      seen.map(({ seq }) => seq),
      query,
    ).toEqual(expected);
    expect(seen.length, query).toBeGreaterThanOrEqual(sent.filter(holds).length);
    expect(drops, query).toBeGreaterThan(3);
  }
  expect(followed[0]?.seen.length).toBeGreaterThanOrEqual(TOTAL);
  expect([...(followed[1]?.types ?? [])].sort()).toEqual(['audit', 'sector.error', 'sector.paused']);
});

test('a number that is too large or none of ours begins where it says, and nothing breaks', async () => {
  await world.pledge();
  const { json } = await world.call('GET', '/v1/events?after=999999', { token: world.admin });
  expect(json).toEqual({ items: [], after: 999_999 });
  for (const id of ['-1', 'x', '1e99', '']) {
    const answer = await world.call('GET', '/v1/events', { token: world.admin, headers: { 'last-event-id': id } });
    expect((answer.json as { items: unknown[] }).items.length, id).toBeGreaterThan(0);
  }
});

test.each(['revoked', 'expired'])('a stream whose token is %s ends, with nothing of what came after', async (how) => {
  const { json } = await world.call('POST', '/v1/tokens', { token: world.admin, body: { name: 'ends', role: 'viewer', ttlMs: 60_000 } });
  const { id, token } = json as { id: string; token: string };
  const response = await world.app.request('/v1/events?type=sector.created', {
    headers: { authorization: `Bearer ${token}`, accept: 'text/event-stream' },
  });
  const [first] = (await world.pledge()) as [string];
  const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  while (!text.includes(first)) text += (await reader.read()).value;
  if (how === 'revoked') await world.call('DELETE', `/v1/tokens/${id}`, { token: world.admin });
  else world.nowMs += 60_000;
  const [later] = (await world.pledge()) as [string];
  for (let read = await reader.read(); !read.done; read = await reader.read()) text += read.value;
  expect(text).not.toContain(later);
});

test('HEAD of the stream answers its headers and follows nothing', async () => {
  let waits = 0;
  const sleep = (ms: number, signal: AbortSignal): Promise<void> => {
    waits += 1;
    return world.parts.sleep(ms, signal);
  };
  const app = createApp({ ...world.parts, sleep });
  const ask = (method: string) =>
    app.request('/v1/events', { method, headers: { authorization: `Bearer ${world.admin}`, accept: 'text/event-stream' } });
  const head = await ask('HEAD');
  expect([head.status, head.headers.get('content-type'), await head.text()]).toEqual([200, 'text/event-stream', '']);
  expect(waits).toBe(0);
  const stream = await ask('GET');
  expect(waits).toBe(1);
  for (const name of ['content-type', 'cache-control']) expect(head.headers.get(name), name).toBe(stream.headers.get(name));
  await stream.body?.cancel();
});
