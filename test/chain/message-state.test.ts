/** What a message's state is made of, on a node whose mempool holds what others send. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LotusChain } from '../../src/chain/lotus-chain.ts';

let server: Server;
let chain: LotusChain;
let answers: Record<string, unknown>;
beforeEach(async () => {
  answers = {};
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method } = JSON.parse(Buffer.concat(chunks).toString()) as { method: string };
    const answer = answers[method.replace('Filecoin.', '')];
    const body = answer instanceof Error ? { error: { code: 1, message: answer.message } } : { result: answer };
    response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, ...body }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  chain = new LotusChain({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/rpc/v1`, token: null });
});
afterEach(async () => {
  await chain.close();
  server.closeAllConnections();
  server.close();
});

const message = {
  Version: 0,
  To: 'f01000',
  From: 'f1abjxfbp274xpdqcpuaykwkfb43omjotacm2p3za',
  Nonce: 7,
  Value: '0',
  GasLimit: 1,
  GasFeeCap: '1',
  GasPremium: '1',
  Method: 0,
  Params: null,
};
const cid = (last: string): string => `bafy2bzacece4elaawhqk3avpljwxwasi5nkrgvqzegi7tgclg7qcc7mvvno${last}`;
/** An Ethereum-style message: signature type 3, which no miner signs with but every mempool holds. */
const delegated = {
  Message: { ...message, From: 'f410fqgbhtnzrlqpjbjyrs5nrchgqomslaexb5ugmeyi' },
  Signature: { Type: 3, Data: 'AA==' },
  CID: { '/': cid('le') },
};
/** What a node answers that has stored our message, whose nonce is `nonce` in the head's state. */
const node = (nonce: number, more: Record<string, unknown>): Record<string, unknown> => ({
  ChainGetMessage: message,
  ChainHead: { Height: 105, Cids: [{ '/': 'head' }], Blocks: [] },
  StateGetActor: { Nonce: nonce },
  ChainGetMessagesInTipset: null,
  MpoolPending: [delegated],
  ...more,
});
const ours = { Message: message, Signature: { Type: 1, Data: 'AA==' }, CID: { '/': cid('li') } };

test('ours among the pending messages of others', async () => {
  answers = node(7, { MpoolPending: [delegated, ours] });
  expect(await chain.message(cid('li'), { number: 1 })).toEqual({ state: 'pending' });
});

test('not there: unknown, and so with an empty mempool', async () => {
  answers = node(7, {});
  expect(await chain.message(cid('li'), { number: 1 })).toEqual({ state: 'unknown' });
  answers = node(7, { MpoolPending: null });
  expect(await chain.message(cid('li'), { number: 1 })).toEqual({ state: 'unknown' });
});

test('in the head’s tipset: on its way, though no mempool has it and its nonce is no longer the next', async () => {
  answers = node(7, { ChainGetMessagesInTipset: [{ Cid: { '/': cid('le') } }, { Cid: { '/': cid('li') } }], MpoolGetNonce: 8 });
  expect(await chain.message(cid('li'), { number: 1 })).toEqual({ state: 'pending' });
});

test.each([
  'message was replaced: found message with equal nonce as the one we are looking for that is NOT a valid replacement message (F:bafy n 7, TS: bafz n7)',
  'failed to load message: ipld: could not find bafy',
])('a used nonce, and Lotus says %s: the message is not there', async (words) => {
  answers = node(8, { StateSearchMsg: new Error(words), ChainGetTipSetByHeight: { Height: 100, Cids: [{ '/': 'old' }] } });
  expect(await chain.message(cid('li'), { number: 1 })).toEqual({ state: 'unknown' });
});

test('a node that never stored it: unknown', async () => {
  answers = node(8, { ChainGetMessage: new Error('ipld: could not find bafy') });
  expect(await chain.message(cid('li'), { number: 1 })).toEqual({ state: 'unknown' });
});

test('a used nonce, and the node has not the history to say by what: no answer is made up', async () => {
  answers = node(8, { StateSearchMsg: new Error('failed to load tipset during msg wait searchback: block not found') });
  await expect(chain.message(cid('li'), { number: 1 })).rejects.toMatchObject({ category: 'temporary', code: 'nonce_used' });
});

test('landed with a failure says why', async () => {
  answers = node(8, {
    StateSearchMsg: { Message: { '/': cid('li') }, Receipt: { ExitCode: 16, Return: null, GasUsed: 1 }, Height: 100 },
  });
  expect(await chain.message(cid('li'), { number: 1 })).toMatchObject({
    state: 'landed',
    epoch: 100,
    confidence: 5,
    exitCode: 16,
    sectorOk: false,
    detail: expect.stringMatching(/16/),
  });
});
