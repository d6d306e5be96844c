/** A node that syncs answers from an old state: nothing is drawn, signed or decided from that. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { LotusChain } from '../../src/chain/lotus-chain.ts';
import { MINER } from '../store/rows.ts';

/** A node whose head is so old, and that has given out number 7; every other answer is null. */
async function nodeWithHead(ageMs: number): Promise<LotusChain> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { id, method } = JSON.parse(Buffer.concat(chunks).toString()) as { id: number; method: string };
    const head = { Height: 5_000_000, Cids: [], Blocks: [{ Timestamp: Math.floor((Date.now() - ageMs) / 1000) }] };
    const results: Record<string, unknown> = {
      'Filecoin.ChainHead': head,
      'Filecoin.StateGetRandomnessFromTickets': 'A'.repeat(43) + '=',
      'Filecoin.StateMinerAllocated': [7, 1],
    };
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result: results[method] ?? null }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/rpc/v1`;
  const chain = new LotusChain({ url, token: async () => 'secret' });
  onTestFinished(async () => {
    await chain.close();
    server.closeAllConnections();
    server.close();
  });
  return chain;
}

test('a head of a few epochs ago is the head, and a sector that the node does not know is none', async () => {
  const chain = await nodeWithHead(5 * 60_000);
  expect(await chain.head()).toEqual({ epoch: 5_000_000 });
  expect(await chain.ticket(MINER)).toMatchObject({ epoch: 5_000_000 - 900 });
  expect(await chain.sector(MINER, 7)).toBeUndefined();
  expect(await chain.allocated(MINER, [6, 7])).toEqual([7]);
});

test('one of hours ago is waited out: no ticket, no answer about a sector, no number that is free', async () => {
  const chain = await nodeWithHead(3 * 3_600_000);
  const behind = { category: 'temporary', code: 'node_behind', waitEpochs: 4, message: expect.stringContaining('180 minutes old') };
  await expect(chain.head()).rejects.toMatchObject(behind);
  await expect(chain.ticket(MINER)).rejects.toMatchObject(behind);
  await expect(chain.sector(MINER, 7)).rejects.toMatchObject(behind);
  await expect(chain.allocated(MINER, [7])).rejects.toMatchObject(behind);
});
