/** The client against servers that misbehave. */
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { ApiError, Unreachable, createClient } from '../../src/api/client.ts';

let server: Server;
afterEach(() => void server.close());

async function serving(handler: Parameters<typeof createServer>[1] & object): Promise<ReturnType<typeof createClient>> {
  server = createServer(handler).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return createClient({ baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, token: 'sp-api-test-test' });
}

test('a stream of events that breaks off ends, with every whole event before it', async () => {
  const client = await serving((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('id: 1\nevent: note\ndata: {"seq":1}\n\n: quiet\n\nid: 2\ndata: {"se');
    setImmediate(() => response.write('q":2}\n\nid: 3\ndata: {"seq', () => response.destroy()));
  });
  const seen: number[] = [];
  for await (const { seq } of client.follow(0)) seen.push(seq);
  expect(seen).toEqual([1, 2]);
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
  for await (const { seq } of client.follow(0)) if (seq === 1) break;
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
