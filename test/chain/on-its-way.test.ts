/**
 * A message between mempool and receipt, and a nonce that went to another message: on a chain that executes a
 * tipset's messages with the next one.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ChainError } from '../../src/chain/errors.ts';
import { LotusChain } from '../../src/chain/lotus-chain.ts';
import { LotusMessage, LotusSignedMessage } from '../../src/chain/message.ts';
import { followMessage } from '../../src/effects/landed.ts';
import { performer } from '../../src/effects/performer.ts';
import type { EffectOutcome, EffectWant, SignedMessage } from '../../src/scheduler/effects.ts';
import { type Bench, bench, COMM_R, MINER, preCommitWant, raw, send } from '../devnet/harness.ts';
import { messageEffect, openOutbox } from '../effects/outbox.ts';
import { effectId } from '../store/rows.ts';
import { type Cut, faultyLink } from './faulty-link.ts';

let b: Bench;
beforeEach(async () => {
  b = await bench();
});
afterEach(() => b.end());

const advance = (epochs: number): Promise<unknown> => b.control({ advance: epochs });
const search = (cid: string): Promise<unknown> => raw(b, 'StateSearchMsg', [[], { '/': cid }, -1, true]);

/** Another software sends one attoFIL from our address, with this nonce. */
async function rival(nonce: number, gasPremium = '200000'): Promise<string> {
  const from = await b.chain.sender(MINER);
  const call = LotusMessage.parse({
    Version: 0,
    To: from,
    From: from,
    Nonce: nonce,
    Value: '1',
    Method: 0,
    Params: '',
    GasLimit: 10_000_000,
    GasFeeCap: '3000000',
    GasPremium: gasPremium,
  });
  const signed = LotusSignedMessage.parse(await raw(b, 'WalletSignMessage', [from, call]));
  return ((await raw(b, 'MpoolPush', [signed])) as { '/': string })['/'];
}

const landedWant = (cid: string): Extract<EffectWant, { kind: 'landed' }> => ({
  kind: 'landed',
  miner: MINER,
  number: 7,
  message: cid,
  what: 'preCommit',
  commR: 'bagboea4b5abcaeirceirceirceirceirceirceirceirceirceirceirceirceib',
});

const follow = (chain: LotusChain, message: SignedMessage): Promise<EffectOutcome> =>
  followMessage(landedWant(message.cid), {
    chain,
    messages: { pushAgain: (again) => chain.push(again), closeGapBelow: () => Promise.resolve(undefined) },
    epochMs: 1,
    waitedMs: 0,
    stored: () => Promise.resolve(message),
  });

describe('a message in the head’s tipset', () => {
  test('has no receipt, is in no mempool, and changed nothing; it is on its way', async () => {
    const { epoch: ticketEpoch } = await b.chain.ticket(MINER);
    const message = await b.chain.sign(preCommitWant(7, ticketEpoch), 0);
    await b.chain.push(message);
    await advance(1);
    const { epoch } = await b.chain.head();
    expect(await search(message.cid)).toBeNull();
    expect(await raw(b, 'MpoolPending', [[]])).toEqual([]);
    expect(await raw(b, 'MpoolGetNonce', [message.sender])).toBe(1);
    expect(await raw(b, 'StateGetActor', [message.sender, []])).toMatchObject({ Nonce: 0 });
    expect(await raw(b, 'StateSectorPreCommitInfo', [MINER, 7, []])).toBeNull();
    await expect(raw(b, 'MpoolPush', [JSON.parse(message.signed)])).rejects.toThrow(/minimum expected nonce is 1.*nonce too low/);
    expect(await b.messages()).toMatchObject([{ state: 'pending', epoch: null, exitCode: null }]);

    expect(await b.chain.message(message.cid, { number: 7 })).toEqual({ state: 'pending' });
    await b.chain.push(message);
    expect(await follow(b.chain, message)).toMatchObject({ outcome: 'wait' });

    await advance(1);
    expect(await search(message.cid)).toMatchObject({ Height: epoch + 1, Receipt: { ExitCode: 0 } });
    expect(await b.chain.preCommit(MINER, 7)).toMatchObject({ epoch });
    await advance(5);
    expect(await follow(b.chain, message)).toMatchObject({ outcome: 'landed', exitCode: 0, onChain: true });
    expect(await b.messages()).toHaveLength(1);
  });

  test.each([0, 1])('an epoch passes between any two calls of a look, %i epochs after the push: never lost, never dead', async (before) => {
    const link = await faultyLink(`${b.devnet.url}/rpc/v1`);
    const chain = new LotusChain({ url: link.url, token: b.token });
    try {
      const { epoch } = await b.chain.ticket(MINER);
      for (let index = 0; index < 9; index++) {
        const message = await b.chain.sign(preCommitWant(index, epoch), 0);
        await b.chain.push(message);
        if (before > 0) await advance(before);
        link.meanwhile(index, () => advance(1));
        expect((await chain.message(message.cid, { number: index })).state, `epoch before call ${index} of the search`).not.toBe('unknown');
        link.heal();
        await advance(2);
        const next = await b.chain.sign(preCommitWant(100 + index, epoch), 0);
        await b.chain.push(next);
        if (before > 0) await advance(before);
        link.meanwhile(index, () => advance(1));
        await chain.push(next);
        link.heal();
        await advance(2);
      }
      expect((await b.messages()).filter(({ exitCode }) => exitCode === 0)).toHaveLength(18);
    } finally {
      await chain.close();
      await link.close();
    }
  });

  test('counts for the estimate: the same pre-commit again is refused, in the mempool and in the head', async () => {
    const { epoch } = await b.chain.ticket(MINER);
    await send(b, preCommitWant(7, epoch));
    for (let epochs = 0; epochs < 3; epochs++) {
      await expect(b.chain.sign({ ...preCommitWant(7, epoch), commR: `22${COMM_R.slice(2)}` } as never, 0)).rejects.toMatchObject({
        category: 'permanent',
        code: 'actor_exit',
      });
      await advance(1);
    }
  });
});

describe('a nonce that went to another message', () => {
  test('ours was in the mempool and was outbid: proven after five epochs, in Lotus’ words', async () => {
    const { epoch } = await b.chain.ticket(MINER);
    const message = await b.chain.sign(preCommitWant(7, epoch), 0);
    await b.chain.push(message);
    await rival(0);
    await expect(b.chain.push(message)).rejects.toMatchObject({ category: 'temporary' });
    await advance(1);
    await expect(b.chain.push(message)).rejects.toMatchObject({ category: 'temporary' });
    await advance(1);
    await expect(search(message.cid)).rejects.toThrow(/found message with equal nonce .* NOT a valid replacement message/);
    expect(await b.chain.message(message.cid, { number: 7 })).toEqual({ state: 'unknown' });
    await expect(b.chain.push(message)).rejects.toMatchObject({ category: 'temporary', code: 'nonce_used', waitEpochs: 5 });
    await advance(4);
    await expect(follow(b.chain, message)).rejects.toMatchObject({ code: 'nonce_used' });
    await advance(1);
    await expect(follow(b.chain, message)).rejects.toMatchObject({ category: 'permanent', code: 'nonce_taken' });
  });

  test('ours never reached the node: it says that it cannot load it, and later messages of the sender go on', async () => {
    const { epoch: ticketEpoch } = await b.chain.ticket(MINER);
    const outbox = openOutbox();
    await outbox.add({ ...messageEffect(1), want: { kind: 'message', message: preCommitWant(1, ticketEpoch) } });
    await outbox.add({ ...messageEffect(2), want: { kind: 'message', message: preCommitWant(2, ticketEpoch) } });
    let outrun = false;
    const chain = Object.assign(Object.create(b.chain) as LotusChain, {
      sender: (miner: typeof MINER) => b.chain.sender(miner),
      network: () => b.chain.network(),
      sign: (...args: Parameters<LotusChain['sign']>) => b.chain.sign(...args),
      push: async (message: SignedMessage) => {
        if (!outrun) await rival(0);
        outrun = true;
        return b.chain.push(message);
      },
    });
    const objects = { delete: () => Promise.resolve(), abortUpload: () => Promise.resolve(), head: () => Promise.resolve(undefined) };
    const perform = performer({ door: outbox.door, engine: outbox.engine, chain, objects });
    const performed = async (n: number) => perform(await outbox.row(effectId(n)));
    expect(await performed(1)).toMatchObject({ outcome: 'error', category: 'temporary' });
    const ours = (await outbox.row(effectId(1))).signed as SignedMessage;
    await expect(search(ours.cid)).rejects.toThrow(/failed to load message: .*could not find/);
    expect(await performed(2)).toMatchObject({
      outcome: 'wait',
      reason: expect.stringMatching(/waits for nonce 0/),
      heldBy: { nonce: 0, sender: ours.sender },
    });
    await advance(2);
    // Used, though nobody believes it yet: no gap holds up the next one.
    expect(await performed(1)).toMatchObject({ outcome: 'wait' });
    expect(await performed(2)).toEqual({ outcome: 'pushed' });
    await advance(2);
    expect((await b.messages()).map(({ nonce, state, method }) => [nonce, state, method])).toEqual([
      [0, 'landed', 0],
      [1, 'landed', 28],
    ]);
    await advance(5);
    expect(await performed(1)).toMatchObject({ outcome: 'error', category: 'permanent', code: 'nonce_taken' });
  });
});

type Step =
  | { readonly do: 'epochs'; readonly count: number }
  /** A life of the process: cut at this call, and epochs that pass before another one. */
  | { readonly do: 'live'; readonly cut: { at: number; when: Cut } | null; readonly epochAt: number | null };

const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('epochs' as const), count: fc.integer({ min: 1, max: 3 }) }),
    fc.record({
      do: fc.constant('live' as const),
      cut: fc.option(fc.record({ at: fc.nat(14), when: fc.constantFrom<Cut>('before', 'after') })),
      epochAt: fc.option(fc.nat(14)),
    }),
  ),
  { minLength: 1, maxLength: 8 },
);

test(
  'whenever it crashes, polls, is included and executed: one message per step, and none is called dead',
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (story: Step[]) => {
        const on = await bench();
        const link = await faultyLink(`${on.devnet.url}/rpc/v1`);
        try {
          const { epoch } = await on.chain.ticket(MINER);
          const kept: SignedMessage[] = [];
          const live = async (): Promise<EffectOutcome | undefined> => {
            const chain = new LotusChain({ url: link.url, token: on.token, timeoutMs: 5_000 });
            try {
              if (kept.length === 0) kept.push(await chain.sign(preCommitWant(7, epoch), 0));
              await chain.push(kept[0] as SignedMessage);
              return await follow(chain, kept[0] as SignedMessage);
            } catch (error) {
              if (error instanceof ChainError && error.category === 'temporary') return undefined;
              throw error;
            } finally {
              await chain.close();
            }
          };
          for (const step of story) {
            if (step.do === 'epochs') await on.control({ advance: step.count });
            else {
              if (step.cut !== null) link.cutAt(step.cut.at, step.cut.when);
              if (step.epochAt !== null) link.meanwhile(step.epochAt, () => on.control({ advance: 1 }));
              await live();
            }
          }
          link.heal();
          await live();
          await on.control({ advance: 7 });
          expect(await live()).toMatchObject({ outcome: 'landed', exitCode: 0, onChain: true });
          expect(await on.messages()).toMatchObject([{ nonce: 0, method: 28, state: 'landed', exitCode: 0, cid: kept[0]?.cid }]);
        } finally {
          await link.close();
          await on.end();
        }
      }),
      { numRuns: 25 },
    );
  },
);
