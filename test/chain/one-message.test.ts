/**
 * Never a second message: sign, keep the bytes, push. The steps are cut at every call they make and begun
 * again by a process that knows only what was kept.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ChainError } from '../../src/chain/errors.ts';
import { LotusChain } from '../../src/chain/lotus-chain.ts';
import type { MessageWant, SignedMessage } from '../../src/scheduler/effects.ts';
import { type Bench, bench, MINER, posted, preCommitted, preCommitWant, proveWant, raw, updateWant } from '../devnet/harness.ts';
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

/** What survives a crash: the signed message of each key, as a database would keep it. */
class KeptRows {
  readonly rows = new Map<string, SignedMessage>();
  /** Crashes once, before or after the row is there. */
  crash: Cut | undefined;

  /** The nonce after the highest one kept. */
  floor(): number {
    return Math.max(-1, ...[...this.rows.values()].map((row) => row.nonce)) + 1;
  }

  keep(key: string, message: SignedMessage): void {
    const crash = this.crash;
    this.crash = undefined;
    if (crash === 'before') throw new Crash();
    if (this.rows.has(key)) throw new Error(`${key} was signed twice`);
    this.rows.set(key, message);
    if (crash === 'after') throw new Crash();
  }
}

/** One life of the process: everything but the rows is new. True when it came to its end. */
async function live(kept: KeptRows, key: string, want: MessageWant): Promise<boolean> {
  const chain = new LotusChain({ url: link.url, token: b.token, timeoutMs: 5_000 });
  try {
    let message = kept.rows.get(key);
    if (message === undefined) {
      message = await chain.sign(want, kept.floor());
      kept.keep(key, message);
    }
    await chain.push(message);
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
  'ChainHead',
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
      // It may be in a tipset or executed before anybody asks again: the push of the same bytes must still be no error.
      const epochs = index % 3;
      if (epochs > 0) await b.control({ advance: epochs });
      expect(await live(kept, 'k', preCommitWant(7, ticket.epoch))).toBe(true);
      await b.control({ advance: 2 });
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
    await b.control({ advance: 2 });
    expect(await b.messages()).toMatchObject([{ nonce: 0, state: 'landed', exitCode: 0 }]);
  });

  test.each(Array.from({ length: 12 }, (_, i) => i))('at call %i of a replica update', async (index) => {
    await posted(b, 7);
    const kept = new KeptRows();
    link.cutAt(index, cut);
    expect(await live(kept, 'k', updateWant(7))).toBe(false);
    // A push whose answer was lost has landed by the time it is pushed again.
    if (index === 11) await b.control({ advance: cut === 'after' ? 1 : 2 });
    expect(await live(kept, 'k', updateWant(7))).toBe(true);
    if (index === 11) expect(link.calls[11]).toBe('MpoolPush');
    await b.control({ advance: 2 });
    const updating = (await b.messages()).filter((line) => line['method'] === 35);
    expect(updating).toMatchObject([{ nonce: 2, state: 'landed', exitCode: 0 }]);
  });

  test.each(Array.from({ length: 10 }, (_, i) => i))('at call %i of a prove-commit', async (index) => {
    const { proof } = await preCommitted(b, 7);
    const kept = new KeptRows();
    link.cutAt(index, cut);
    expect(await live(kept, 'k', proveWant(7, proof))).toBe(false);
    expect(await live(kept, 'k', proveWant(7, proof))).toBe(true);
    // The last of the ten is the push: no call is left out.
    if (index === 9) expect(link.calls[9]).toBe('MpoolPush');
    await b.control({ advance: 2 });
    const proving = (await b.messages()).filter((line) => line['method'] === 34);
    expect(proving).toMatchObject([{ nonce: 1, state: 'landed', exitCode: 0 }]);
  });
});

test('pushed in any order, all land: nonces have no gap', async () => {
  const ticket = await b.chain.ticket(MINER);
  const messages: SignedMessage[] = [];
  for (let number = 0; number < 8; number++) messages.push(await b.chain.sign(preCommitWant(number, ticket.epoch), messages.length));
  expect(messages.map((message) => message.nonce)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  await Promise.all(messages.toReversed().map((message) => b.chain.push(message)));
  await b.control({ advance: 2 });
  expect((await b.messages()).every((line) => line['state'] === 'landed' && line['exitCode'] === 0)).toBe(true);
});

test('a node that lost its mempool gets the same bytes, and no nonce is given twice', async () => {
  const ticket = await b.chain.ticket(MINER);
  const first = await b.chain.sign(preCommitWant(1, ticket.epoch), 0);
  // Never pushed: the node knows nothing of nonce 0.
  const second = await b.chain.sign(preCommitWant(2, ticket.epoch), first.nonce + 1);
  expect([first.nonce, second.nonce]).toEqual([0, 1]);
  await b.chain.push(second);
  await b.control({ advance: 2 });
  expect(await b.chain.message(second.cid, { number: 2 })).toEqual({ state: 'pending' });
  expect(await b.chain.message(first.cid, { number: 1 })).toEqual({ state: 'unknown' });
  await b.chain.push(first);
  await b.control({ advance: 2 });
  expect(await b.chain.message(second.cid, { number: 2 })).toMatchObject({ state: 'landed', exitCode: 0 });
});

test('a nonce that another message took: the push says that this one is dead', async () => {
  const ticket = await b.chain.ticket(MINER);
  const message = await b.chain.sign(preCommitWant(7, ticket.epoch), 0);
  const from = message.sender;
  await raw(b, 'MpoolPushMessage', [
    { Version: 0, To: from, From: from, Nonce: 0, Value: '1', GasLimit: 0, GasFeeCap: '0', GasPremium: '0', Method: 0, Params: null },
    null,
  ]);
  // While it is in the mempool or the head's tipset, nothing is proven.
  await expect(b.chain.push(message)).rejects.toMatchObject({ category: 'temporary' });
  await b.control({ advance: 1 });
  await expect(b.chain.push(message)).rejects.toMatchObject({ category: 'temporary' });
  for (let epochs = 0; epochs < 5; epochs++) {
    await b.control({ advance: 1 });
    await expect(b.chain.push(message)).rejects.toMatchObject({ category: 'temporary', code: 'nonce_used', waitEpochs: 5 });
  }
  await b.control({ advance: 1 });
  await expect(b.chain.push(message)).rejects.toMatchObject({ category: 'permanent', code: 'nonce_taken' });
  expect(await b.messages()).toHaveLength(1);
});
