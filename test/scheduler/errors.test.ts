/** What is counted and what is not, how long is waited, and that every error says what to do. */
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import type { Settings } from '../../src/scheduler/context.ts';
import type { EffectOutcome } from '../../src/scheduler/effects.ts';
import { pledge } from '../../src/scheduler/pledge.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import { retryOf } from '../../src/scheduler/retry.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import { FailureCode } from '../../src/schema/runner.ts';
import { MINER, World } from './world.ts';

let world: World;
let own: RunnerId;
afterEach(() => world.close());

const open = async (settings: Partial<Settings> = {}): Promise<Job['id']> => {
  world = new World(settings);
  await world.start();
  own = (await world.register('own')).id;
  const [job] = await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1 }, 'test'));
  return (job as Job).id;
};

const broke = (exitCode: number): EffectOutcome => ({ outcome: 'landed', epoch: 9, exitCode, onChain: false, detail: 'too little funds' });

/** Answers honestly, but for the first outcomes of a step; every wait that the job was told goes to `waits`. */
const play = async (id: Job['id'], step: string, outcomes: EffectOutcome[], waits: number[] = []): Promise<Job> => {
  for (let round = 0; round < 400; round += 1) {
    for (const effect of await world.effects()) {
      await world.perform(effect, effect.step === step ? outcomes.shift() : undefined);
      const { waiting } = await world.job(id);
      if (waiting.for === 'retry') waits.push(waiting.untilMs - world.nowMs);
    }
    for (const granted of await world.grant(own)) await world.report(own, world.honest(granted));
    const job = await world.job(id);
    if (job.paused || job.state === 'Finished') return job;
    await world.tick(30_000);
  }
  throw new Error('it never stopped');
};

test('a step has the policy that is configured for it, and what it does not say is as for all', async () => {
  const retry = { firstWaitMs: 1_000, maxWaitMs: 60_000, maxRetries: 12 };
  expect(retryOf({ retry, retryOf: { PC1: { maxRetries: 1 } } }, 'PC1')).toEqual({ ...retry, maxRetries: 1 });
  expect(retryOf({ retry, retryOf: { PC1: { maxRetries: 1 } } }, 'PC2')).toEqual(retry);
  const id = await open({ retry, retryOf: { SubmitPC: { firstWaitMs: 8_000, maxRetries: 2 } } });
  const waits: number[] = [];
  const job = await play(
    id,
    'CheckPC',
    Array.from({ length: 9 }, () => broke(19)),
    waits,
  );
  expect(job).toMatchObject({ paused: true, retries: 3, error: { code: 'pre_commit_failed' } });
  const [first = 0, second = 0] = waits;
  expect(first).toBeGreaterThanOrEqual(6_000);
  expect(first).toBeLessThanOrEqual(10_000);
  expect(second).toBeGreaterThanOrEqual(12_000);
});

test('the count starts again once the job gets further, not where it only comes round again', async () => {
  const id = await open({ retry: { firstWaitMs: 1_000, maxWaitMs: 60_000, maxRetries: 3 } });
  const job = await play(id, 'CheckPC', [broke(19), broke(7), broke(6)]);
  expect(job).toMatchObject({ state: 'Finished', retries: 0 });
  const counts = (await world.events(id)).filter(({ kind }) => kind === 'error').map(({ detail }) => detail['retries']);
  expect(counts).toEqual([1, 2, 3]);
});

const fault = fc.oneof(
  fc.record({ of: fc.constant('rented' as const), code: fc.constantFrom(...FailureCode.options) }),
  fc.record({
    of: fc.constant('own' as const),
    code: fc.constantFrom('internal', 'out_of_memory', 'interrupted', 'storage_full', 'parameters_missing'),
  }),
  fc.record({ of: fc.constant('lost' as const) }),
  fc.record({ of: fc.constant('node' as const), code: fc.constantFrom('rpc_timeout', 'low_balance') }),
  fc.record({ of: fc.constant('wait' as const) }),
  fc.record({ of: fc.constant('nothing' as const) }),
);

test('faults of runners, a node that is away and waiting never use up the retries of a job, and every error says what to do', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fault, { minLength: 4, maxLength: 40 }), async (faults) => {
      const id = await open({ maxStrikes: 1_000 });
      try {
        const rented = (await world.register('rented', 'rented')).id;
        for (const what of faults) {
          const [effect] = await world.effects();
          if (what.of === 'node' || what.of === 'wait') {
            const outcome: EffectOutcome =
              what.of === 'wait'
                ? { outcome: 'wait', forMs: 10, reason: 'not yet' }
                : { outcome: 'error', category: 'temporary', code: what.code, message: 'the node is away; it is asked again' };
            if (effect !== undefined) await world.perform(effect, outcome);
          } else if (effect !== undefined) await world.perform(effect);
          for (const runner of [rented, own]) {
            for (const granted of await world.grant(runner)) {
              if (what.of === 'lost') await world.tick(300_000);
              else if (what.of === (runner === own ? 'own' : 'rented')) await world.report(runner, world.failure(granted, what.code));
              else await world.report(runner, world.honest(granted));
            }
          }
          await world.tick(1_000_000);
          expect(await world.job(id)).toMatchObject({ retries: 0, paused: false });
        }
        await world.run((ctx) => {
          for (const runner of ctx.tx.runners()) ctx.tx.updateRunner({ ...runner, status: 'ready', lastSeenMs: world.nowMs } as RunnerRow);
        });
        await world.finish([own, rented]);
        expect(await world.job(id)).toMatchObject({ state: 'Finished', retries: 0 });
        for (const { kind, detail } of await world.events(id)) {
          if (kind === 'error') expect(String(detail['message'])).toMatch(/; |by itself/);
        }
      } finally {
        world.close();
      }
    }),
    { numRuns: 40 },
  );
}, 120_000);
