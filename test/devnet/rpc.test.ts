/** The JSON-RPC surface: tokens, strictness, randomness, mempool. */
import { stat } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { randomnessEntropy, randomnessFromDigest } from '../../src/chain/derivations.ts';
import { LotusSignedMessage } from '../../src/chain/message.ts';
import { type Bench, bench, MINER, preCommitWant, pushUnchecked, raw, send } from './harness.ts';

let b: Bench;
beforeEach(async () => {
  b = await bench();
});
afterEach(() => b.end());

async function post(body: unknown, token = b.token): Promise<{ status: number; answer: any }> {
  const response = await fetch(`${b.devnet.url}/rpc/v1`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return { status: response.status, answer: await response.json() };
}

const call = (method: string, params: unknown[]) => post({ jsonrpc: '2.0', id: 1, method: `Filecoin.${method}`, params });

describe('access and shapes', () => {
  test('the token file is private; without the token RPC and control refuse', async () => {
    expect((await stat(b.devnet.tokenFile)).mode & 0o777).toBe(0o600);
    expect((await post({}, 'wrong')).status).toBe(401);
    const control = await fetch(`${b.devnet.url}/control`, { method: 'POST', body: '{"advance":1}' });
    expect(control.status).toBe(401);
    expect((await fetch(`${b.devnet.url}/messages`)).status).toBe(200);
  });

  test('an unknown method, wrong parameters, no JSON: the codes of JSON-RPC', async () => {
    expect((await call('StateNoSuchThing', [])).answer.error.code).toBe(-32601);
    expect((await call('ChainHead', [1])).answer.error.code).toBe(-32602);
    expect((await call('StateMinerInfo', [MINER])).answer.error.code).toBe(-32602);
    expect((await call('StateMinerInfo', ['t1notanid', []])).answer.error.code).toBe(-32602);
    expect((await call('StateMinerInfo', [MINER, [{ '/': 'bafy' }]])).answer.error.code).toBe(-32602);
    expect((await call('StateMinerInfo', ['t0999', []])).answer.error).toMatchObject({
      code: 1,
      message: expect.stringMatching(/actor not found/),
    });
    expect((await post('{')).answer.error.code).toBe(-32700);
    expect((await post({ id: 1 })).answer.error.code).toBe(-32600);
  });

  test('a batch is answered one by one', async () => {
    const { answer } = await post([
      { jsonrpc: '2.0', id: 1, method: 'Filecoin.StateNetworkVersion', params: [[]] },
      { jsonrpc: '2.0', id: 2, method: 'Filecoin.Nothing', params: [] },
    ]);
    expect(answer).toMatchObject([
      { id: 1, result: 29 },
      { id: 2, error: { code: -32601 } },
    ]);
  });

  test('control refuses what it does not know', async () => {
    await expect(b.control({ advnce: 1 })).rejects.toThrow(/advnce/);
    await expect(b.control({ advance: 0 })).rejects.toThrow();
  });
});

describe('randomness', () => {
  const entropy = Buffer.from(randomnessEntropy(MINER)).toString('base64');

  test('is what the digest leads to, and differs by source, tag and epoch', async () => {
    const digest = Buffer.from((await raw(b, 'StateGetRandomnessDigestFromTickets', [4_000, []])) as string, 'base64').toString('hex');
    const drawn = (await raw(b, 'StateGetRandomnessFromTickets', [5, 4_000, entropy, []])) as string;
    expect(Buffer.from(drawn, 'base64').toString('hex')).toBe(randomnessFromDigest(5, digest, 4_000, randomnessEntropy(MINER)));
    const others = [
      await raw(b, 'StateGetRandomnessFromTickets', [6, 4_000, entropy, []]),
      await raw(b, 'StateGetRandomnessFromTickets', [5, 4_001, entropy, []]),
      await raw(b, 'StateGetRandomnessFromBeacon', [5, 4_000, entropy, []]),
    ];
    expect(new Set([drawn, ...others]).size).toBe(4);
  });

  test('of the future is refused', async () => {
    const { epoch } = await b.chain.head();
    expect((await call('StateGetRandomnessFromBeacon', [6, epoch + 1, entropy, []])).answer.error.code).toBe(1);
  });

  test('can be fixed and let go again; fixed, it has no digest', async () => {
    const free = await b.chain.ticket(MINER);
    await b.control({ fixRandomness: { ticket: 'ab'.repeat(32) } });
    expect((await b.chain.ticket(MINER)).value).toBe('ab'.repeat(32));
    expect((await call('StateGetRandomnessDigestFromTickets', [4_000, []])).answer.error.code).toBe(1);
    await b.control({ fixRandomness: null });
    expect(await b.chain.ticket(MINER)).toEqual(free);
  });
});

describe('mempool', () => {
  async function signed(change: Record<string, unknown>): Promise<LotusSignedMessage> {
    const from = await b.chain.sender(MINER);
    const message = {
      Version: 0,
      To: from,
      From: from,
      Nonce: 0,
      Value: '1',
      GasLimit: 10_000_000,
      GasFeeCap: '10000',
      GasPremium: '1000',
      Method: 0,
      Params: '',
      ...change,
    };
    return LotusSignedMessage.parse(await raw(b, 'WalletSignMessage', [from, message]));
  }
  const push = (message: unknown) => call('MpoolPush', [message]);

  test('a message behind a gap waits until the gap is filled', async () => {
    await push(await signed({ Nonce: 1 }));
    await b.control({ advance: 2 });
    expect((await b.messages()).map((line) => line['state'])).toEqual(['pending']);
    expect(await raw(b, 'MpoolGetNonce', [await b.chain.sender(MINER)])).toBe(0);
    await push(await signed({ Nonce: 0 }));
    expect(await raw(b, 'MpoolGetNonce', [await b.chain.sender(MINER)])).toBe(2);
    await b.control({ advance: 2 });
    expect((await b.messages()).map((line) => line['state'])).toEqual(['landed', 'landed']);
  });

  test('the same nonce again: refused, unless it pays a quarter more', async () => {
    const first = await signed({});
    await push(first);
    expect((await push(first)).answer.error.message).toMatch(/already exists/);
    expect((await push(await signed({ GasPremium: '1250' }))).answer.error.message).toMatch(/too low GasPremium/);
    expect((await push(await signed({ GasPremium: '1251' }))).answer.result).toBeDefined();
    await b.control({ advance: 2 });
    expect((await b.messages()).map((line) => line['state'])).toEqual(['replaced', 'landed']);
    const firstCid = (await b.messages())[0]?.['cid'] as string;
    // Same call, other gas: a search for the first finds the second.
    expect(await b.chain.message(firstCid, { number: 0 })).toMatchObject({ state: 'landed', exitCode: 0 });
    expect((await push(first)).answer.error.message).toMatch(/nonce too low/);
  });

  test('another signer, another message under the signature, too much value: refused', async () => {
    const good = await signed({});
    const stranger = (await raw(b, 'WalletNew', ['secp256k1'])) as string;
    const message = { ...good.Message, Value: '2' };
    expect((await push({ ...good, Message: message })).answer.error.message).toMatch(/signature/);
    const byStranger = LotusSignedMessage.parse(await raw(b, 'WalletSignMessage', [stranger, good.Message]));
    expect((await push(byStranger)).answer.error.message).toMatch(/signature/);
    expect((await push(await signed({ Value: (10n ** 25n).toString() }))).answer.error.message).toMatch(/not enough funds/);
    expect(await b.messages()).toEqual([]);
  });

  test('a message above 65,536 bytes is refused', async () => {
    const huge = await signed({ Params: Buffer.alloc(65_536).toString('base64'), GasLimit: 1_000_000_000 });
    expect((await push(huge)).answer.error.message).toMatch(/too big/);
  });

  test('MpoolPushMessage takes the nonce itself; StateWaitMsg waits for confidence', async () => {
    const ticket = await b.chain.ticket(MINER);
    await send(b, preCommitWant(1, ticket.epoch));
    const from = await b.chain.sender(MINER);
    const message = {
      Version: 0,
      To: from,
      From: from,
      Nonce: 0,
      Value: '1',
      GasLimit: 0,
      GasFeeCap: '0',
      GasPremium: '0',
      Method: 0,
      Params: null,
    };
    const pushed = (await raw(b, 'MpoolPushMessage', [message, null])) as { CID: { '/': string }; Message: { Nonce: number } };
    expect(pushed.Message.Nonce).toBe(1);
    const waited = raw(b, 'StateWaitMsg', [pushed.CID, 3, -1, true]) as Promise<{ Height: number; Receipt: { ExitCode: number } }>;
    const { epoch } = await b.control({ advance: 2 });
    await b.control({ advance: 3 });
    expect(await waited).toMatchObject({ Height: epoch, Receipt: { ExitCode: 0 } });
  });

  test('the estimate tells what the actor would refuse, and nothing of it stays', async () => {
    const { epoch } = await b.chain.head();
    await expect(b.chain.sign(preCommitWant(7, epoch - 3_781), 0)).rejects.toMatchObject({
      category: 'permanent',
      code: 'ticket_expired',
      exitCode: 16,
    });
    await b.control({ setBalance: { address: await b.chain.sender(MINER), attoFil: '1' } });
    await expect(b.chain.sign(preCommitWant(7, epoch - 900), 0)).rejects.toMatchObject({
      category: 'temporary',
      code: 'insufficient_funds',
      exitCode: 6,
    });
    expect(await b.chain.allocated(MINER, [7])).toEqual([]);
  });
});

test('allocated numbers come as run lengths', async () => {
  const ticket = await b.chain.ticket(MINER);
  for (const number of [0, 1, 5, 9]) {
    await send(b, preCommitWant(number, ticket.epoch));
    await b.control({ advance: 2 });
  }
  expect(await raw(b, 'StateMinerAllocated', [MINER, []])).toEqual([0, 2, 3, 1, 3, 1]);
  expect(await b.chain.allocated(MINER, [0, 1, 2, 4, 5, 6, 9, 10, 1_000])).toEqual([0, 1, 5, 9]);
});

test('tipsets by epoch and key: their messages, and what an account had before them', async () => {
  const ticket = await b.chain.ticket(MINER);
  const sender = await b.chain.sender(MINER);
  const cid = await send(b, preCommitWant(1, ticket.epoch));
  const { epoch } = await b.control({ advance: 1 });
  await b.control({ advance: 2 });
  const keyOf = async (of: number) => ((await raw(b, 'ChainGetTipSetByHeight', [of, []])) as { Cids: unknown[] }).Cids;
  expect(await raw(b, 'ChainGetMessagesInTipset', [await keyOf(epoch)])).toMatchObject([{ Cid: { '/': cid }, Message: { Nonce: 0 } }]);
  expect(await raw(b, 'ChainGetMessagesInTipset', [[]])).toEqual([]);
  const nonces = await Promise.all(
    [epoch - 1, epoch, epoch + 1, epoch + 2].map(async (of) => {
      const { Nonce } = (await raw(b, 'StateGetActor', [sender, await keyOf(of)])) as { Nonce: number };
      return Nonce;
    }),
  );
  expect(nonces).toEqual([0, 0, 1, 1]);
  expect(await raw(b, 'StateGetActor', [sender, []])).toMatchObject({
    Nonce: 1,
    Balance: await raw(b, 'WalletBalance', [sender]),
  });
  await expect(raw(b, 'StateGetActor', [sender, await keyOf(epoch - 100)])).rejects.toThrow(/actor not found/);
  await expect(raw(b, 'StateGetActor', [sender, [{ '/': cid }]])).rejects.toThrow(/loading tipset/);
  await expect(keyOf(epoch + 3)).rejects.toThrow(/greater than start point/);
});

test('every accepted message keeps its line, failed ones too', async () => {
  await pushUnchecked(b, { method: 28, params: new Uint8Array([1]), value: 0n });
  await pushUnchecked(b, { method: 0, params: new Uint8Array(), value: 5n });
  expect(await b.messages()).toMatchObject([
    { nonce: 0, method: 28, params: 'AQ==', state: 'landed', exitCode: 21 },
    { nonce: 1, method: 0, params: '', state: 'landed', exitCode: 0 },
  ]);
});
