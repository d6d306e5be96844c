/** Whatever runners, the chain and operators do: no illegal transition, no late result, no second message, no dead end. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { EffectOutcome } from '../../src/scheduler/effects.ts';
import { isFinal } from '../../src/scheduler/machine.ts';
import { abortJob, pauseJob, resumeJob } from '../../src/scheduler/operate.ts';
import { pledge } from '../../src/scheduler/pledge.ts';
import { SEALER } from '../../src/scheduler/plans/sealer.ts';
import { restarted } from '../../src/scheduler/tick.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { JobEvent } from '../../src/schema/event.ts';
import type { Job } from '../../src/schema/job.ts';
import { SealpoolError } from '../../src/schema/problem.ts';
import { type Granted, MINER, World } from './world.ts';

const RUNS = 120;

const action = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant('work' as const), runner: fc.nat(2) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('effects' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('late' as const), at: fc.nat(30) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('fail' as const),
      runner: fc.nat(2),
      code: fc.constantFrom(
        'internal',
        'out_of_memory',
        'input_invalid',
        'input_differs',
        'proof_invalid',
        'interrupted',
        'storage_full',
        'bad_request',
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drop' as const), runner: fc.nat(2) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('effect_error' as const),
      category: fc.constantFrom('temporary' as const, 'permanent' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('message_fails' as const), exitCode: fc.constantFrom(16, 19, 7) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('time' as const), ms: fc.constantFrom(1_000, 21_000, 150_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pause' as const), now: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('resume' as const),
      state: fc.option(fc.constantFrom(...Object.keys(SEALER), 'Nonsense', 'constructor'), { nil: undefined }),
      force: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('abort' as const), force: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), awayMs: fc.constantFrom(0, 60_000) }) },
);
type Action = typeof action extends fc.Arbitrary<infer A> ? A : never;

/** Plays actions on one job with two own runners and a rented one. */
class Play {
  readonly world = new World({ retry: { firstWaitMs: 1_000, maxWaitMs: 60_000, maxRetries: 3 } });
  readonly granted: Granted[] = [];
  /** Messages that failed on chain: only after one of these may another be signed. */
  readonly dead = new Set<string>();
  runners: RunnerId[] = [];
  job!: Job;

  async begin(): Promise<void> {
    await this.world.start();
    for (const [name, trust] of [
      ['own-1', 'own'],
      ['own-2', 'own'],
      ['rented', 'rented'],
    ] as const) {
      this.runners.push((await this.world.register(name, trust)).id);
    }
    this.job = (await this.world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1 }, 'test')))[0] as Job;
  }

  /** Answers honestly until the job is in `state`. */
  async forward(state: string): Promise<void> {
    for (let round = 0; round < 60 && (await this.world.job(this.job.id)).state !== state; round += 1) {
      await this.step(round % 2 === 0 ? { do: 'effects' } : { do: 'work', runner: 0 });
    }
  }

  private async take(at: number): Promise<Granted[]> {
    const granted = await this.world.grant(this.runners[at] as RunnerId);
    this.granted.push(...granted);
    return granted;
  }

  /** A refused operation must leave the job as it was, byte for byte. */
  private async operate(fn: () => Promise<unknown>): Promise<void> {
    const before = JSON.stringify(await this.world.job(this.job.id));
    try {
      await fn();
    } catch (error) {
      expect(error).toBeInstanceOf(SealpoolError);
      expect(JSON.stringify(await this.world.job(this.job.id))).toBe(before);
    }
  }

  async step(what: Action): Promise<void> {
    const { world, job } = this;
    switch (what.do) {
      case 'work':
        for (const one of await this.take(what.runner)) await world.report(one.runner, world.honest(one));
        break;
      case 'fail':
        for (const one of await this.take(what.runner))
          await world.report(one.runner, world.failure(one, what.code, what.code === 'input_differs' ? { input: 'sealed' } : {}));
        break;
      case 'drop':
        await this.take(what.runner);
        break;
      case 'late': {
        const one = this.granted[what.at % Math.max(1, this.granted.length)];
        if (one === undefined) break;
        const before = JSON.stringify(await world.job(job.id));
        const { status } = await world.report(one.runner, world.honest(one));
        if (status === 'lease_lost' || status === 'duplicate') expect(JSON.stringify(await world.job(job.id))).toBe(before);
        break;
      }
      case 'effects':
        for (const effect of await world.effects()) await world.perform(effect);
        break;
      case 'effect_error':
        for (const effect of await world.effects())
          await world.perform(effect, { outcome: 'error', category: what.category, code: 'node', message: 'the node is away' });
        break;
      case 'message_fails':
        for (const effect of await world.effects()) {
          const landed: EffectOutcome = { outcome: 'landed', epoch: 9, exitCode: what.exitCode, onChain: false, detail: '' };
          await world.perform(effect, effect.want.kind === 'landed' ? landed : undefined);
          if (effect.want.kind === 'landed') this.dead.add(effect.want.message);
        }
        break;
      case 'time':
        await world.tick(what.ms);
        break;
      case 'pause':
        await this.operate(() => world.run((ctx) => pauseJob(ctx, job.id, { now: what.now }, 'test')));
        break;
      case 'resume':
        await this.operate(() => world.run((ctx) => resumeJob(ctx, job.id, { state: what.state, force: what.force }, 'test')));
        break;
      case 'abort':
        await this.operate(() => world.run((ctx) => abortJob(ctx, job.id, { force: what.force }, 'test')));
        break;
      case 'restart':
        world.nowMs += what.awayMs;
        await world.run((ctx) => restarted(ctx));
        break;
    }
  }

  async check(): Promise<void> {
    const job = await this.world.job(this.job.id);
    checkHistory(job, await this.world.events(job.id));
    const { attempts, effects } = await this.world.run((ctx) => ({
      attempts: ctx.tx.attemptsOfJob(job.id),
      effects: ctx.tx.effectsOfJob(job.id),
    }));
    expect(attempts.filter(({ status }) => status === 'running').length, 'running attempts').toBeLessThanOrEqual(1);
    for (const stage of new Set(attempts.map((attempt) => attempt.stage))) {
      const epochs = attempts
        .filter((attempt) => attempt.stage === stage)
        .map(({ epoch }) => epoch)
        .sort((a, b) => a - b);
      expect(epochs).toEqual(epochs.map((_, at) => at + 1));
    }
    for (const step of ['SubmitPC', 'SubmitProof']) {
      const live = effects.filter((effect) => effect.step === step && effect.signed !== null && !this.dead.has(effect.signed.cid));
      expect(live.length, `live messages of ${step}`).toBeLessThanOrEqual(1);
    }
  }
}

/** An independent reading of the history: folds to the row, takes only the table's events, generations only rise. */
function checkHistory(job: Job, events: readonly JobEvent[]): void {
  let state: string | null = null;
  let generation = 0;
  for (const event of events) {
    expect(event.generation).toBeGreaterThanOrEqual(generation);
    generation = event.generation;
    if (event.kind === 'created') state = 'Empty';
    if (event.kind === 'transition') {
      expect(event.from).toBe(state);
      const row: Record<string, string> = SEALER[state as keyof typeof SEALER];
      expect(row[event.event ?? '']).toBe(event.to);
      state = event.to;
    }
    if (event.kind === 'went_back' || event.kind === 'aborted') {
      expect(event.from).toBe(state);
      state = event.to;
    }
  }
  expect(job.state).toBe(state);
  expect(job.generation).toBe(generation);
}

test('promises hold under any mix, and once faults stop every job ends or waits for an operator', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('Empty', 'TicketAssigned', 'PC2Done', 'PCSubmitted', 'C1Done', 'C2Done', 'ProofSubmitted'),
      fc.array(action, { minLength: 5, maxLength: 45 }),
      async (state, actions) => {
        const play = new Play();
        try {
          await play.begin();
          await play.forward(state);
          for (const what of actions) {
            await play.step(what);
            await play.check();
          }
          const before = await play.world.job(play.job.id);
          if (before.paused) await play.world.run((ctx) => resumeJob(ctx, before.id, { force: true }, 'test'));
          await play.world.run((ctx) => {
            for (const runner of ctx.tx.runners()) ctx.tx.updateRunner({ ...runner, lastSeenMs: play.world.nowMs, status: 'ready' });
          });
          await play.world.finish(play.runners);
          await play.check();
          const job = await play.world.job(play.job.id);
          expect(isFinal(job.state), `it stays in ${job.state}: ${JSON.stringify(job.waiting)} ${JSON.stringify(job.error)}`).toBe(true);
        } finally {
          play.world.close();
        }
      },
    ),
    { numRuns: RUNS },
  );
}, 240_000);
