/** In a restored database: a message that only the lost database had comes up after its job was compared with the chain. */
import { expect, test } from 'vitest';
import { performer } from '../../src/effects/performer.ts';
import { EVER_RESTORED, type MessageWant } from '../../src/scheduler/effects.ts';
import { effect, effectId, MINER } from '../store/rows.ts';
import { chainSector, FakeChain } from './fake-chain.ts';
import { COMM_R, messageEffect, type Outbox, openOutbox } from './outbox.ts';

const SENDER = `t3-worker-of-${MINER}`;
const LOST = { cid: 'bafy-lost', nonce: 4, sender: SENDER };
const objects = { delete: () => Promise.resolve(), abortUpload: () => Promise.resolve(), head: () => Promise.resolve(undefined) };

async function openRestored(): Promise<{
  outbox: Outbox;
  fake: FakeChain;
  send: (n: number) => Promise<unknown>;
  compare: () => Promise<unknown>;
}> {
  const [outbox, fake] = [openOutbox(), new FakeChain()];
  await outbox.store.commit((tx) => tx.setMeta(EVER_RESTORED, 'yes'));
  const perform = performer({ ...outbox, chain: fake.port(), objects });
  const compare = () => perform(effect(90, { step: 'Reconcile', want: { kind: 'reconcile', miner: MINER, number: 7 } }));
  return { outbox, fake, send: async (n) => perform(await outbox.row(effectId(n))), compare };
}

test('nothing is signed for a sector of which the mempool has an unknown message; those of other sectors go out', async () => {
  const { outbox, fake, send } = await openRestored();
  await outbox.add(messageEffect(7), messageEffect(8));
  fake.mempool.set(LOST.cid, { ...LOST, sectors: [3, 7] });
  expect(await send(7)).toEqual({ outcome: 'compareAgain', sender: SENDER, reason: expect.stringContaining('bafy-lost (nonce 4)') });
  expect(await send(8)).toEqual({ outcome: 'pushed' });
  expect(fake.signed.map(({ want }) => want.number)).toEqual([8]);
});

test('one of ours, of any sector, or a message about none holds nothing back; nor does any in a database that never was restored', async () => {
  const { outbox, fake, send } = await openRestored();
  const signed = { sender: SENDER, nonce: 4, cid: LOST.cid, signed: '{}', pushed: true };
  await outbox.add({ ...messageEffect(1), status: 'done', signed }, messageEffect(7));
  fake.mempool.set(LOST.cid, { ...LOST, sectors: [7] });
  fake.mempool.set('bafy-window-post', { ...LOST, cid: 'bafy-window-post', nonce: 5 });
  expect(await send(7)).toEqual({ outcome: 'pushed' });

  const never = openOutbox();
  await never.add(messageEffect(7));
  const busy = new FakeChain();
  busy.mempool.set(LOST.cid, { ...LOST, sectors: [7] });
  expect(await performer({ ...never, chain: busy.port(), objects })(await never.row(effectId(7)))).toEqual({ outcome: 'pushed' });
});

test('what the chain shows as done already is not signed', async () => {
  const { outbox, fake, send } = await openRestored();
  const proof = { miner: MINER, pieces: [], proofBase64: '' };
  const wants: MessageWant[] = [
    { method: 'ProveCommitSectors3', number: 8, ...proof },
    { method: 'ProveReplicaUpdates3', number: 9, updateProof: 3, commR: COMM_R, ...proof },
    { method: 'ProveReplicaUpdates3', number: 10, updateProof: 3, commR: COMM_R, ...proof },
  ];
  await outbox.add(messageEffect(7), ...wants.map((message) => effect(message.number, { want: { kind: 'message', message } })));
  const sector = (number: number) => ({ ...chainSector(COMM_R, 1), keyCommR: number === 9 ? 'bagboea4b5cc' : null });
  fake.preCommits.set(7, COMM_R);
  const perform = performer({
    ...outbox,
    chain: { ...fake.port(), sector: (_miner, number) => Promise.resolve(sector(number)) },
    objects,
  });
  expect(await send(7)).toMatchObject({ outcome: 'compareAgain', reason: expect.stringContaining('PreCommitSectorBatch2') });
  for (const number of [8, 9]) expect(await perform(await outbox.row(effectId(number)))).toMatchObject({ outcome: 'compareAgain' });
  // Not upgraded yet.
  expect(await perform(await outbox.row(effectId(10)))).toEqual({ outcome: 'pushed' });
});

test('a comparison that comes after it waits for it anew, though the sender had been found settled', async () => {
  const { outbox, fake, send, compare } = await openRestored();
  await outbox.add(messageEffect(7));
  await compare();
  fake.epoch += 5;
  expect(await compare()).toMatchObject({ outcome: 'reconciled' });
  fake.mempool.set(LOST.cid, { ...LOST, sectors: [7] });
  expect(await send(7)).toMatchObject({ outcome: 'compareAgain' });
  expect(await compare()).toMatchObject({ outcome: 'wait', reason: expect.stringContaining('bafy-lost') });
  fake.mempool.clear();
  fake.epoch += 1;
  expect(await compare()).toMatchObject({ outcome: 'wait' });
  fake.epoch += 5;
  expect(await compare()).toMatchObject({ outcome: 'reconciled' });
});
