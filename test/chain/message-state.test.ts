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
    response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, result: answers[method.replace('Filecoin.', '')] }));
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
const ours = { Message: message, Signature: { Type: 1, Data: 'AA==' }, CID: { '/': cid('li') } };

test('ours among the pending messages of others', async () => {
  answers = { StateSearchMsg: null, MpoolPending: [delegated, ours] };
  expect(await chain.message(cid('li'), { number: 1 })).toEqual({ state: 'pending' });
});

test('not there: unknown, and so with an empty mempool', async () => {
  answers = { StateSearchMsg: null, MpoolPending: [delegated] };
  expect(await chain.message(cid('li'), { number: 1 })).toEqual({ state: 'unknown' });
  answers = { StateSearchMsg: null, MpoolPending: null };
  expect(await chain.message(cid('li'), { number: 1 })).toEqual({ state: 'unknown' });
});

test('landed with a failure says why', async () => {
  answers = {
    StateSearchMsg: { Message: { '/': cid('li') }, Receipt: { ExitCode: 16, Return: null, GasUsed: 1 }, Height: 100 },
    ChainHead: { Height: 105, Cids: [], Blocks: [] },
  };
  expect(await chain.message(cid('li'), { number: 1 })).toMatchObject({
    state: 'landed',
    epoch: 100,
    confidence: 5,
    exitCode: 16,
    sectorOk: false,
    detail: expect.stringMatching(/16/),
  });
});
