/** After a restore: what the lost database left in the mempool is waited for, and nothing is sent before. */
import { expect, test } from 'vitest';
import { performer } from '../../src/effects/performer.ts';
import type { EffectOutcome, SignedMessage } from '../../src/scheduler/effects.ts';
import { reconcilingKey } from '../../src/scheduler/effects.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Chain, ObjectStore } from '../../src/scheduler/ports.ts';
import { effect, effectId, job, MINER } from '../store/rows.ts';
import { chainSector, EPOCH_MS, FakeChain, TICKET_EPOCH, ticketValue } from './fake-chain.ts';
import { COMM_R, messageEffect, type Outbox, openOutbox } from './outbox.ts';

const SENDER = `t3-worker-of-${MINER}`;
const reconcileEffect = (n: number, number: number | null = 7) =>
  effect(n, { step: 'Reconcile', want: { kind: 'reconcile', miner: MINER, number } });

function performing(outbox: Outbox, fake: FakeChain, chain: Partial<Chain> = {}, head: ObjectStore['head'] = async () => undefined) {
  const objects = { delete: () => Promise.resolve(), abortUpload: () => Promise.resolve(), head };
  return performer({ door: outbox.door, engine: outbox.engine, chain: { ...fake.port(), ...chain }, objects });
}

/** Asks again, an epoch later each time, until it is no wait; answers the outcome and the epoch it came at. */
async function untilSettled(ask: () => Promise<EffectOutcome | undefined>, fake: FakeChain): Promise<{ outcome: unknown; epoch: number }> {
  for (let round = 0; round < 50; round += 1) {
    const outcome = await ask();
    if (outcome?.outcome !== 'wait') return { outcome, epoch: fake.epoch };
    fake.epoch += 1;
  }
  throw new Error('it waited for ever');
}

const pending = (fake: FakeChain, cid: string, nonce: number): void => void fake.mempool.set(cid, { cid, nonce, sender: SENDER });

test('the sector is read five epochs after the mempool was found empty: a message may have left it with the head block', async () => {
  const fake = new FakeChain();
  const perform = performing(openOutbox(), fake);
  expect(await perform(reconcileEffect(1))).toMatchObject({ outcome: 'wait', forMs: 5 * EPOCH_MS });
  fake.epoch += 4;
  // It landed in the very block that emptied the mempool; the state shows it only now.
  fake.preCommits.set(7, COMM_R);
  expect(await perform(reconcileEffect(1))).toMatchObject({ outcome: 'wait', forMs: EPOCH_MS });
  fake.epoch += 1;
  expect(await perform(reconcileEffect(1))).toEqual({
    outcome: 'reconciled',
    preCommit: { commR: COMM_R, commD: null, sealProof: 5, epoch: 105, ticket: { value: ticketValue(TICKET_EPOCH), epoch: TICKET_EPOCH } },
    sector: null,
    taken: true,
    messages: [],
    missing: [],
  });
});

test('a message nobody here signed is waited for, one of ours is not', async () => {
  const outbox = openOutbox();
  const fake = new FakeChain();
  const ours: SignedMessage = { sender: SENDER, nonce: 3, cid: 'bafy-ours', signed: '{}', pushed: true };
  await outbox.add({ ...messageEffect(2), signed: ours });
  pending(fake, 'bafy-ours', 3);
  // The same nonce as one of ours does not make it ours.
  pending(fake, 'bafy-lost', 3);
  const perform = performing(outbox, fake);
  const waits = await perform(reconcileEffect(1));
  expect(waits).toMatchObject({ outcome: 'wait', reason: expect.stringContaining('bafy-lost') });
  fake.epoch += 20;
  expect(await perform(reconcileEffect(1))).toMatchObject({ outcome: 'wait', reason: expect.stringContaining('bafy-lost') });
  fake.mempool.delete('bafy-lost');
  fake.sectors.set(7, COMM_R);
  fake.epoch += 1;
  const from = fake.epoch;
  const { outcome, epoch } = await untilSettled(() => perform(reconcileEffect(1)), fake);
  expect(epoch).toBe(from + 5);
  expect(outcome).toEqual({
    outcome: 'reconciled',
    preCommit: null,
    sector: chainSector(COMM_R, epoch),
    taken: false,
    messages: [],
    missing: [],
  });
});

test('a message of the lost database may wait for one of ours that the node has lost: those bytes go out again', async () => {
  const outbox = openOutbox();
  const fake = new FakeChain();
  const ours: SignedMessage = { sender: SENDER, nonce: 0, cid: 'bafy-ours', signed: '{}', pushed: true };
  await outbox.add({ ...messageEffect(2), status: 'done', signed: ours });
  pending(fake, 'bafy-lost', 1);
  const perform = performing(outbox, fake);
  expect(await perform(reconcileEffect(1))).toMatchObject({ outcome: 'wait', reason: expect.stringContaining('bafy-lost') });
  expect(fake.pushes.map(({ cid }) => cid)).toEqual(['bafy-ours']);
});

test('other software that goes on sending from the address holds nothing up', async () => {
  const fake = new FakeChain();
  pending(fake, 'bafy-lost', 8);
  const perform = performing(openOutbox(), fake);
  expect(await perform(reconcileEffect(1))).toMatchObject({ outcome: 'wait' });
  fake.mempool.delete('bafy-lost');
  const busy = await untilSettled(() => {
    pending(fake, `bafy-window-post-${fake.epoch}`, fake.epoch);
    return perform(reconcileEffect(1));
  }, fake);
  expect(busy.outcome).toMatchObject({ outcome: 'reconciled' });
});

test('the address that signed before a change of addresses is looked at as well', async () => {
  const outbox = openOutbox();
  const fake = new FakeChain();
  await outbox.add({
    ...messageEffect(2),
    signed: { sender: 't3-old-control', nonce: 0, cid: 'bafy-ours', signed: '{}', pushed: true },
  });
  fake.mempool.set('bafy-lost', { cid: 'bafy-lost', nonce: 1, sender: 't3-old-control' });
  const perform = performing(outbox, fake);
  const held = async (): Promise<EffectOutcome | undefined> => {
    const outcome = await perform(reconcileEffect(1));
    if (fake.epoch === 110) fake.mempool.clear();
    return outcome;
  };
  expect((await untilSettled(held, fake)).epoch).toBeGreaterThanOrEqual(115);
});

test('many sectors of one sender cost one look at the mempool per epoch; a node that was away is asked again', async () => {
  const fake = new FakeChain();
  let looks = 0;
  let away = true;
  const perform = performing(openOutbox(), fake, {
    pendingMessages: () => {
      looks += 1;
      return away ? Promise.reject(new Error('connect ECONNREFUSED')) : Promise.resolve([]);
    },
  });
  const all = (): Promise<(EffectOutcome | undefined)[]> =>
    Promise.all(Array.from({ length: 16 }, (_, at) => perform(reconcileEffect(at + 1, at))));
  expect((await all()).map((outcome) => outcome?.outcome)).toContain('error');
  away = false;
  looks = 0;
  expect((await all()).every((outcome) => outcome?.outcome === 'wait')).toBe(true);
  expect(looks).toBe(1);
  fake.epoch += 5;
  expect((await all()).every((outcome) => outcome?.outcome === 'reconciled')).toBe(true);
  expect(looks).toBe(2);
});

test("which of the job's artifacts are gone is told along", async () => {
  const outbox = openOutbox();
  const artifact = (key: string) => ({ key, sizeBytes: '1', hash: 'sha256:aa', madeIn: 'PC1Done', madeBy: 'r-1' as RunnerId });
  await outbox.store.commit((tx) => {
    const row = job(1);
    tx.insertJob({ ...row, data: { ...row.data, artifacts: { sealed: artifact('k/there'), p_aux: artifact('k/gone') } } });
  });
  const fake = new FakeChain();
  const head = async (key: string) => (key === 'k/there' ? { sizeBytes: 1 } : undefined);
  const perform = performing(outbox, fake, {}, head);
  const { outcome } = await untilSettled(() => perform(reconcileEffect(1)), fake);
  expect(outcome).toMatchObject({ outcome: 'reconciled', missing: ['p_aux'] });
});

test('without a number only the messages under way count', async () => {
  const fake = new FakeChain();
  const perform = performing(openOutbox(), fake);
  const { outcome } = await untilSettled(() => perform(reconcileEffect(1, null)), fake);
  expect(outcome).toEqual({ outcome: 'reconciled', preCommit: null, sector: null, taken: false, messages: [], missing: [] });
});

test('nothing is signed or pushed while a job of the sender, or the whole miner, is being compared with the chain', async () => {
  const outbox = openOutbox();
  const fake = new FakeChain();
  const perform = performing(outbox, fake);
  const signed: SignedMessage = { sender: SENDER, nonce: 0, cid: 'bafy-ours', signed: '{}', pushed: false };
  await outbox.add({ ...messageEffect(1), signed }, reconcileEffect(2), { ...messageEffect(3), job: null });
  const send = async (n: number): Promise<unknown> => perform(await outbox.row(effectId(n)));
  const held = { outcome: 'wait', reason: expect.stringContaining('compared with the chain') };
  expect(await send(1)).toMatchObject(held);
  // Another job's message would bring the earlier nonce of the one that is compared along.
  expect(await send(3)).toMatchObject(held);
  const row = await outbox.row(effectId(2));
  await outbox.store.commit((tx) => {
    tx.updateEffect({ ...row, status: 'done' });
    tx.setMeta(reconcilingKey(MINER), 'e-1');
  });
  expect(await send(1)).toMatchObject(held);
  expect([fake.pushes, fake.signed]).toEqual([[], []]);
  await outbox.store.commit((tx) => tx.setMeta(reconcilingKey(MINER), ''));
  expect(await send(3)).toEqual({ outcome: 'pushed' });
  expect(fake.pushes.map(({ cid }) => cid)).toEqual(['bafy-ours', 'bafy-0']);
});
