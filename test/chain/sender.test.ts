/** Never a second message: the sender is stopped at every call it makes and started again. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ChainError } from '../../src/chain/errors.ts';
import { LotusChain } from '../../src/chain/lotus-chain.ts';
import { MessageSender, type SignedMessages } from '../../src/chain/sender.ts';
import type { MessageWant, SignedMessage } from '../../src/scheduler/effects.ts';
import { type Bench, bench, MINER, preCommitted, preCommitWant, proveWant, raw } from '../devnet/harness.ts';
import { type Cut, type FaultyLink, faultyLink } from './faulty-link.ts';

let b: Bench;
let link: FaultyLink;
beforeEach(async () => {
  b = await bench();
  link = await faultyLink(`${b.devnet.url}/rpc/v1`);
});
afterEach(async () => {
  await link.close();
  await b.end();
});

class Crash extends Error {}

/** What survives a crash: rows as a database would keep them. */
class KeptRows implements SignedMessages {
  readonly rows = new Map<string, SignedMessage>();
  readonly withdrawn = new Set<string>();
  /** Crashes once, before or after the row is there. */
  crash: Cut | undefined;

  async signedFor(key: string): Promise<SignedMessage | undefined> {
    return this.rows.get(key);
  }

  async lastNonce(sender: string): Promise<number> {
    return Math.max(-1, ...[...this.rows.values()].filter((row) => row.sender === sender).map((row) => row.nonce));
  }

  async keep(key: string, message: SignedMessage): Promise<boolean> {
    if (this.withdrawn.has(key)) return false;
    const crash = this.crash;
    this.crash = undefined;
    if (crash === 'before') throw new Crash();
    if (this.rows.has(key)) throw new Error(`${key} was signed twice`);
    this.rows.set(key, message);
    if (crash === 'after') throw new Crash();
    return true;
  }
}

/** One life of the process: everything but the rows is new. True when it came to its end. */
async function live(kept: KeptRows, key: string, want: MessageWant): Promise<boolean> {
  const chain = new LotusChain({ url: link.url, token: b.token, timeoutMs: 5_000 });
  try {
    const sender = new MessageSender(chain, kept);
    const message = await sender.prepare(key, want);
    if (message !== undefined) await sender.push(message);
    return true;
  } catch (error) {
    if (error instanceof Crash || (error instanceof ChainError && error.category === 'temporary')) return false;
    throw error;
  } finally {
    await chain.close();
  }
}

const CALLS_OF_PRE_COMMIT = [
  'StateMinerInfo',
  'StateAccountKey',
  'StateMinerInfo',
  'ChainHead',
  'StateAccountKey',
  'StateMinerPreCommitDepositForPower',
  'GasEstimateMessageGas',
  'MpoolGetNonce',
  'WalletSignMessage',
  'MpoolPush',
];

test('the calls of one pre-commit are these', async () => {
  const ticket = await b.chain.ticket(MINER);
  expect(await live(new KeptRows(), 'k', preCommitWant(7, ticket.epoch))).toBe(true);
  expect([...link.calls].sort()).toEqual([...CALLS_OF_PRE_COMMIT].sort());
  expect(link.calls.at(-1)).toBe('MpoolPush');
});

describe.each<Cut>(['before', 'after'])('the link is cut %s the node answers', (cut) => {
  test.each(CALLS_OF_PRE_COMMIT.map((name, index) => [index, name] as const))(
    'at call %i of a pre-commit (%s or its neighbour)',
    async (index) => {
      const ticket = await b.chain.ticket(MINER);
      const kept = new KeptRows();
      link.cutAt(index, cut);
      expect(await live(kept, 'k', preCommitWant(7, ticket.epoch))).toBe(false);
      // It may have landed before anybody asks again: the push of the same bytes must still be no error.
      if (index % 2 === 0) await b.control({ advance: 1 });
      expect(await live(kept, 'k', preCommitWant(7, ticket.epoch))).toBe(true);
      await b.control({ advance: 1 });
      expect(await b.messages()).toMatchObject([{ method: 28, nonce: 0, state: 'landed', exitCode: 0, cid: kept.rows.get('k')?.cid }]);
    },
  );

  test('the process dies around keeping the signed bytes', async () => {
    const ticket = await b.chain.ticket(MINER);
    const kept = new KeptRows();
    kept.crash = cut;
    expect(await live(kept, 'k', preCommitWant(7, ticket.epoch))).toBe(false);
    expect(await b.messages()).toEqual([]);
    expect(await live(kept, 'k', preCommitWant(7, ticket.epoch))).toBe(true);
    await b.control({ advance: 1 });
    expect(await b.messages()).toMatchObject([{ nonce: 0, state: 'landed', exitCode: 0 }]);
  });

  test.each(Array.from({ length: 11 }, (_, i) => i))('at call %i of a prove-commit', async (index) => {
    const { proof } = await preCommitted(b, 7);
    const kept = new KeptRows();
    link.cutAt(index, cut);
    expect(await live(kept, 'k', proveWant(7, proof))).toBe(false);
    expect(await live(kept, 'k', proveWant(7, proof))).toBe(true);
    // The last of the eleven is the push: no call is left out.
    if (index === 10) expect(link.calls[10]).toBe('MpoolPush');
    await b.control({ advance: 1 });
    const proving = (await b.messages()).filter((line) => line['method'] === 34);
    expect(proving).toMatchObject([{ nonce: 1, state: 'landed', exitCode: 0 }]);
  });
});

test('many at once from one address: one nonce each, no gap', async () => {
  const ticket = await b.chain.ticket(MINER);
  const kept = new KeptRows();
  const sender = new MessageSender(new LotusChain({ url: link.url, token: b.token }), kept);
  const numbers = Array.from({ length: 12 }, (_, i) => i);
  const messages = await Promise.all(numbers.map((number) => sender.prepare(`k${number}`, preCommitWant(number, ticket.epoch))));
  // Pushed in any order, they all land.
  await Promise.all(messages.toReversed().map((message) => sender.push(message as SignedMessage)));
  await b.control({ advance: 1 });
  const lines = await b.messages();
  expect(lines.map((line) => line['nonce']).toSorted((x, y) => Number(x) - Number(y))).toEqual(numbers);
  expect(lines.every((line) => line['state'] === 'landed' && line['exitCode'] === 0)).toBe(true);
});

test('asked twice at once for one key: one message', async () => {
  const ticket = await b.chain.ticket(MINER);
  const sender = new MessageSender(new LotusChain({ url: link.url, token: b.token }), new KeptRows());
  const [one, two] = await Promise.all([
    sender.prepare('k', preCommitWant(7, ticket.epoch)),
    sender.prepare('k', preCommitWant(7, ticket.epoch)),
  ]);
  expect(one).toEqual(two);
});

test('a node that lost its mempool gets the same bytes, and no nonce is given twice', async () => {
  const ticket = await b.chain.ticket(MINER);
  const kept = new KeptRows();
  const sender = new MessageSender(new LotusChain({ url: link.url, token: b.token }), kept);
  const first = (await sender.prepare('a', preCommitWant(1, ticket.epoch))) as SignedMessage;
  // Never pushed: the node knows nothing of nonce 0.
  const second = (await sender.prepare('b', preCommitWant(2, ticket.epoch))) as SignedMessage;
  expect([first.nonce, second.nonce]).toEqual([0, 1]);
  await sender.push(second);
  await b.control({ advance: 2 });
  expect(await b.chain.message(second.cid, { number: 2 })).toEqual({ state: 'pending' });
  expect(await b.chain.message(first.cid, { number: 1 })).toEqual({ state: 'unknown' });
  await sender.push(first);
  await b.control({ advance: 1 });
  expect(await b.chain.message(second.cid, { number: 2 })).toMatchObject({ state: 'landed', exitCode: 0 });
});

test('a key that is no longer wanted is signed but neither kept nor pushed', async () => {
  const ticket = await b.chain.ticket(MINER);
  const kept = new KeptRows();
  kept.withdrawn.add('k');
  expect(await live(kept, 'k', preCommitWant(7, ticket.epoch))).toBe(true);
  expect(await b.messages()).toEqual([]);
});

test('a nonce that another message took: the push says that this one is dead', async () => {
  const ticket = await b.chain.ticket(MINER);
  const message = await b.chain.sign(preCommitWant(7, ticket.epoch), 0);
  const from = message.sender;
  await raw(b, 'MpoolPushMessage', [
    { Version: 0, To: from, From: from, Nonce: 0, Value: '1', GasLimit: 0, GasFeeCap: '0', GasPremium: '0', Method: 0, Params: null },
    null,
  ]);
  await b.control({ advance: 1 });
  await expect(b.chain.push(message)).rejects.toMatchObject({ category: 'permanent', code: 'nonce_taken' });
  expect(await b.messages()).toHaveLength(1);
});
