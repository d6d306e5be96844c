/** When a message counts as landed, and what is done about one that the node has lost. */
import { expect, test } from 'vitest';
import { followMessage, type Following } from '../../src/effects/landed.ts';
import type { EffectWant, HeldBy, SignedMessage } from '../../src/scheduler/effects.ts';
import type { MessageState } from '../../src/scheduler/ports.ts';
import { MINER } from '../store/rows.ts';
import { chainSector } from './fake-chain.ts';

const OURS = 'commR-ours';
const MESSAGE = 'bafy-1';
const SIGNED: SignedMessage = { sender: 't3worker', nonce: 4, cid: MESSAGE, signed: '{"bytes":1}', pushed: true };
const EPOCH_MS = 30_000;
const PRE_COMMIT = { commD: null, epoch: 88, ticketEpoch: 7, sealProof: 5 };

type World = {
  waitedMs?: number;
  state: MessageState;
  preCommit?: string;
  sector?: string;
  stored?: SignedMessage;
  behind?: HeldBy;
  push?: () => Promise<void>;
};

const want = (what: 'preCommit' | 'proveCommit' | 'replicaUpdate'): Extract<EffectWant, { kind: 'landed' }> => ({
  kind: 'landed',
  miner: MINER,
  number: 7,
  message: MESSAGE,
  what,
  commR: OURS,
});

function follow(what: 'preCommit' | 'proveCommit' | 'replicaUpdate', world: World) {
  const pushed: SignedMessage[] = [];
  const closed: number[] = [];
  const following: Following = {
    chain: {
      message: (cid, { number }) => {
        expect([cid, number]).toEqual([MESSAGE, 7]);
        return Promise.resolve(world.state);
      },
      preCommit: () => Promise.resolve(world.preCommit === undefined ? undefined : { ...PRE_COMMIT, commR: world.preCommit }),
      sector: () => Promise.resolve(world.sector === undefined ? undefined : chainSector(world.sector, 99)),
    },
    messages: {
      pushAgain(message) {
        pushed.push(message);
        return world.push?.() ?? Promise.resolve();
      },
      async closeGapBelow(_sender, nonce) {
        closed.push(nonce);
        return world.behind;
      },
    },
    epochMs: EPOCH_MS,
    waitedMs: world.waitedMs ?? 0,
    stored: () => Promise.resolve(world.stored),
  };
  return { pushed, closed, outcome: followMessage(want(what), following) };
}

const landed = (change: Partial<Extract<MessageState, { state: 'landed' }>> = {}): MessageState => ({
  state: 'landed',
  epoch: 50,
  confidence: 5,
  exitCode: 0,
  sectorOk: true,
  detail: '',
  ...change,
});

test('a message in the mempool is asked for again after an epoch', async () => {
  expect(await follow('preCommit', { state: { state: 'pending' } }).outcome).toMatchObject({
    outcome: 'wait',
    forMs: EPOCH_MS,
    pending: true,
  });
});

test('one that the first blocks did not take may wait for an earlier message of ours: that one is looked for', async () => {
  const stored = { sender: 't3a', nonce: 9, cid: MESSAGE, signed: '{}', pushed: true };
  const young = follow('preCommit', { state: { state: 'pending' }, stored, waitedMs: EPOCH_MS });
  await young.outcome;
  expect(young.closed).toEqual([]);
  const old = follow('preCommit', { state: { state: 'pending' }, stored, waitedMs: 2 * EPOCH_MS });
  expect(await old.outcome).toEqual({
    outcome: 'wait',
    forMs: EPOCH_MS,
    reason: `message ${MESSAGE} is in the mempool`,
    pending: true,
  });
  expect(old.closed).toEqual([9]);
  const behind: HeldBy = { sender: 't3a', nonce: 7, job: null, why: null };
  expect(await follow('preCommit', { state: { state: 'pending' }, stored, behind, waitedMs: 2 * EPOCH_MS }).outcome).toMatchObject({
    pending: true,
    heldBy: behind,
  });
});

test('a message is believed five epochs after it landed, not four', async () => {
  expect(await follow('preCommit', { state: landed({ confidence: 4 }), preCommit: OURS }).outcome).toMatchObject({
    outcome: 'wait',
    forMs: EPOCH_MS,
  });
  expect(await follow('preCommit', { state: landed({ confidence: 0 }), preCommit: OURS }).outcome).toMatchObject({ forMs: 5 * EPOCH_MS });
  expect(await follow('preCommit', { state: landed(), preCommit: OURS }).outcome).toEqual({
    outcome: 'landed',
    epoch: 50,
    exitCode: 0,
    onChain: true,
    detail: '',
  });
});

test('a pre-commit that was proven since is shown by its sector; a prove-commit by nothing less', async () => {
  expect(await follow('preCommit', { state: landed(), sector: OURS }).outcome).toMatchObject({ onChain: true });
  expect(await follow('proveCommit', { state: landed(), sector: OURS }).outcome).toMatchObject({ onChain: true });
  expect(await follow('proveCommit', { state: landed({ confidence: 25 }), preCommit: OURS }).outcome).toMatchObject({
    onChain: false,
    detail: expect.stringContaining('no sector 7'),
  });
});

test('another CommR on the chain is never taken for ours', async () => {
  expect(await follow('preCommit', { state: landed({ confidence: 25 }), preCommit: 'commR-theirs' }).outcome).toMatchObject({
    outcome: 'landed',
    exitCode: 0,
    onChain: false,
    detail: expect.stringMatching(/commR-theirs.*ours is commR-ours/),
  });
});

test('a node that lags may not show yet what another one told of: nothing is said of the sector for twenty epochs more', async () => {
  for (const shown of [{}, { sector: 'commR-before-the-update' }]) {
    expect(await follow('replicaUpdate', { state: landed({ confidence: 24 }), ...shown }).outcome).toMatchObject({
      outcome: 'wait',
      forMs: EPOCH_MS,
      reason: expect.stringMatching(/the chain shows .*; the node may lag, it is asked again/),
    });
    expect(await follow('replicaUpdate', { state: landed({ confidence: 25 }), ...shown }).outcome).toMatchObject({ onChain: false });
  }
});

test('a failed message, and a sector refused inside one that went through, carry an exit code', async () => {
  const failed = { outcome: 'landed', onChain: false, detail: 'exit code 7: out of gas' };
  expect(await follow('preCommit', { state: landed({ exitCode: 7, sectorOk: false, detail: failed.detail }) }).outcome).toMatchObject({
    ...failed,
    exitCode: 7,
  });
  expect(
    await follow('proveCommit', { state: landed({ sectorOk: false, detail: 'exit code 17: …' }), preCommit: OURS }).outcome,
  ).toMatchObject({ exitCode: 16, onChain: false });
});

test('a message that failed because another one had done its work is done, and not sent again', async () => {
  const failed = landed({ exitCode: 18, sectorOk: false, detail: 'exit code 18' });
  const done = { outcome: 'landed', exitCode: 0, onChain: true, detail: '' };
  expect(await follow('preCommit', { state: failed, preCommit: OURS }).outcome).toEqual({ ...done, epoch: 88 });
  expect(await follow('proveCommit', { state: failed, sector: OURS }).outcome).toEqual({ ...done, epoch: 99 });
  expect(await follow('preCommit', { state: failed, preCommit: 'commR-theirs' }).outcome).toMatchObject({ exitCode: 18, onChain: false });
});

test('the very bytes of a lost message are pushed again', async () => {
  const { pushed, outcome } = follow('preCommit', { state: { state: 'unknown' }, stored: SIGNED });
  expect(await outcome).toMatchObject({
    outcome: 'wait',
    forMs: EPOCH_MS,
    pending: true,
  });
  expect(pushed).toEqual([SIGNED]);
});

test('a lost message whose bytes nobody has is an alert, not a second message', async () => {
  const { pushed, outcome } = follow('preCommit', { state: { state: 'unknown' } });
  expect(await outcome).toMatchObject({ outcome: 'error', category: 'critical', code: 'message_lost' });
  expect(pushed).toEqual([]);
});

test('a lost message whose nonce is gone: done when the chain shows our replica, else an error', async () => {
  const push = (): Promise<void> =>
    Promise.reject(Object.assign(new Error('nonce 4 is gone'), { category: 'permanent', code: 'nonce_taken' }));
  const lost: World = { state: { state: 'unknown' }, stored: SIGNED, push };
  expect(await follow('preCommit', { ...lost, preCommit: OURS }).outcome).toMatchObject({
    outcome: 'landed',
    epoch: 88,
    exitCode: 0,
    onChain: true,
  });
  await expect(follow('preCommit', { ...lost, preCommit: 'commR-theirs' }).outcome).rejects.toMatchObject({ code: 'nonce_taken' });
  await expect(follow('preCommit', { ...lost, push: () => Promise.reject(new Error('unreachable')) }).outcome).rejects.toThrow(
    'unreachable',
  );
});
