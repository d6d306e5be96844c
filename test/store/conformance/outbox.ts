/** The outbox: once per step and try, due in order, nonces without gap; and when to wake next. */
import { describe, expect, test } from 'vitest';
import type { EffectRow, SignedMessage } from '../../../src/scheduler/effects.ts';
import type { Database } from '../conformance.ts';
import { attempt, effect, effectId, job, jobId, MINER } from '../rows.ts';

const signed = (nonce: number, pushed: boolean, sender = 't3worker'): SignedMessage => ({
  sender,
  nonce,
  cid: `bafy${nonce}`,
  signed: JSON.stringify({ Message: { Nonce: nonce } }),
  pushed,
});

export function outboxConformance(fresh: () => Database): void {
  describe('effects', () => {
    test('a second row of the same job, step, generation and try is refused', async () => {
      await fresh().use(async (store) => {
        await store.commit((tx) => tx.insertEffect(effect(1)));
        await expect(store.commit((tx) => tx.insertEffect(effect(2, { try: 1 })))).rejects.toThrow(/UNIQUE/);
        await store.commit((tx) => {
          tx.insertEffect(effect(3, { try: 2 }));
          tx.insertEffect(effect(4, { try: 1, generation: 2 }));
          tx.insertEffect(effect(5, { try: 1, step: 'SubmitProof' }));
          tx.insertEffect(effect(6, { try: 1, job: jobId(2) }));
          // Work of no job (deletions) repeats.
          tx.insertEffect(effect(7, { try: 1, job: null, want: { kind: 'delete', keys: ['a', 'b'] } }));
          tx.insertEffect(effect(8, { try: 1, job: null, want: { kind: 'delete', keys: [] } }));
        });
        expect(await store.commit((tx) => tx.effectsOfJob(jobId(1)).map((one) => one.id))).toEqual([1, 3, 4, 5].map(effectId));
      });
    });

    test("which messages are the sender's own: of any status, by CID, of that sender only", async () => {
      await fresh().use(async (store) => {
        await store.commit((tx) => {
          tx.insertEffect(effect(1, { signed: signed(1, true), status: 'done' }));
          tx.insertEffect(effect(2, { signed: signed(2, false) }));
          tx.insertEffect(effect(3, { signed: signed(3, false, 't3other') }));
          tx.insertEffect(effect(4));
        });
        const own = (cids: string[]) => store.commit((tx) => [...tx.ownMessages('t3worker', cids)].sort());
        expect(await own(['bafy1', 'bafy2', 'bafy3', 'bafy4'])).toEqual(['bafy1', 'bafy2']);
        expect(await own([])).toEqual([]);
      });
    });

    test('whole rows; due ones oldest first, only open ones', async () => {
      await fresh().use(async (store) => {
        const whole: EffectRow = effect(1, {
          want: { kind: 'message', message: { method: 'ProveCommitSectors3', miner: MINER, number: 7, pieces: [], proofBase64: 'AA==' } },
          signed: signed(4, true),
          dueMs: 50,
          failures: 2,
          lastError: 'node away',
        });
        await store.commit((tx) => {
          for (const one of [whole, effect(2, { status: 'done' }), effect(3, { dueMs: 51 }), effect(4, { dueMs: 10 })])
            tx.insertEffect(one);
        });
        const read = await store.commit((tx) => ({
          whole: tx.effect(whole.id),
          none: tx.effect(effectId(99)),
          due: tx.effectsDue(50, 9).map((one) => one.id),
          first: tx.effectsDue(50, 1).map((one) => one.id),
          open: tx.openEffectsOfJob(jobId(1)).map((one) => one.id),
          next: [tx.nextEffectMs(9), tx.nextEffectMs(50), tx.nextEffectMs(51)],
        }));
        expect(read).toEqual({
          whole,
          none: undefined,
          due: [1, 4].map(effectId),
          first: [effectId(1)],
          open: [1, 3, 4].map(effectId),
          next: [10, 51, undefined],
        });
        const cancelled = { ...whole, status: 'cancelled' as const, signed: null };
        await store.commit((tx) => tx.updateEffect(cancelled));
        expect(await store.commit((tx) => [tx.effect(whole.id), ...tx.effectsDue(50, 9)])).toEqual([cancelled, effect(4, { dueMs: 10 })]);
      });
    });

    test('the last nonce of a sender leaves out messages given up before they were pushed', async () => {
      await fresh().use(async (store) => {
        const last = (sender: string): Promise<number> => store.commit((tx) => tx.lastNonce(sender));
        expect(await last('t3worker')).toBe(-1);
        await store.commit((tx) => {
          tx.insertEffect(effect(1, { signed: signed(5, true), status: 'failed' }));
          tx.insertEffect(effect(2, { signed: signed(6, false) }));
          tx.insertEffect(effect(3, { signed: signed(99, true, 't3other') }));
        });
        expect([await last('t3worker'), await last('t3other')]).toEqual([6, 99]);
        await store.commit((tx) => tx.updateEffect(effect(2, { signed: signed(6, false), status: 'cancelled' })));
        expect(await last('t3worker')).toBe(5);
        await store.commit((tx) => {
          tx.insertEffect(effect(4, { signed: signed(7, false) }));
          tx.insertEffect(effect(5, { signed: signed(6, false) }));
          tx.insertEffect(effect(6, { signed: signed(8, true) }));
          tx.insertEffect(effect(7));
        });
        expect(await store.commit((tx) => tx.unpushed('t3worker').map((one) => one.id))).toEqual([5, 4].map(effectId));
      });
    });

    test('wakes at the earliest of retry, effect and lease end', async () => {
      await fresh().use(async (store) => {
        const wake = (): Promise<number | undefined> => store.commit((tx) => tx.nextWakeMs());
        expect(await wake()).toBeUndefined();
        await store.commit((tx) => {
          tx.insertJob(job(1, { waiting: { for: 'retry', untilMs: 500 } }));
          tx.insertJob(job(2, { waiting: { for: 'retry', untilMs: 1 }, paused: true }));
          tx.insertJob(job(3, { waiting: { for: 'runner', stage: 'PC1', sinceMs: 2 } }));
        });
        expect(await wake()).toBe(500);
        await store.commit((tx) => {
          tx.insertEffect(effect(1, { dueMs: 400 }));
          tx.insertEffect(effect(2, { dueMs: 3, status: 'done' }));
        });
        expect(await wake()).toBe(400);
        await store.commit((tx) => {
          tx.insertAttempt(attempt(1, { leaseUntilMs: 300 }));
          tx.insertAttempt(attempt(2, { leaseUntilMs: 4, status: 'done' }));
        });
        expect(await wake()).toBe(300);
      });
    });
  });
}
