/** Refusals in the words of nodes, as the flows want them: an expired ticket, too little money, all else as it was. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ChainError } from '../../src/chain/errors.ts';
import { LotusRpc } from '../../src/chain/lotus-rpc.ts';
import { explainRefusal } from '../../src/chain/refusals.ts';
import { z } from 'zod';
import { type Bench, bench, MINER, posted, preCommitWant, send, updateWant } from '../devnet/harness.ts';

const SENDER = 't1abjxfbp274xpdqcpuaykwkfb43omjotacm2p3za';

let server: Server;
let answer: { code: number; message: string };
let rpc: LotusRpc;
beforeEach(async () => {
  server = createServer((request, response) => {
    request.resume();
    response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, error: answer }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  rpc = new LotusRpc({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/rpc/v1`, token: null });
});
afterEach(async () => {
  await rpc.close();
  server.closeAllConnections();
  server.close();
});

/** What becomes of a node's words. */
async function explained(message: string): Promise<ChainError> {
  answer = { code: 1, message };
  const error = await rpc.call('GasEstimateMessageGas', [], z.unknown()).catch((cause: unknown) => cause);
  return explainRefusal(error, { want: preCommitWant(7, 4_000), sender: SENDER }) as ChainError;
}

describe('words of nodes', () => {
  test.each([
    'estimating gas used: message execution failed: exit ErrIllegalArgument(16), reason: seal challenge epoch 4000 too old, must be after 4220 (RetCode=16)',
    'message execution failed (exit=[ErrIllegalArgument(16)], revert reason=[], vm error=[Error: seal challenge epoch 4000 too old, must be after 4220])',
  ])('an expired ticket: %s', async (words) => {
    expect(await explained(words)).toMatchObject({
      category: 'permanent',
      code: 'ticket_expired',
      exitCode: 16,
      message: expect.stringMatching(/epoch 4000.*after epoch 4220.*resume at TreeDBuilt to draw a fresh ticket/),
    });
  });

  test.each<[string, string, RegExp]>([
    ['exit SysErrInsufficientFunds(6), reason: none (RetCode=6)', SENDER, /too little money/],
    [
      'exit 19, reason: insufficient funds 5 for pre-commit deposit: 12 (RetCode=19)',
      MINER,
      /needs 12 attoFIL and has 5, so 7 are missing/,
    ],
    ['exit=[19], vm error=[insufficient funds for aggregate initial pledge requirement 30, available: 10]', MINER, /so 20 are missing/],
    [
      'not enough funds (required: 2 FIL, balance: 0.5 FIL): not enough funds to execute transaction',
      SENDER,
      /needs 2 FIL, it has 0.5 FIL/,
    ],
    ['mpool push: not enough funds to execute transaction', SENDER, /too little money/],
  ])('too little money is temporary and waits: %s', async (words, payer, sentence) => {
    const error = await explained(words);
    expect(error).toMatchObject({ category: 'temporary', code: 'insufficient_funds', message: expect.stringMatching(sentence) });
    expect(error.message).toContain(`send FIL to ${payer}`);
    expect(error.waitEpochs).toBeGreaterThan(0);
  });

  test.each<[string, object]>([
    ['exit ErrIllegalArgument(16), reason: sealed CID had wrong prefix (RetCode=16)', { code: 'actor_exit', category: 'permanent' }],
    ['exit SysErrOutOfGas(7) (RetCode=7)', { code: 'actor_exit', category: 'temporary' }],
    ['the node is syncing', { code: 'rpc_error', category: 'temporary' }],
  ])('others stay as they were: %s', async (words, expected) => {
    expect(await explained(words)).toMatchObject({ ...expected, waitEpochs: undefined });
  });

  test('what is no refusal of a node passes through', () => {
    const unreachable = new ChainError('temporary', 'rpc_unreachable', 'not enough funds');
    expect(explainRefusal(unreachable, { sender: SENDER })).toBe(unreachable);
    const fault = new TypeError('x');
    expect(explainRefusal(fault, { sender: SENDER })).toBe(fault);
  });
});

describe('on the dev chain', () => {
  let b: Bench;
  beforeEach(async () => {
    b = await bench();
  });
  afterEach(() => b.end());

  test('an empty wallet stops a pre-commit before signing, an update too, and money lets both go on', async () => {
    await posted(b, 7);
    const sender = await b.chain.sender(MINER);
    await b.control({ setBalance: { address: sender, attoFil: '1' }, pledgePercent: 300 });
    const { epoch } = await b.chain.ticket(MINER);
    const short = { category: 'temporary', code: 'insufficient_funds', message: expect.stringContaining(sender), exitCode: 6 };
    await expect(b.chain.sign(preCommitWant(8, epoch), 0)).rejects.toMatchObject(short);
    await expect(b.chain.sign(updateWant(7), 0)).rejects.toMatchObject(short);
    await b.control({ setBalance: { address: sender, attoFil: (10n ** 20n).toString() } });
    await send(b, preCommitWant(8, epoch));
    await send(b, updateWant(7));
    await b.control({ advance: 2 });
    expect((await b.messages()).slice(-2)).toMatchObject([{ exitCode: 0 }, { exitCode: 0 }]);
  });

  test('money that goes between signing and pushing: the mempool refuses, the same bytes go out later', async () => {
    const sender = await b.chain.sender(MINER);
    const message = await b.chain.sign(preCommitWant(8, (await b.chain.ticket(MINER)).epoch), 0);
    await b.control({ setBalance: { address: sender, attoFil: '1' } });
    await expect(b.chain.push(message)).rejects.toMatchObject({ category: 'temporary', code: 'insufficient_funds' });
    await b.control({ setBalance: { address: sender, attoFil: (10n ** 20n).toString() } });
    await b.chain.push(message);
    await b.control({ advance: 2 });
    expect(await b.chain.message(message.cid, { number: 8 })).toMatchObject({ state: 'landed', exitCode: 0 });
  });
});
