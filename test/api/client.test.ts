/** The client against servers that misbehave. */
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { ApiError, Unreachable, createClient } from '../../src/api/client.ts';

let server: Server;
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

async function serving(handler: Parameters<typeof createServer>[1] & object): Promise<ReturnType<typeof createClient>> {
  server = createServer(handler).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return createClient({ baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, token: 'sp-api-test-test' });
}

const event = (seq: number): string => `id: ${seq}\nevent: note\ndata: {"seq":${seq}}\n\n`;

/** A stream of as many events as there are, of which each connection brings some and then breaks within the next. */
function breaking(most: number, lastIds: (string | undefined)[]): Parameters<typeof createServer>[1] & object {
  return (request, response) => {
    const last = request.headers['last-event-id'] as string | undefined;
    lastIds.push(last);
    const first = Number(last ?? 0) + 1;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    if (lastIds.length % 3 === 0) return void response.destroy();
    const whole = [first, first + 1].filter((seq) => seq <= most);
    response.write(`: quiet\n\n${whole.map(event).join('')}${event(first + 2).slice(0, 17)}`, () => response.destroy());
  };
}

test('a stream whose connections break goes on from the last whole event: none is missed, none comes twice', async () => {
  const lastIds: (string | undefined)[] = [];
  const client = await serving(breaking(12, lastIds));
  const [seen, waits]: [number[], number[]] = [[], []];
  for await (const { seq } of client.follow({ onBreak: (_why, waitMs) => waits.push(waitMs) })) {
    seen.push(seq);
    if (seq === 12) break;
  }
  expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  expect(lastIds.slice(0, 4)).toEqual([undefined, '2', '4', '4']);
  // It grows where a connection brought nothing, and begins anew with the next byte.
  expect(waits.slice(0, 4)).toEqual([250, 250, 500, 250]);
});

test('a stream asks with its filters and from a place in the history on', async () => {
  const asked: [string | undefined, string | undefined][] = [];
  const client = await serving((request, response) => {
    asked.push([request.url, request.headers['last-event-id'] as string | undefined]);
    if (request.headers.accept === 'application/json') return void response.end(JSON.stringify({ items: [], after: 41 }));
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(event(42));
  });
  const filter = { type: ['sector.error', 'runner.struck'], sector: 's-t01000-7', miner: 't01000', runner: 'r-1' } as const;
  for await (const { seq } of client.follow({ after: 'now', ...filter })) if (seq === 42) break;
  expect(asked).toEqual([
    ['/v1/events?after=now&limit=1', undefined],
    ['/v1/events?type=sector.error%2Crunner.struck&sector=s-t01000-7&miner=t01000&runner=r-1', '41'],
  ]);
});

test('a stream ends in order with its signal, while it reads and while it waits', async () => {
  const client = await serving(breaking(2, []));
  for (const when of ['reads', 'waits']) {
    const stop = new AbortController();
    const onBreak = (): void => void (when === 'waits' && queueMicrotask(() => stop.abort()));
    const seen: number[] = [];
    for await (const { seq } of client.follow({ signal: stop.signal, onBreak })) {
      seen.push(seq);
      if (when === 'reads') stop.abort();
    }
    expect(seen.at(0)).toBe(1);
    expect(stop.signal.aborted).toBe(true);
  }
});

test('a stream gives up where another connection would be refused too, after the tries it was given, and at a first that fails', async () => {
  let turn = 0;
  const client = await serving((_request, response) => {
    turn += 1;
    if (turn === 1) {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      return void response.write(event(1), () => response.destroy());
    }
    const status = turn === 2 ? 503 : 401;
    response.writeHead(status, { 'content-type': 'application/problem+json' });
    response.end(JSON.stringify({ type: 'urn:x', title: 'x', status, code: `code_${status}`, detail: 'it does not go; do y' }));
  });
  const all = async (options: Parameters<typeof client.follow>[0] = {}) => {
    for await (const { seq } of client.follow(options)) expect(seq).toBe(1);
  };
  await expect(all()).rejects.toMatchObject({ problem: { code: 'code_401' } });
  expect(turn).toBe(3);
  turn = 0;
  await expect(all({ tries: 1 })).rejects.toMatchObject({ problem: { code: 'code_503' } });
  turn = 1;
  await expect(all()).rejects.toMatchObject({ problem: { code: 'code_503' } });
});

test('a stream that is left early closes its connection', async () => {
  let closed: () => void = () => undefined;
  const gone = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const client = await serving((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: {"seq":1}\n\n');
    response.once('close', closed);
  });
  for await (const { seq } of client.follow()) if (seq === 1) break;
  await gone;
});

test('a refusal is an ApiError with its problem; an answer in another language is Unreachable', async () => {
  const problem = { type: 'urn:sealpool:problem:x', title: 'conflict', status: 409, code: 'x', detail: 'it does not go; do y' };
  const client = await serving((request, response) => {
    const ours = request.url === '/v1/plans';
    response.writeHead(ours ? 409 : 502, { 'content-type': ours ? 'application/problem+json' : 'text/html' });
    response.end(ours ? JSON.stringify(problem) : '<h1>Bad Gateway</h1>');
  });
  await expect(client.plans()).rejects.toThrow(ApiError);
  await expect(client.plans()).rejects.toMatchObject({ problem, message: 'it does not go; do y' });
  await expect(client.workers()).rejects.toThrow(Unreachable);
  await expect(client.workers()).rejects.toThrow(/it answered 502 without a problem document/);
});
