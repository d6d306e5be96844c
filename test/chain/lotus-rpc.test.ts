/** A node that is away, slow, strange or strict: which error each becomes. */
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { z } from 'zod';
import { LotusRpc } from '../../src/chain/lotus-rpc.ts';
import { SealpoolError } from '../../src/schema/problem.ts';

const open: { server: Server; rpc: LotusRpc }[] = [];
afterEach(async () => {
  for (const { server, rpc } of open.splice(0)) {
    await rpc.close();
    server.closeAllConnections();
    server.close();
  }
});

/** `tokens`: what reading the token answers, one call after the other. */
async function node(listener: RequestListener, timeoutMs = 5_000, tokens: (() => Promise<string>)[] = []): Promise<LotusRpc> {
  const server = createServer(listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/rpc/v1`;
  const rpc = new LotusRpc({ url, token: async () => tokens.shift()?.() ?? 'secret', timeoutMs });
  open.push({ server, rpc });
  return rpc;
}

const answering =
  (status: number, text: string): RequestListener =>
  (_request, response) =>
    void response.writeHead(status).end(text);
const error = (code: number, message: string): string => JSON.stringify({ jsonrpc: '2.0', id: 1, error: { code, message } });

test('token, method and parameters go out, the result comes back parsed', async () => {
  let seen: unknown;
  const rpc = await node(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    seen = { authorization: request.headers.authorization, ...JSON.parse(Buffer.concat(chunks).toString()) };
    response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, result: 5 }));
  });
  expect(await rpc.call('MpoolGetNonce', ['t1x'], z.number())).toBe(5);
  expect(seen).toMatchObject({ authorization: 'Bearer secret', method: 'Filecoin.MpoolGetNonce', params: ['t1x'] });
});

test.each<[string, RequestListener, Record<string, unknown>]>([
  ['HTTP 401', answering(401, 'no'), { category: 'temporary', code: 'rpc_unauthorized' }],
  ['HTTP 502 of a proxy', answering(502, '<html>'), { category: 'temporary', code: 'rpc_http_status' }],
  [
    'HTTP 429 of a gateway, in JSON of its own',
    answering(429, '{"message":"API rate limit exceeded"}'),
    { category: 'temporary', code: 'rpc_http_status' },
  ],
  ['HTTP 503 with a result', answering(503, '{"jsonrpc":"2.0","id":1,"result":5}'), { category: 'temporary', code: 'rpc_http_status' }],
  ['an object of something else', answering(200, '{"message":"welcome"}'), { category: 'temporary', code: 'rpc_bad_answer' }],
  ['HTTP 500 with a JSON-RPC error', answering(500, error(1, 'busy')), { category: 'temporary', code: 'rpc_error' }],
  ['no JSON', answering(200, 'hello'), { category: 'temporary', code: 'rpc_bad_answer' }],
  ['JSON, but no JSON-RPC', answering(200, '[1]'), { category: 'temporary', code: 'rpc_bad_answer' }],
  ['another shape', answering(200, '{"jsonrpc":"2.0","id":1,"result":"5"}'), { category: 'temporary', code: 'rpc_unexpected_answer' }],
  ['null for a number', answering(200, '{"jsonrpc":"2.0","id":1,"result":null}'), { category: 'temporary', code: 'rpc_unexpected_answer' }],
  ['neither result nor error', answering(200, '{"jsonrpc":"2.0","id":1}'), { category: 'temporary', code: 'rpc_unexpected_answer' }],
  ['no such method', answering(200, error(-32601, 'method not found')), { category: 'permanent', code: 'rpc_refused' }],
  [
    'the actor refuses',
    answering(200, error(1, 'message execution failed: exit SysErr(16), reason: x (RetCode=16)')),
    { category: 'permanent', exitCode: 16 },
  ],
  [
    'a low balance',
    answering(200, error(1, 'message execution failed: exit ErrInsufficientFunds(19), reason: x')),
    { category: 'temporary', exitCode: 19 },
  ],
  ['a broken connection', (request) => void request.socket.destroy(), { category: 'temporary', code: 'rpc_unreachable' }],
])('%s', async (_name, listener, expected) => {
  const rpc = await node(listener);
  await expect(rpc.call('MpoolGetNonce', [], z.number())).rejects.toMatchObject(expected);
});

test('what is no answer of the node is never taken for null', async () => {
  for (const status of [200, 429, 502]) {
    const rpc = await node(answering(status, '{"message":"try later"}'));
    await expect(rpc.call('StateSectorPreCommitInfo', [], z.null())).rejects.toMatchObject({ category: 'temporary' });
  }
});

test('a token that cannot be read now is read again before the next call', async () => {
  const rpc = await node(answering(200, '{"jsonrpc":"2.0","id":1,"result":5}'), undefined, [
    () => Promise.reject(new SealpoolError('bad_request', 'configuration', 'token: no such file')),
    () => Promise.resolve('secret'),
  ]);
  await expect(rpc.call('ChainHead', [], z.number())).rejects.toMatchObject({ category: 'temporary', code: 'token_unreadable' });
  expect(await rpc.call('ChainHead', [], z.number())).toBe(5);
});

test('no answer in time, and an answer that stalls half way', async () => {
  const silent = await node(() => undefined, 50);
  await expect(silent.call('ChainHead', [], z.unknown())).rejects.toMatchObject({ category: 'temporary', code: 'rpc_timeout' });
  const stalling = await node((_request, response) => void response.write('{"jsonrpc"'), 50);
  await expect(stalling.call('ChainHead', [], z.unknown())).rejects.toMatchObject({ category: 'temporary', code: 'rpc_timeout' });
});
