/** What the adapter tells of sectors, old messages and the mempool, against the dev chain. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { commitmentCid } from '../../src/chain/cids.ts';
import { encodePreCommitSectorBatch2 } from '../../src/chain/params.ts';
import {
  activated,
  type Bench,
  bench,
  COMM_R,
  MINER,
  nextAt,
  PIECE_HEX,
  posted,
  preCommitWant,
  pushUnchecked,
  send,
  UPDATE_COMM_R,
  updateWant,
  windowOf,
} from '../devnet/harness.ts';

let b: Bench;
beforeEach(async () => {
  b = await bench();
});
afterEach(() => b.end());

describe('the sector', () => {
  test('is not there before it is activated; then live, proven, upgraded', async () => {
    expect(await b.chain.sector(MINER, 7)).toBeUndefined();
    await activated(b, 7);
    const sealed = await b.chain.sector(MINER, 7);
    expect(sealed).toMatchObject({ sealProof: 5, commR: commitmentCid('sealed', COMM_R).toString(), keyCommR: null, proven: false });
    await nextAt(b, (await windowOf(b, sealed?.deadline as number)).close + 1);
    expect(await b.chain.sector(MINER, 7)).toEqual({ ...sealed, proven: true });
    await send(b, updateWant(7));
    await b.control({ advance: 2 });
    expect(await b.chain.sector(MINER, 7)).toEqual({
      ...sealed,
      proven: true,
      commR: commitmentCid('sealed', UPDATE_COMM_R).toString(),
      keyCommR: commitmentCid('sealed', COMM_R).toString(),
    });
  });
});

describe('what a rebuild reads', () => {
  test('the ticket of an epoch long past is the one that was drawn then', async () => {
    const ticket = await b.chain.ticket(MINER);
    await b.control({ advance: 10_000 });
    expect(await b.chain.ticketAt(MINER, ticket.epoch)).toEqual(ticket);
    expect((await b.chain.ticketAt(MINER, ticket.epoch + 1)).value).not.toBe(ticket.value);
    await expect(b.chain.ticketAt(MINER, 1_000_000)).rejects.toMatchObject({ category: 'temporary' });
  });

  test('a pre-commit message by its CID: the entry of this sector among others', async () => {
    const { epoch } = await b.chain.head();
    const sectors = [7, 8].map((sectorNumber) => ({
      sealProof: 5,
      sectorNumber,
      commR: commitmentCid('sealed', COMM_R),
      sealRandEpoch: epoch - 900 - sectorNumber,
      expiration: epoch + 1_555_200,
      commD: sectorNumber === 7 ? null : commitmentCid('unsealed', PIECE_HEX),
    }));
    const { cid } = await pushUnchecked(b, { method: 28, params: encodePreCommitSectorBatch2(sectors), value: 10n ** 18n });
    const commR = commitmentCid('sealed', COMM_R).toString();
    expect(await b.chain.preCommitMessage(cid, 7)).toEqual({ ticketEpoch: epoch - 907, sealProof: 5, commR, commD: null });
    expect(await b.chain.preCommitMessage(cid, 8)).toEqual({
      ticketEpoch: epoch - 908,
      sealProof: 5,
      commR,
      commD: commitmentCid('unsealed', PIECE_HEX).toString(),
    });
    expect(await b.chain.preCommitMessage(cid, 9)).toBeUndefined();
    const commD = commitmentCid('unsealed', PIECE_HEX).toString();
    expect(await b.chain.preCommit(MINER, 8)).toEqual({ commR, commD, epoch: epoch + 1, ticketEpoch: epoch - 908, sealProof: 5 });
    expect(await b.chain.preCommit(MINER, 7)).toMatchObject({ commD: null });
  });

  test('a CID that nobody knows, or of another method: none', async () => {
    const unknown = 'bafy2bzaceahj554s3skb56o3zisgzlo5ab53qxwibl5lh5y4rj2d5ofdjl6i6';
    expect(await b.chain.preCommitMessage(unknown, 7)).toBeUndefined();
    const other = await pushUnchecked(b, { method: 0, params: new Uint8Array(), value: 1n });
    expect(await b.chain.preCommitMessage(other.cid, 7)).toBeUndefined();
  });
});

test('pending messages are the sender’s own', async () => {
  const sender = await b.chain.sender(MINER);
  expect(await b.chain.pendingMessages(sender)).toEqual([]);
  const { epoch } = await b.chain.ticket(MINER);
  const sent = [await send(b, preCommitWant(1, epoch)), await send(b, preCommitWant(2, epoch))];
  expect(await b.chain.pendingMessages(sender)).toEqual([
    { cid: sent[0], nonce: 0, sectors: [1] },
    { cid: sent[1], nonce: 1, sectors: [2] },
  ]);
  expect(await b.chain.pendingMessages(`f${sender.slice(1)}`)).toHaveLength(2);
  expect(await b.chain.pendingMessages('t1abjxfbp274xpdqcpuaykwkfb43omjotacm2p3za')).toEqual([]);
  await b.control({ advance: 2 });
  expect(await b.chain.pendingMessages(sender)).toEqual([]);
});

describe('signing an update', () => {
  const signing = () => b.chain.sign(updateWant(7), 0);

  test('without the sector: permanent', async () => {
    await expect(signing()).rejects.toMatchObject({ category: 'permanent', code: 'no_sector' });
  });

  test('too early: wait until the window of its first Window PoSt is over, then it goes', async () => {
    await activated(b, 7);
    const { close, epoch } = await windowOf(b, (await b.chain.sector(MINER, 7))?.deadline as number);
    await expect(signing()).rejects.toMatchObject({ category: 'temporary', code: 'sector_unproven', waitEpochs: close - epoch });
    await b.control({ advance: close - epoch });
    await expect(signing()).resolves.toMatchObject({ pushed: false });
  });

  test('at every epoch of a period: it waits for as long as it says, or it lands', { timeout: 60_000 }, async () => {
    await posted(b, 7);
    const { open, close, epoch, length } = await windowOf(b, (await b.chain.sector(MINER, 7))?.deadline as number);
    // At the head before the close the message would execute after it, but nodes estimate in the head's own epoch.
    for (let head = epoch; head < close; head++) {
      const outcome = await signing().then(
        () => 'signed',
        (error: { code: string; waitEpochs: number }) => `${error.code} ${head + error.waitEpochs}`,
      );
      // It lands in the next epoch at the earliest, and is given as many epochs as a window has.
      expect(outcome).toBe(head + length < open - length ? 'signed' : `deadline_immutable ${close}`);
      await b.control({ advance: 1 });
    }
    await expect(signing()).resolves.toMatchObject({ pushed: false });
  });

  test('a faulty sector waits for its next window', async () => {
    await posted(b, 7);
    await b.control({ missWindowPost: { miner: MINER, misses: true }, advance: 96 });
    await expect(signing()).rejects.toMatchObject({ category: 'temporary', code: 'sector_faulty', waitEpochs: expect.any(Number) });
  });

  test('upgraded before, or another size: permanent', async () => {
    await posted(b, 7);
    await expect(b.chain.sign({ ...updateWant(7), updateProof: 3 }, 0)).rejects.toMatchObject({
      category: 'permanent',
      code: 'other_update_proof',
    });
    await send(b, updateWant(7));
    await b.control({ advance: 2 });
    await expect(signing()).rejects.toMatchObject({
      category: 'permanent',
      code: 'sector_upgraded',
      message: expect.stringMatching(/this very update/),
    });
    await expect(b.chain.sign({ ...updateWant(7), commR: COMM_R }, 0)).rejects.toMatchObject({
      code: 'sector_upgraded',
      message: expect.stringMatching(/another update/),
    });
  });

  test('the value is what the pledge rose by, as the node estimates it, and never below zero', async () => {
    await posted(b, 7);
    const value = async (): Promise<string> => JSON.parse((await signing()).signed).Message.Value;
    // The estimate is 10 % above what is taken.
    expect(await value()).toBe((3n * 10n ** 15n).toString());
    await b.control({ pledgePercent: 200 });
    expect(await value()).toBe((36n * 10n ** 15n).toString());
    await b.control({ pledgePercent: 50 });
    expect(await value()).toBe('0');
  });

  test('a wrong proof is refused before it is signed, and that is no matter of waiting', async () => {
    await posted(b, 7);
    const wrong = updateWant(7, { commROld: UPDATE_COMM_R });
    const refusal = await b.chain.sign(wrong, 0).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ category: 'permanent', code: 'actor_exit', exitCode: 16, waitEpochs: undefined });
  });
});
