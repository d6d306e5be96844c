/** What a message in the mempool waits behind: the lowest of its sender that is there too, or one that the node has lost and refuses. */
import { beforeEach, expect, test } from 'vitest';
import { type Messages, openMessages } from '../../src/effects/messages.ts';
import type { EffectRow } from '../../src/scheduler/effects.ts';
import { effectId, MINER } from '../store/rows.ts';
import { FakeChain } from './fake-chain.ts';
import { messageEffect, type Outbox, openOutbox } from './outbox.ts';

const SENDER = `t3-worker-of-${MINER}`;
let outbox: Outbox;
let fake: FakeChain;
let messages: Messages;
let refused: string | undefined;

/** Nonces 0 to 4 are pushed and wait in the mempool. */
beforeEach(async () => {
  outbox = openOutbox();
  fake = new FakeChain();
  refused = undefined;
  const push = (message: Parameters<FakeChain['push']>[0]): Promise<void> =>
    message.cid === refused ? Promise.reject(new Error('too little money')) : fake.push(message);
  messages = openMessages({ door: outbox.door, engine: outbox.engine, chain: { ...fake.port(), push } });
  for (let n = 1; n <= 5; n += 1) {
    const row: EffectRow = messageEffect(n);
    await outbox.add(row);
    if (row.want.kind !== 'message') throw new Error('no message');
    await messages.send(row, row.want.message);
    const { signed } = await outbox.row(row.id);
    if (signed === null) throw new Error('not signed');
    await outbox.store.commit((tx) => tx.updateEffect({ ...row, status: 'done', signed: { ...signed, pushed: true } }));
    fake.mempool.set(signed.cid, { cid: signed.cid, nonce: signed.nonce, sender: SENDER });
  }
});

const jobOf = async (n: number) => (await outbox.row(effectId(n))).job;

test('the lowest that is in the mempool, and whose it is; the lowest itself waits behind none', async () => {
  expect(await messages.closeGapBelow(SENDER, 4)).toEqual({ sender: SENDER, nonce: 0, job: await jobOf(1), why: null });
  expect(await messages.closeGapBelow(SENDER, 0)).toBeUndefined();
});

test('of all that wait one looks, and all are told', async () => {
  let looks = 0;
  const { pendingMessages, ...rest } = fake.port();
  const counted = (sender: string) => {
    looks += 1;
    return pendingMessages(sender);
  };
  messages = openMessages({ door: outbox.door, engine: outbox.engine, chain: { ...rest, pendingMessages: counted } });
  const told = await Promise.all([1, 2, 3, 0].map((nonce) => messages.closeGapBelow(SENDER, nonce, 60_000)));
  expect(told.map((behind) => behind?.nonce)).toEqual([0, 0, 0, undefined]);
  expect(looks).toBe(1);
});

test('one that the node has lost: pushed, it is the lowest; refused, with what the node says', async () => {
  const cid = 'bafy-0';
  fake.mempool.delete(cid);
  fake.held.delete(cid);
  refused = cid;
  expect(await messages.closeGapBelow(SENDER, 4)).toMatchObject({ nonce: 0, job: await jobOf(1), why: 'too little money' });
  refused = undefined;
  expect(await messages.closeGapBelow(SENDER, 4)).toMatchObject({ nonce: 0, why: null });
});

test('one that was replaced by hand is still whose it was; one of other software is nobody’s', async () => {
  fake.mempool.delete('bafy-0');
  fake.mempool.set('bafy-other', { cid: 'bafy-other', nonce: 0, sender: SENDER });
  expect(await messages.closeGapBelow(SENDER, 4)).toMatchObject({ nonce: 0, job: await jobOf(1), why: null });
  fake.mempool.set('bafy-rival', { cid: 'bafy-rival', nonce: 2, sender: 't3-other' });
  expect(await messages.closeGapBelow('t3-other', 4)).toEqual({ sender: 't3-other', nonce: 2, job: null, why: null });
});
