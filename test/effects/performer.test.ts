/** Each kind of effect once, the order of one sender's messages, and the loop that performs them. */
import { expect, onTestFinished, test } from 'vitest';
import { ChainError } from '../../src/chain/errors.ts';
import { performEffects, performer, type PerformerParts } from '../../src/effects/performer.ts';
import type { EffectContext } from '../../src/effects/door.ts';
import { failureOf } from '../../src/effects/failures.ts';
import { MinerId } from '../../src/schema/ids.ts';
import { SealpoolError } from '../../src/schema/problem.ts';
import type { EffectRow } from '../../src/scheduler/effects.ts';
import type { Chain } from '../../src/scheduler/ports.ts';
import { effect, effectId, MINER, sectorRecord } from '../store/rows.ts';
import { EPOCH_MS, FakeChain } from './fake-chain.ts';
import { COMM_R, messageEffect, type Outbox, openOutbox } from './outbox.ts';

const refusal = (category: string, code: string) => Object.assign(new Error(`the node said ${code}`), { category, code });

function parts(
  outbox: Outbox,
  chain: Partial<Chain> = {},
  fake = new FakeChain(),
): Omit<PerformerParts<EffectContext>, 'onError' | 'ending'> {
  return {
    door: outbox.door,
    engine: outbox.engine,
    chain: { ...fake.port(), ...chain },
    objects: { delete: () => Promise.resolve(), abortUpload: () => Promise.resolve(), head: () => Promise.resolve(undefined) },
  };
}

/** Runs the loop until the test ends. */
function start(outbox: Outbox, change: Partial<PerformerParts<EffectContext>> = {}): { ending: AbortController; ended: Promise<void> } {
  const ending = new AbortController();
  const ended = performEffects({ ...parts(outbox), onError: (error) => expect.fail(String(error)), ending: ending.signal, ...change });
  onTestFinished(async () => {
    ending.abort();
    await ended;
  });
  return { ending, ended };
}

test('asks: number, ticket and seed come back as the chain gives them', async () => {
  const fake = new FakeChain();
  fake.preCommits.set(7, COMM_R);
  const perform = performer(parts(openOutbox(), {}, fake));
  expect(await perform(effect(1, { want: { kind: 'number', miner: MINER, number: 7 } }))).toEqual({ outcome: 'number', taken: true });
  expect(await perform(effect(1, { want: { kind: 'number', miner: MINER, number: 8 } }))).toEqual({ outcome: 'number', taken: false });
  expect(await perform(effect(1, { want: { kind: 'ticket', miner: MINER } }))).toEqual({
    outcome: 'ticket',
    value: 'aa'.repeat(32),
    epoch: -800,
  });
  expect(await perform(effect(1, { want: { kind: 'seed', miner: MINER, number: 7 } }))).toEqual({
    outcome: 'seed',
    value: 'bb'.repeat(32),
    epoch: 100,
  });
});

test('a seed that does not exist yet is waited for, a minute at most at a time', async () => {
  const waiting = (waitEpochs: number, epochMs: number) =>
    performer(
      parts(openOutbox(), {
        seed: () => Promise.resolve({ waitEpochs }),
        network: () => Promise.resolve({ epochMs, challengeDelay: 150, name: 'x' }),
      }),
    )(effect(1, { want: { kind: 'seed', miner: MINER, number: 7 } }));
  expect(await waiting(3, 200)).toMatchObject({ outcome: 'wait', forMs: 600 });
  expect(await waiting(150, 30_000)).toMatchObject({ outcome: 'wait', forMs: 60_000 });
});

test('of a sector that is proven no seed is drawn: it is told with its replica, once that is believed', async () => {
  const asked = (epoch: number, sector: { commR: string; keyCommR: string | null; activationEpoch: number } | undefined) =>
    performer(
      parts(openOutbox(), {
        seed: () => Promise.reject(new ChainError('permanent', 'no_pre_commit', 'sector 7 has no pre-commit on chain')),
        network: () => Promise.resolve({ epochMs: 200, challengeDelay: 150, name: 'x' }),
        head: () => Promise.resolve({ epoch }),
        sector: () =>
          Promise.resolve(sector && { ...sector, sealProof: 5, expirationEpoch: 9_000, deadline: 1, partition: 0, proven: true }),
      }),
    )(effect(1, { want: { kind: 'seed', miner: MINER, number: 7 } }));
  const sealed = { commR: 'cid-of-seven', keyCommR: null, activationEpoch: 100 };
  expect(await asked(103, sealed)).toMatchObject({ outcome: 'wait', forMs: 400 });
  expect(await asked(105, sealed)).toEqual({ outcome: 'proven', commR: 'cid-of-seven', epoch: 100 });
  expect(await asked(105, { ...sealed, commR: 'updated', keyCommR: 'cid-of-seven' })).toMatchObject({ commR: 'cid-of-seven' });
  expect(await asked(105, undefined)).toMatchObject({ outcome: 'error', code: 'no_pre_commit' });
});

test('deletes every key; an object store that is away is a temporary error', async () => {
  const outbox = openOutbox();
  const gone: string[] = [];
  const want = { kind: 'delete', keys: ['a', 'b', 'c'] } as const;
  const deleting = (fail: string | undefined) =>
    performer({
      ...parts(outbox),
      objects: {
        delete(key) {
          gone.push(key);
          return key === fail ? Promise.reject(new SealpoolError('unavailable', 's3_unavailable', 'away')) : Promise.resolve();
        },
        abortUpload: () => Promise.resolve(),
        head: () => Promise.resolve(undefined),
      },
    })(effect(1, { want }));
  expect(await deleting('b')).toMatchObject({ outcome: 'error', category: 'temporary', code: 's3_unavailable' });
  expect(await deleting(undefined)).toEqual({ outcome: 'deleted' });
  expect(gone).toEqual(['a', 'b', 'a', 'b', 'c']);
});

test('errors carry their category; what names none is temporary', () => {
  expect(failureOf(refusal('permanent', 'actor_exit'))).toMatchObject({ category: 'permanent', code: 'actor_exit' });
  expect(failureOf(Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' }))).toMatchObject({
    category: 'temporary',
    code: 'ECONNREFUSED',
  });
  expect(failureOf(new TypeError('fetch failed'))).toMatchObject({ category: 'temporary', code: 'effect_failed', message: 'fetch failed' });
  expect(failureOf(new SealpoolError('storage_full', 'storage_full', 'full'))).toMatchObject({ category: 'temporary' });
  expect(failureOf(new SealpoolError('not_found', 'no_bucket', 'no bucket'))).toMatchObject({ category: 'permanent' });
  expect(failureOf('odd')).toMatchObject({ category: 'temporary', message: 'odd' });
});

test('a message that was withdrawn while it was signed is not pushed, and leaves its nonce to the next', async () => {
  const outbox = openOutbox();
  const fake = new FakeChain();
  await outbox.add(messageEffect(1), messageEffect(2));
  const perform = performer(
    parts(
      outbox,
      {
        async sign(want, floor) {
          if (want.number === 1) {
            const row = await outbox.row(effectId(1));
            await outbox.store.commit((tx) => tx.updateEffect({ ...row, status: 'cancelled' }));
          }
          return fake.sign(want, floor);
        },
      },
      fake,
    ),
  );
  expect(await perform(messageEffect(1))).toBeUndefined();
  expect(fake.pushes).toEqual([]);
  expect(await perform(messageEffect(2))).toEqual({ outcome: 'pushed' });
  expect(fake.pushes.map(({ nonce }) => nonce)).toEqual([0]);
  expect(await perform(messageEffect(1))).toBeUndefined();
});

test('the next message of a sender is not signed before the earlier one is with the node', async () => {
  const outbox = openOutbox();
  const fake = new FakeChain();
  let refuse: Error | undefined = refusal('temporary', 'low_balance');
  await outbox.add(messageEffect(1), messageEffect(2));
  const perform = performer(
    parts(outbox, { push: (message) => (refuse === undefined ? fake.push(message) : Promise.reject(refuse)) }, fake),
  );
  expect(await perform(messageEffect(1))).toMatchObject({ outcome: 'error', category: 'temporary', code: 'low_balance' });
  expect(await perform(messageEffect(2))).toMatchObject({ outcome: 'wait', reason: expect.stringContaining('nonce 0') });
  expect(fake.signed).toHaveLength(1);
  refuse = undefined;
  await expect.poll(() => perform(messageEffect(2))).toEqual({ outcome: 'pushed' });
  expect(fake.pushes.map(({ nonce }) => nonce)).toEqual([0, 1]);
});

test('of many that an earlier one holds up, one asks the node for all, until the wait is over or that one is tried itself', async () => {
  const outbox = openOutbox();
  const fake = new FakeChain();
  const many = Array.from({ length: 24 }, (_, n) => messageEffect(n + 1));
  await outbox.add(...many);
  let asked = 0;
  const push: Chain['push'] = () => {
    asked += 1;
    return Promise.reject(refusal('temporary', 'rpc_timeout'));
  };
  const perform = performer(parts(outbox, { push }, fake));
  expect(await perform(many[0] as EffectRow)).toMatchObject({ outcome: 'error' });
  const { signed } = await outbox.row(effectId(1));
  await outbox.store.commit((tx) => tx.updateEffect({ ...(many[0] as EffectRow), signed, dueMs: Date.now() + 40_000 }));
  for (const held of many.slice(1)) {
    const wait = await perform(held);
    expect(wait).toMatchObject({ outcome: 'wait', heldBy: { nonce: 0, why: 'the node said rpc_timeout' } });
    expect((wait as { forMs: number }).forMs).toBeGreaterThan(30_000);
  }
  expect(asked).toBe(2);
  await perform(many[0] as EffectRow);
  await perform(many[1] as EffectRow);
  expect(asked).toBe(4);
});

test('a node that forgot its mempool does not give a nonce out twice', async () => {
  const outbox = openOutbox();
  const fake = new FakeChain();
  start(outbox, { chain: fake.port() });
  await outbox.add(messageEffect(1));
  await outbox.settled();
  fake.held.clear();
  await outbox.add(messageEffect(2));
  await outbox.settled();
  expect(fake.pushes.map(({ nonce }) => nonce)).toEqual([0, 1]);
});

test('a message that can never land holds up nobody', async () => {
  const outbox = openOutbox();
  const fake = new FakeChain();
  await outbox.add(messageEffect(1), messageEffect(2));
  const dead = 'bafy-0';
  const push: Chain['push'] = (message) =>
    message.cid === dead ? Promise.reject(refusal('permanent', 'nonce_taken')) : fake.push(message);
  const perform = performer(parts(outbox, { push }, fake));
  expect(await perform(messageEffect(1))).toMatchObject({ outcome: 'error', code: 'nonce_taken' });
  expect(await perform(messageEffect(2))).toEqual({ outcome: 'pushed' });
  expect(fake.pushes.map(({ nonce }) => nonce)).toEqual([1]);
});

test('a used nonce holds up nobody, though its message is not called dead yet', async () => {
  const outbox = openOutbox();
  const fake = new FakeChain();
  await outbox.add(messageEffect(1), messageEffect(2));
  const push: Chain['push'] = (message) =>
    message.nonce === 0 ? Promise.reject(Object.assign(refusal('temporary', 'nonce_used'), { waitEpochs: 5 })) : fake.push(message);
  const perform = performer(parts(outbox, { push }, fake));
  expect(await perform(messageEffect(1))).toMatchObject({ outcome: 'wait', forMs: 5 * EPOCH_MS, code: 'nonce_used' });
  expect(await perform(messageEffect(2))).toEqual({ outcome: 'pushed' });
});

test('a message of a sender that changed while it was signed is not kept', async () => {
  const outbox = openOutbox();
  const fake = new FakeChain();
  await outbox.add(messageEffect(1));
  const perform = performer(parts(outbox, { sign: async (want, floor) => ({ ...(await fake.sign(want, floor)), sender: 't3new' }) }, fake));
  expect(await perform(messageEffect(1))).toMatchObject({ outcome: 'error', category: 'temporary', code: 'sender_changed' });
  expect((await outbox.row(effectId(1))).signed).toBeNull();
});

test('the loop performs what is there, what comes, and what falls due', async () => {
  const outbox = openOutbox();
  await outbox.add(effect(1));
  start(outbox);
  await outbox.settled();
  await outbox.add(effect(2));
  await outbox.settled();
  const dueMs = Date.now() + 150;
  let performedMs = 0;
  await outbox.add(effect(3, { dueMs }));
  await outbox.settled();
  performedMs = Date.now();
  expect(performedMs).toBeGreaterThanOrEqual(dueMs);
  expect(outbox.reported.map(({ id }) => id)).toEqual([1, 2, 3].map(effectId));
});

test('a sector goes from message to landed: pending, then waiting for confidence', async () => {
  const outbox = openOutbox();
  const fake = new FakeChain();
  fake.preCommits.set(1, COMM_R);
  start(outbox, { chain: fake.port() });
  await outbox.add(messageEffect(1));
  await outbox.settled();
  const message = (await outbox.row(effectId(1))).signed?.cid ?? '';
  await outbox.add(effect(2, { want: { kind: 'landed', miner: MINER, number: 1, message, what: 'preCommit', commR: COMM_R } }));
  await outbox.settled();
  expect(outbox.reported.at(-1)).toEqual({
    id: effectId(2),
    outcome: { outcome: 'landed', epoch: 100, exitCode: 0, onChain: true, detail: '' },
  });
  expect(outbox.waits).toHaveLength(3);
});

test('a node that lost its mempool gets the same bytes again', async () => {
  const outbox = openOutbox();
  const fake = new FakeChain();
  fake.preCommits.set(1, COMM_R);
  start(outbox, { chain: fake.port() });
  await outbox.add(messageEffect(1));
  await outbox.settled();
  fake.held.clear();
  const { signed } = await outbox.row(effectId(1));
  await outbox.add(
    effect(2, { want: { kind: 'landed', miner: MINER, number: 1, message: signed?.cid ?? '', what: 'preCommit', commR: COMM_R } }),
  );
  await outbox.settled();
  expect(fake.pushes.map((pushed) => pushed.signed)).toEqual([signed?.signed, signed?.signed]);
  expect(fake.signed).toHaveLength(1);
});

test('no more than sixteen effects at a time, none of them twice, and a slow one holds up no other', async () => {
  const outbox = openOutbox();
  const gate = Promise.withResolvers<void>();
  const full = Promise.withResolvers<void>();
  let now = 0;
  let most = 0;
  let asked = 0;
  const ticket: Chain['ticket'] = async () => {
    asked += 1;
    now += 1;
    most = Math.max(most, now);
    if (now === 16) full.resolve();
    await gate.promise;
    now -= 1;
    return { value: 'aa', epoch: 1 };
  };
  await outbox.add(...Array.from({ length: 40 }, (_, n) => effect(n)));
  start(outbox, { chain: { ...new FakeChain().port(), ticket } });
  await full.promise;
  await outbox.add(effect(90));
  gate.resolve();
  await outbox.settled();
  expect([most, asked]).toEqual([16, 41]);
});

test('when it ends, what is under way is finished and recorded', async () => {
  const outbox = openOutbox();
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const ticket: Chain['ticket'] = async () => {
    begun.resolve();
    await gate.promise;
    return { value: 'aa', epoch: 1 };
  };
  await outbox.add(effect(1));
  const { ending, ended } = start(outbox, { chain: { ...new FakeChain().port(), ticket } });
  await begun.promise;
  ending.abort();
  gate.resolve();
  await ended;
  expect((await outbox.row(effectId(1))).status).toBe('done');
});

const DECLARE = {
  kind: 'declare',
  miner: MINER,
  number: 7,
  sectorSizeBytes: 2048,
  storage: 'main',
  root: '/mnt/main',
  files: ['sealed/s-t01000-7'],
  dropped: null,
} as const;
const DELETE = { kind: 'delete', keys: ['a'] } as const;

test.each([DECLARE, DELETE])('those of $kind that hang, however many, hold nothing else up, and are four at a time', async (want) => {
  const outbox = openOutbox();
  const hanging = Array.from({ length: 200 }, (_, at) => effect(at + 1, { job: null, step: 'DeclareStored', want, dueMs: at }));
  await outbox.add(...hanging, effect(300, { want: { kind: 'number', miner: MINER, number: 7 }, dueMs: 999 }));
  const { promise: answers, resolve: answer } = Promise.withResolvers<void>();
  let [now, most] = [0, 0];
  const hang = async (): Promise<void> => {
    now += 1;
    most = Math.max(most, now);
    await answers;
    now -= 1;
  };
  start(outbox, { declare: hang, objects: { ...parts(outbox).objects, delete: hang } });
  await expect.poll(() => outbox.reported.map(({ id }) => id)).toEqual([effectId(300)]);
  expect(now).toBe(4);
  answer();
  await outbox.settled();
  expect([outbox.reported.length, most]).toEqual([201, 4]);
});

test('a declaration that no job wanted is not told any more once the files are elsewhere; that of a job is', async () => {
  const outbox = openOutbox();
  const told: unknown[] = [];
  const perform = performer({ ...parts(outbox), declare: async (declaration) => void told.push(declaration) });
  await outbox.door.run(({ tx }) => {
    tx.putSectorRecord(sectorRecord(7, { files: { storage: 'other', root: '/mnt/other', files: null } }));
  });
  const want = (storage: string, dropped: string | null = null) =>
    ({ kind: 'declare', miner: MINER, number: 7, sectorSizeBytes: 2048, storage, root: `/mnt/${storage}`, files: [], dropped }) as const;
  expect(await perform(effect(1, { job: null, want: want('main') }))).toEqual({ outcome: 'declared' });
  expect(told).toEqual([]);
  expect(await perform(effect(2, { job: null, want: want('other') }))).toEqual({ outcome: 'declared' });
  expect(await perform(effect(3, { want: want('main') }))).toEqual({ outcome: 'declared' });
  expect(told).toMatchObject([
    { id: effectId(2), storage: 'other' },
    { id: effectId(3), storage: 'main' },
  ]);
});

test('messages of one sender that hang, however many, hold up neither questions nor messages of others', async () => {
  const outbox = openOutbox();
  const fake = new FakeChain();
  const other = MinerId.parse('t01001');
  await outbox.add(...Array.from({ length: 40 }, (_, at) => messageEffect(at + 1)));
  await outbox.add(effect(300, { want: { kind: 'ticket', miner: MINER } }), messageEffect(301, other));
  const { promise: answers, resolve: answer } = Promise.withResolvers<void>();
  let hangs = true;
  const push: Chain['push'] = async (message) => {
    if (hangs && message.sender.endsWith(MINER)) await answers;
    return fake.push(message);
  };
  start(outbox, { chain: { ...fake.port(), push } });
  await expect.poll(() => outbox.reported.map(({ id }) => id)).toEqual([300, 301].map(effectId));
  hangs = false;
  answer();
  await outbox.settled();
  const ours = fake.pushes.filter(({ sender }) => sender.endsWith(MINER));
  expect([...new Set(ours.map(({ nonce }) => nonce))]).toEqual(Array.from({ length: 40 }, (_, nonce) => nonce));
});
