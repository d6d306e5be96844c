/** How many of a stage run at a time, and how far apart they start, for all workers and for each. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Context, Limits, Signal } from '../../src/scheduler/context.ts';
import { explain } from '../../src/scheduler/explain.ts';
import { grantStages } from '../../src/scheduler/grants.ts';
import { limits, setLimits } from '../../src/scheduler/limits.ts';
import { pledge } from '../../src/scheduler/pledge.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import { tick } from '../../src/scheduler/tick.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import { wholeDatabase } from './whole-database.ts';
import { MINER, World } from './world.ts';

const THREADS = (['a', 'a', 'b', 'b'] as const).map((worker, at) => ({
  worker,
  index: at % 2,
  plan: 'sealer' as const,
  miner: null,
  auto: false,
}));
let world: World;
let own: RunnerId;

const open = async (set?: Limits): Promise<void> => {
  world = new World({ threads: THREADS, limits: set });
  await world.start();
  own = (await world.register('own')).id;
};
beforeEach(() => open());
afterEach(() => world.close());

/** Four jobs, all waiting for a runner for AddPiece. */
const four = async (): Promise<Job['id'][]> => {
  const jobs = await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 4 }, 'test'));
  for (const effect of await world.effects()) await world.perform(effect);
  return jobs.map(({ id }) => id);
};

const stagesOf = async (slots = 8): Promise<string[]> => (await world.grant(own, slots)).map(({ grant }) => grant.stage);
/** What the transaction of `fn` woke. */
const woken = async (fn: (ctx: Context) => unknown): Promise<Signal[]> =>
  world.run((ctx) => {
    fn(ctx);
    return [...ctx.signals];
  });
const set = (patch: Parameters<typeof setLimits>[1]): Promise<Limits> => world.run((ctx) => setLimits(ctx, patch, 'test'));

describe('concurrent', () => {
  test('of all workers: so many at a time, and the next one once one has ended', async () => {
    await set({ all: { concurrent: { AddPiece: 2 } } });
    await four();
    const granted = await world.grant(own, 8);
    expect(granted).toHaveLength(2);
    expect(await stagesOf()).toEqual([]);
    const [first] = granted;
    if (first === undefined) throw new Error('nothing was granted');
    await world.report(own, world.honest(first));
    expect((await stagesOf()).filter((stage) => stage === 'AddPiece')).toHaveLength(1);
  });

  test('of one worker: the other is not held up, whoever has waited longer', async () => {
    await set({ workers: { a: { concurrent: { AddPiece: 1 } } } });
    const ids = await four();
    await world.grant(own, 8);
    const running = await world.run((ctx) => ids.map((id) => ctx.tx.job(id) as Job).filter(({ waiting }) => waiting.for === 'stage'));
    expect(running.map(({ thread }) => thread?.[0]).sort()).toEqual(['a', 'b', 'b']);
  });

  test('a place that is held while the ticket is drawn counts', async () => {
    await set({ all: { concurrent: { PC1: 1 } } });
    const ids = await four();
    for (let round = 0; round < 12; round += 1) {
      for (const granted of await world.grant(own, 8)) await world.report(own, world.honest(granted));
      const jobs = await Promise.all(ids.map((id) => world.job(id)));
      const held = jobs.filter(({ reserved, state }) => reserved !== null || state === 'TicketAssigned');
      expect(held.length).toBeLessThanOrEqual(1);
    }
    await world.finish([own], 400);
    for (const id of ids) expect(await world.job(id)).toMatchObject({ state: 'Finished' });
  });

  test('explain names it, and a lost stage frees its place and wakes who waits', async () => {
    await set({ all: { concurrent: { AddPiece: 1 } } });
    const ids = await four();
    await world.grant(own, 8);
    const waiting = (await Promise.all(ids.map((id) => world.job(id)))).find((job) => job.waiting.for === 'runner');
    if (waiting === undefined) throw new Error('none waits');
    const before = wholeDatabase(world);
    const { sentence } = await world.run((ctx) => explain(ctx, waiting));
    expect(sentence).toContain('AddPiece waits although a runner may be free: 1 of at most 1 AddPiece run now (limit concurrent)');
    expect(wholeDatabase(world)).toBe(before);
    world.nowMs += 60_000;
    expect(await woken(tick)).toContain('stage:AddPiece');
    expect(await stagesOf()).toHaveLength(1);
  });
});

describe('staggered', () => {
  test('starts are spaced, and a runner that waits is woken when the time is over', async () => {
    await set({ all: { staggeredMs: { AddPiece: 10_000 } } });
    const [, second] = await four();
    expect(await stagesOf()).toHaveLength(1);
    world.nowMs += 4_000;
    expect(await stagesOf()).toEqual([]);
    const { sentence } = await world.run((ctx) => explain(ctx, ctx.tx.job(second as Job['id']) as Job));
    expect(sentence).toContain('the next AddPiece starts in 6 s (limit staggered)');
    expect(await world.run((ctx) => tick(ctx).wakeAtMs)).toBeLessThanOrEqual(world.nowMs + 6_000);
    expect(await woken(tick)).not.toContain('stage:AddPiece');
    world.nowMs += 6_000;
    expect(await woken(tick)).toContain('stage:AddPiece');
    expect(await stagesOf()).toHaveLength(1);
  });

  test('of one worker leaves the other alone', async () => {
    await set({ workers: { b: { staggeredMs: { AddPiece: 600_000 } } } });
    await four();
    expect(await stagesOf()).toHaveLength(3);
  });

  test('PC1 starts when its ticket is drawn: it is not held up twice', async () => {
    await set({ all: { staggeredMs: { PC1: 300_000 } } });
    const ids = await four();
    await world.finish([own], 600);
    for (const id of ids) expect(await world.job(id)).toMatchObject({ state: 'Finished' });
    const starts = await world.run((ctx) =>
      ids
        .flatMap((id) => ctx.tx.attemptsOfJob(id).flatMap(({ stage, grantedMs }) => (stage === 'PC1' ? [grantedMs] : [])))
        .sort((a, b) => a - b),
    );
    for (const [at, ms] of starts.entries()) if (at > 0) expect(ms - (starts[at - 1] as number)).toBeGreaterThanOrEqual(300_000 - 30_000);
  });
});

describe('settings', () => {
  test('the configuration counts until something is set, and again when that is taken back', async () => {
    world.close();
    await open({ all: { concurrent: { PC1: 4 } }, workers: { a: { staggeredMs: { PC2: 5 } } } });
    expect(await world.run(limits)).toEqual({
      all: { concurrent: { PC1: 4 }, staggeredMs: {} },
      workers: { a: { concurrent: {}, staggeredMs: { PC2: 5 } } },
    });
    await set({ all: { concurrent: { PC1: 1, C2: 2 } } });
    await set({ workers: { b: { concurrent: { C2: 0 } } } });
    expect(await world.run(limits)).toMatchObject({ all: { concurrent: { PC1: 1, C2: 2 } }, workers: { b: { concurrent: { C2: 0 } } } });
    await set({ all: { concurrent: { PC1: null, C2: null } }, workers: { b: { concurrent: { C2: null } } } });
    expect(await world.run(limits)).toMatchObject({ all: { concurrent: { PC1: 4 } }, workers: { a: { staggeredMs: { PC2: 5 } } } });
    expect((await world.run(limits)).workers['b']).toBeUndefined();
  });

  test('is refused as a whole where a part is wrong, with what to do', async () => {
    const before = wholeDatabase(world);
    for (const [patch, message] of [
      [{ all: { concurrent: { PC1: 1, PC3: 1 } } }, /there is no stage PC3; stages are AddPiece/],
      [{ all: { concurrent: { PC1: -1 } } }, /PC1 is -1; give a whole number from 0 on/],
      [{ all: { concurrent: { PC1: 1 } }, workers: { c: {} } }, /there is no worker c; there are a, b/],
    ] as const) {
      await expect(set(patch as Parameters<typeof setLimits>[1])).rejects.toThrow(message);
    }
    expect(wholeDatabase(world)).toBe(before);
  });

  test('none set: nothing is counted', async () => {
    await four();
    let counted = 0;
    await world.run((ctx) => {
      const tx = new Proxy(ctx.tx, {
        get: (target, name) => {
          if (name === 'runningByThread') counted += 1;
          return Reflect.get(target, name);
        },
      });
      const runner = ctx.tx.runner(own) as RunnerRow;
      expect(grantStages({ ...ctx, tx }, runner, 1)).toHaveLength(1);
      expect(counted).toBe(0);
      setLimits(ctx, { all: { concurrent: { AddPiece: 9 } } }, 'test');
      grantStages({ ...ctx, tx }, runner, 1);
    });
    expect(counted).toBe(1);
  });
});
