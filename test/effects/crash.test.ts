/**
 * Messages under crashes. A process dies, or a call fails, at the k-th call of anything outside, for every
 * k there is, before the call took effect or after it: a step never has two messages, and nonces no gap.
 */
import { expect, test } from 'vitest';
import type { EffectContext, EffectDoor } from '../../src/effects/door.ts';
import { performEffects } from '../../src/effects/performer.ts';
import type { Chain } from '../../src/scheduler/ports.ts';
import { effectId, MINER, OTHER_MINER } from '../store/rows.ts';
import { FakeChain } from './fake-chain.ts';
import { messageEffect, type Outbox, openOutbox } from './outbox.ts';

type Fault = { readonly at: number; readonly kind: 'dies' | 'fails'; readonly when: 'before' | 'after' };

/** One process: counts its calls to the outside, and at call `at` fails or is gone. */
class Process {
  calls = 0;
  readonly died = Promise.withResolvers<void>();
  readonly ending = new AbortController();
  #dead = false;
  readonly #fault: Fault | undefined;

  constructor(fault: Fault | undefined) {
    this.#fault = fault;
  }

  async call<T>(work: () => Promise<T>): Promise<T> {
    if (this.#dead) return new Promise(() => undefined);
    const hit = this.calls === this.#fault?.at ? this.#fault : undefined;
    this.calls += 1;
    if (hit?.when !== 'before') {
      const value = await work();
      if (hit === undefined) return this.#dead ? new Promise(() => undefined) : value;
    }
    if (hit?.kind === 'fails') throw new Error('the connection broke');
    this.#dead = true;
    this.died.resolve();
    return new Promise(() => undefined);
  }

  start(outbox: Outbox, chain: FakeChain): Promise<void> {
    const port = chain.port();
    const faulty = Object.fromEntries(
      Object.entries(port).map(([name, fn]) => [
        name,
        (...args: unknown[]) => this.call(() => (fn as (...all: unknown[]) => Promise<unknown>)(...args)),
      ]),
    ) as unknown as Chain;
    const door: EffectDoor<EffectContext> = {
      run: (fn) => this.call(() => outbox.door.run(fn)),
      changed: (signal, abort) => outbox.door.changed(signal, abort),
    };
    return performEffects({
      door,
      engine: outbox.engine,
      chain: faulty,
      objects: { delete: () => Promise.resolve(), abortUpload: () => Promise.resolve(), head: () => Promise.resolve(undefined) },
      onError: () => undefined,
      notRecordedWaitMs: 1,
      ending: this.ending.signal,
    });
  }
}

/** Runs the scenario to its end with one fault; answers how many calls the first process made. */
async function scenario(fault: Fault | undefined): Promise<number> {
  const outbox = openOutbox();
  const chain = new FakeChain();
  const push = chain.push.bind(chain);
  chain.push = (message) => {
    expect(outbox.stored.get(message.cid)?.signed, 'pushed before its bytes were stored').toBe(message.signed);
    return push(message);
  };
  await outbox.add(messageEffect(1), messageEffect(2), messageEffect(3, OTHER_MINER), messageEffect(4));

  const first = new Process(fault);
  const firstEnds = first.start(outbox, chain);
  const settled = outbox.settled();
  const crashed = await Promise.race([settled.then(() => false), first.died.promise.then(() => true)]);
  const second = new Process(undefined);
  const secondEnds = crashed ? second.start(outbox, chain) : Promise.resolve();
  await settled;
  first.ending.abort();
  second.ending.abort();
  await Promise.all([secondEnds, Promise.race([firstEnds, first.died.promise])]);

  for (const miner of [MINER, OTHER_MINER]) {
    const sender = await chain.sender(miner);
    const nonces = [...chain.held.values()].filter((held) => held.sender === sender).map(({ nonce }) => nonce);
    expect(nonces.toSorted()).toEqual(miner === MINER ? [0, 1, 2] : [0]);
  }
  // Every step has one message out, the one that is stored, however often it was pushed.
  const rows = await Promise.all([1, 2, 3, 4].map((n) => outbox.row(effectId(n))));
  expect(rows.map(({ status, signed }) => [status, signed?.pushed])).toEqual(rows.map(() => ['done', true]));
  expect([...chain.held.keys()].toSorted()).toEqual(rows.map(({ signed }) => signed?.cid).toSorted());
  expect(new Set(chain.pushes.map(({ signed }) => signed)).size).toBe(4);
  return first.calls;
}

for (const kind of ['dies', 'fails'] as const) {
  for (const when of ['before', 'after'] as const) {
    test(`one message per step and no nonce left out when the process ${kind} ${when} any call`, { timeout: 120_000 }, async () => {
      const calls = await scenario(undefined);
      expect(calls).toBeGreaterThan(20);
      for (let at = 0; at < calls; at += 1) await scenario({ at, kind, when });
    });
  }
}
