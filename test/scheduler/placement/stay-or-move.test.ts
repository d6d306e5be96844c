/** 32 GiB stages through the real engine and store: PC2 stays with its layers or moves, whichever is cheaper, and never waits for ever. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { explain } from '../../../src/scheduler/explain.ts';
import { heartbeat, lose } from '../../../src/scheduler/fleet.ts';
import { insertJob } from '../../../src/scheduler/new-job.ts';
import { learned } from '../../../src/scheduler/placement/stage-times.ts';
import { pledge } from '../../../src/scheduler/pledge.ts';
import { planOf } from '../../../src/scheduler/plans/all.ts';
import type { RunnerRow } from '../../../src/scheduler/ports.ts';
import { tick } from '../../../src/scheduler/tick.ts';
import type { RunnerId } from '../../../src/schema/ids.ts';
import type { Attempt, Job } from '../../../src/schema/job.ts';
import type { SealProof } from '../../../src/schema/seal-proof.ts';
import { COMM_D, TICKET } from '../honest.ts';
import { type Granted, MINER, World } from '../world.ts';
import { attempt as attemptRow } from '../../store/rows.ts';
import { GIB, RESOURCES, sealed } from './rows.ts';

const PROOF: SealProof = 'StackedDrg32GiBV1_1';
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let world: World;
let near: RunnerRow;
let far: RunnerRow;
beforeEach(async () => {
  const miner = { sealProof: PROOF, firstSector: 1, lastSector: 1000, allowCc: true };
  world = new World({
    miners: { [MINER]: miner },
    threads: [0, 1, 2].map((index) => ({ worker: 'w', index, plan: 'sealer', miner: null, auto: false })),
  });
  await world.start();
  near = await machine('near');
  far = await machine('far');
});
afterEach(() => world.close());

async function machine(name: string, change: Partial<RunnerRow> = {}): Promise<RunnerRow> {
  const row = { ...(await world.register(name)), resources: RESOURCES, slots: 1, ...change };
  await world.run((ctx) => ctx.tx.updateRunner(row));
  return row;
}

/** Whatever it says of itself from now on, it is there. */
const say = (runner: RunnerRow, change: Partial<RunnerRow> = {}): Promise<void> =>
  world.run((ctx) => ctx.tx.updateRunner({ ...(ctx.tx.runner(runner.id) as RunnerRow), lastSeenMs: world.nowMs, ...change }));

/** A job whose PC2 waits since now; `by` has its layers. */
function waitsForPc2(proof = PROOF, n = 1, by = near): Promise<Job> {
  return world.run((ctx) => {
    const job = insertJob(ctx, { plan: planOf('sealer'), miner: MINER, sealProof: proof }, 'test');
    const { data } = sealed(n, proof, by.id, by.id);
    const waiting = { for: 'runner', stage: 'PC2', sinceMs: ctx.nowMs } as const;
    const ready = { ...job, thread: `w/${n}`, number: n, state: 'PC1Done', waiting };
    const full: Job = { ...ready, data: { ...data, ticket: TICKET, commD: COMM_D, layout: [], treeD: true, layers: true } };
    ctx.tx.updateJob(full);
    return full;
  });
}

/** The runner has another job's PC1 in hand, which is expected to take so long. */
const busy = (runner: RunnerRow, takesMs: number): Promise<void> =>
  world.run((ctx) => {
    const other = insertJob(ctx, { plan: planOf('sealer'), miner: MINER, sealProof: PROOF }, 'test');
    const expected: Attempt['expected'] = { fetchMs: 0, stageMs: takesMs, ramBytes: 56 * GIB, diskBytes: 0 };
    const times = { grantedMs: ctx.nowMs, leaseUntilMs: ctx.nowMs + 100 * HOUR };
    ctx.tx.insertAttempt(attemptRow(7, { job: other.id, runner: runner.id, ...times, expected }));
  });

const free = (): Promise<void> =>
  world.run((ctx) => {
    const row = ctx.tx.attempt(attemptRow(7).id) as Attempt;
    ctx.tx.updateAttempt({ ...row, status: 'done', endedMs: ctx.nowMs });
  });

const asks = async (runner: RunnerRow): Promise<string[]> => (await world.grant(runner.id as RunnerId)).map(({ grant }) => grant.stage);
const said = (job: Job) => world.run((ctx) => explain(ctx, ctx.tx.job(job.id) as Job));
const costs = async (job: Job) => Object.fromEntries((await said(job)).candidates.map(({ name, cost, gets }) => [name, { ...cost, gets }]));

test('one that failed takes the stage again where the others never have room; where they will have, they go first', async () => {
  for (const runner of [near, far]) await say(runner, runner === far ? { resources: { ...RESOURCES, diskFreeBytes: 400 * GIB } } : {});
  await waitsForPc2();
  const [granted] = await world.grant(near.id as RunnerId);
  await world.report(near.id as RunnerId, world.failure(granted as Granted, 'interrupted'));
  world.nowMs += HOUR / 2;
  await say(near);
  await say(far, { resources: RESOURCES });
  expect(await asks(near)).toEqual([]);
  await say(far, { resources: { ...RESOURCES, diskFreeBytes: 400 * GIB } });
  expect([await asks(far), await asks(near)]).toEqual([[], ['PC2']]);
});

/** A PC2 that `near` had and does not have any more. */
async function gone(how: 'lost' | 'internal' | 'interrupted'): Promise<Job> {
  const job = await waitsForPc2();
  const granted = (await world.grant(near.id as RunnerId))[0] as Granted;
  if (how === 'lost') await world.run((ctx) => lose(ctx, ctx.tx.attempt(granted.grant.attempt) as Attempt, 'its lease ran out'));
  else await world.report(near.id as RunnerId, world.failure(granted, how));
  return job;
}

describe('a runner without a stage that it had', () => {
  const later = async (ms: number): Promise<void> => {
    world.nowMs += ms;
    await Promise.all([say(near), say(far)]);
    await world.tick();
  };

  test.each(['lost', 'interrupted'] as const)('gets it back at once when the other is busy for hours: %s', async (how) => {
    await busy(far, 3 * HOUR);
    const job = await gone(how);
    expect((await said(job)).candidates.find(({ name }) => name === 'near')).toMatchObject({ fits: true, gets: true });
    expect(await asks(near)).toEqual(['PC2']);
  });

  test('lets the other go first that is free within a minute, and takes it when that one does not come for an hour', async () => {
    await busy(far, MINUTE);
    const job = await gone('lost');
    expect(await asks(near)).toEqual([]);
    expect((await said(job)).candidates.find(({ name }) => name === 'near')).toMatchObject({ fits: false });
    await later(MINUTE);
    await free();
    expect(await asks(near)).toEqual([]);
    await later(HOUR);
    expect(await asks(near)).toEqual(['PC2']);
  });

  test('by its own fault waits for the other, where that is free before an hour is over', async () => {
    await busy(far, HOUR / 2);
    await gone('internal');
    expect(await asks(near)).toEqual([]);
    await later(5_000);
    expect(await asks(near)).toEqual([]);
    await later(HOUR / 2);
    await free();
    expect([await asks(near), await asks(far)]).toEqual([[], ['PC2']]);
  });

  test('by its own fault, while the other is busy for longer than an hour, takes it all the same', async () => {
    await busy(far, 3 * HOUR);
    await gone('internal');
    await later(5_000);
    expect(await asks(near)).toEqual(['PC2']);
  });

  test('twice waits as if by its own fault', async () => {
    await busy(far, HOUR / 2);
    await gone('lost');
    const again = (await world.grant(near.id as RunnerId))[0] as Granted;
    await world.run((ctx) => lose(ctx, ctx.tx.attempt(again.grant.attempt) as Attempt, 'its lease ran out'));
    expect(await asks(near)).toEqual([]);
  });
});

describe('PC2 and its layers', () => {
  test('stay together while moving costs more than waiting', async () => {
    const job = await waitsForPc2();
    await busy(near, 20 * MINUTE);
    expect(await asks(far)).toEqual([]);
    const found = await costs(job);
    // 13 files of 416 GiB at a gigabit: an hour. Waiting costs 20 minutes.
    expect(found).toMatchObject({
      near: { gets: true, transferS: 0, queueS: 1_200, stageS: 480, measured: false },
      far: { gets: false, queueS: 0, lacksBytes: 13 * 32 * GIB + 2_000 },
    });
    expect(found['far']?.transferS).toBeCloseTo((13 * 32 * GIB) / 125e6, -1);
    expect((await said(job)).sentence).toContain('It would go to near, which is expected to be free in 20 min');
    world.nowMs += 20 * MINUTE;
    await Promise.all([say(near), say(far)]);
    await free();
    expect(await asks(far)).toEqual([]);
    expect(await asks(near)).toEqual(['PC2']);
  });

  test('part at once when the one that has them is busy for longer than moving takes', async () => {
    await waitsForPc2();
    await busy(near, 5 * HOUR);
    expect(await asks(far)).toEqual(['PC2']);
  });

  test('part at once when the network makes moving cheap', async () => {
    await waitsForPc2();
    await say(far, { resources: { ...RESOURCES, network: { downBytesPerS: 1e10, upBytesPerS: 1e10, measuredMs: 1 } } });
    expect(await asks(far)).toEqual(['PC2']);
  });

  test('part when keeping a rented machine until the prove-commit costs more, and stay when synthetic proofs let it go', async () => {
    await say(near, { labels: ['usd_per_hour=2'] });
    const job = await waitsForPc2();
    expect((await costs(job))['near']).toMatchObject({ keptS: 216 * 30, gets: false });
    expect(await asks(far)).toEqual(['PC2']);
    const synthetic = await waitsForPc2('StackedDrg32GiBV1_1_Feat_SyntheticPoRep', 2);
    await say(far, { slots: 2 });
    expect((await costs(synthetic))['near']).toMatchObject({ keptS: 0, gets: true });
    expect(await asks(far)).toEqual([]);
    expect(await asks(near)).toEqual(['PC2']);
  });

  test('what was measured on a runner counts, and is learnt from what it did', async () => {
    const job = await waitsForPc2();
    expect(await asks(near)).toEqual(['PC2']);
    world.nowMs += 40 * MINUTE;
    const [attempt] = await world.run((ctx) => ctx.tx.attemptsOfJob(job.id));
    const after = learned(near, attempt as Attempt, PROOF, world.nowMs);
    expect(after.stageMs).toEqual({ [`PC2/${32 * GIB}`]: 40 * MINUTE });
    await say(near, { stageMs: { [`PC2/${32 * GIB}`]: 5 * HOUR } });
    const next = await waitsForPc2(PROOF, 2);
    expect((await costs(next))['near']).toMatchObject({ measured: true, stageS: 5 * 3600 });
    expect(await asks(far)).toEqual(['PC2']);
  });
});

describe('waiting for a better runner', () => {
  test('of stages that are alike one is looked at, and the others are left as well, but for the one that the better runner failed', async () => {
    const key = `AddPiece/${32 * GIB}`;
    await say(near, { stageMs: { [key]: MINUTE } });
    await say(far, { slots: 8, stageMs: { [key]: 5 * HOUR } });
    const jobs = await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 3 }, 'test'));
    for (const effect of await world.effects()) await world.perform(effect);
    const second = jobs[1] as Job;
    expect(await world.job(second.id)).toMatchObject({ waiting: { for: 'runner', stage: 'AddPiece' } });
    expect(await world.grant(far.id as RunnerId, 8)).toEqual([]);
    await world.run((ctx) => {
      const { state, generation } = ctx.tx.job(second.id) as Job;
      const lost = { status: 'lost', failure: 'gone', endedMs: ctx.nowMs, leaseUntilMs: ctx.nowMs } as const;
      ctx.tx.insertAttempt(attemptRow(8, { job: second.id, runner: near.id, stage: 'AddPiece', state, generation, ...lost }));
    });
    const [granted, ...more] = await world.grant(far.id as RunnerId, 8);
    expect(await world.job(second.id)).toMatchObject({ waiting: { for: 'stage', attempt: granted?.grant.attempt } });
    expect(more).toEqual([]);
  });

  test('is over when it has lasted as long as that one would save', async () => {
    const job = await waitsForPc2();
    expect(await asks(far)).toEqual([]);
    const { near: here, far: there } = await costs(job);
    const savedMs = ((there?.totalUsd as number) - (here?.totalUsd as number)) * HOUR;
    expect(savedMs).toBeLessThan(HOUR);
    world.nowMs += savedMs - 1_000;
    await Promise.all([say(near), say(far)]);
    expect(await asks(far)).toEqual([]);
    world.nowMs += 2_000;
    // Those that wait are woken then, though nothing happened.
    const signals = await world.run((ctx) => (tick(ctx), [...ctx.signals]));
    expect(signals).toContain('stage:PC2');
    expect(await asks(far)).toEqual(['PC2']);
  });

  test('ends with the patience, whatever would be saved', async () => {
    await waitsForPc2();
    await say(far, {
      labels: ['usd_per_hour=9999'],
      resources: { ...RESOURCES, network: { downBytesPerS: 0, upBytesPerS: 0, measuredMs: 0 } },
    });
    expect(await asks(far)).toEqual([]);
    world.nowMs += HOUR;
    await Promise.all([say(near), say(far)]);
    expect(await asks(far)).toEqual(['PC2']);
  });

  test('does not begin for one that is gone, cannot, or failed', async () => {
    const job = await waitsForPc2();
    expect(await asks(far)).toEqual([]);
    await say(near, { status: 'cordoned' });
    expect((await said(job)).candidates.find(({ name }) => name === 'near')).toMatchObject({ fits: false, cost: null });
    expect(await asks(far)).toEqual(['PC2']);
    await say(near, { status: 'ready', lastSeenMs: world.nowMs - HOUR });
    await waitsForPc2(PROOF, 2);
    expect(await asks(far)).toEqual(['PC2']);
  });

  test('goes on when that one lost one stage of several, and was heard of with the others', async () => {
    await say(near, { slots: 2 });
    await busy(near, MINUTE);
    await waitsForPc2(PROOF, 50);
    world.nowMs += 20_000;
    await world.run((ctx) => {
      const mine = ctx.tx.attempt(attemptRow(7).id) as Attempt;
      ctx.tx.updateAttempt({ ...mine, leaseUntilMs: ctx.nowMs - 1 });
    });
    await Promise.all([say(far), say(near, { lastSeenMs: world.nowMs - 7_000 })]);
    await world.run((ctx) => tick(ctx));
    expect(await asks(far)).toEqual([]);
  });

  test('of many stages that it leaves to others a runner takes the one behind them whose layers it has', async () => {
    await say(near, { slots: 99 });
    for (let n = 100; n < 130; n += 1) await waitsForPc2(PROOF, n);
    expect(await asks(far)).toEqual([]);
    const own = await waitsForPc2(PROOF, 130, far);
    expect(await asks(far)).toEqual(['PC2']);
    expect(await world.job(own.id)).toMatchObject({ waiting: { for: 'stage' } });
  });

  test('is over when a lease of that one runs out, and begins again when it speaks', async () => {
    await say(near, { slots: 2 });
    await busy(near, MINUTE);
    await world.run((ctx) => {
      const mine = ctx.tx.attempt(attemptRow(7).id) as Attempt;
      ctx.tx.updateAttempt({ ...mine, leaseUntilMs: ctx.nowMs + 1 });
    });
    const job = await waitsForPc2(PROOF, 50);
    expect(await asks(far)).toEqual([]);
    world.nowMs += 20_000;
    await say(far);
    const signals = await world.run((ctx) => (tick(ctx), [...ctx.signals]));
    expect(signals).toContain('stage:PC2');
    expect((await said(job)).candidates.find(({ name }) => name === 'near')).toMatchObject({
      fits: false,
      why: 'it has not been heard of lately',
    });
    expect(await asks(far)).toEqual(['PC2']);
    await say(far, { slots: 2 });
    await waitsForPc2(PROOF, 60);
    const spoke = await world.run((ctx) => {
      heartbeat(ctx, ctx.tx.runner(near.id) as RunnerRow, { bootId: near.bootId, attempts: [] });
      return [...ctx.signals];
    });
    // For a poll that it had open.
    expect(spoke).toContain('stage:PC2');
    expect(await asks(far)).toEqual([]);
  });

  test('a second stage that takes the whole machine goes to an idle one like it, and to the busy one where there is no other', async () => {
    for (const runner of [near, far]) await say(runner, { slots: 2 });
    const gone = { ...near, id: 'gone' as RunnerId };
    for (const n of [1, 2]) await waitsForPc2(PROOF, n, gone);
    expect(await world.grant(near.id as RunnerId, 2)).toHaveLength(1);
    expect(await world.grant(far.id as RunnerId, 2)).toHaveLength(1);
    await say(far, { status: 'cordoned' });
    const third = await waitsForPc2(PROOF, 3, gone);
    const { queueS = 0 } = (await costs(third))['near'] ?? {};
    // An hour for the layers, and the stage.
    expect(queueS).toBeGreaterThan(3_600);
    expect(await asks(near)).toEqual(['PC2']);
  });

  test.each([
    [{ gpus: [] }, /it has no GPU/],
    [{ ramBytes: 4 * GIB }, /4\.0 GiB of memory left, and the stage needs 8\.0 GiB/],
    [{ diskFreeBytes: 20 * GIB }, /20\.0 GiB of disk left, and the stage needs 69\.0 GiB/],
  ])('a machine without what PC2 needs does not get it, and explain says why: %o', async (lacks, why) => {
    const job = await waitsForPc2();
    await say(near, { resources: { ...RESOURCES, ...lacks } });
    expect(await asks(near)).toEqual([]);
    expect((await said(job)).candidates.find(({ name }) => name === 'near')).toMatchObject({
      fits: false,
      why: expect.stringMatching(why),
    });
    await say(near, { labels: ['hardware=unchecked'] });
    expect(await asks(near)).toEqual(['PC2']);
  });

  test('two stages that one machine has memory for one by one are not given to it together', async () => {
    await say(far, { status: 'cordoned' });
    await say(near, { slots: 4, resources: { ...RESOURCES, ramBytes: 60 * GIB } });
    await busy(near, HOUR);
    const job = await waitsForPc2();
    expect(await asks(near)).toEqual([]);
    expect((await costs(job))['near']).toMatchObject({ gets: true, queueS: 3_600 });
    await free();
    expect(await asks(near)).toEqual(['PC2']);
  });
});
