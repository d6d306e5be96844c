/** In which order stages are handed out: a ticket near its end, a miner's priority, and how long they have waited. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { setHead } from '../../../src/scheduler/head.ts';
import { insertJob } from '../../../src/scheduler/new-job.ts';
import { URGENT_MS, rankOf, runnerWanted } from '../../../src/scheduler/placement/rank.ts';
import { planOf } from '../../../src/scheduler/plans/all.ts';
import type { RunnerRow } from '../../../src/scheduler/ports.ts';
import { tick } from '../../../src/scheduler/tick.ts';
import { type MinerId, MinerId as Miner, type RunnerId } from '../../../src/schema/ids.ts';
import type { Job } from '../../../src/schema/job.ts';
import type { SealProof } from '../../../src/schema/seal-proof.ts';
import { COMM_D, TICKET } from '../honest.ts';
import { MINER, World } from '../world.ts';
import { RESOURCES, sealed } from './rows.ts';

const PROOF: SealProof = 'StackedDrg32GiBV1_1';
const HOUR = 3_600_000;
const EPOCH_MS = 30_000;
const NOW_EPOCH = 10_000;
/** From PC2 to the pre-commit on chain, and so long a ticket is good. */
const [NEEDED, VALID] = [56 + 4 + 2 + 10, 3_780];
const DEAR = Miner.parse('t02000');

let world: World;
let own: RunnerId;
beforeEach(async () => {
  const miner = { sealProof: PROOF, firstSector: 1, lastSector: 1000, allowCc: true };
  world = new World({ miners: { [MINER]: miner, [DEAR]: { ...miner, priority: 5 } } }, { sql: '', nowMs: 1e9, ids: 0, nonce: 0 });
  await world.start();
  own = (await world.register('own')).id;
  await world.run((ctx) => {
    ctx.tx.updateRunner({ ...(ctx.tx.runner(own) as RunnerRow), resources: RESOURCES });
    setHead(ctx, { epoch: NOW_EPOCH, epochMs: EPOCH_MS });
  });
});
afterEach(() => world.close());

/** A job whose PC2 has waited so long, and whose ticket leaves it so much time. */
function waits(n: number, waitedMs: number, leftMs: number, miner: MinerId = MINER): Promise<Job['id']> {
  return world.run((ctx) => {
    const job = insertJob(ctx, { plan: planOf('sealer'), miner, sealProof: PROOF }, 'test');
    const { data } = sealed(n, PROOF, own, own);
    const ticket = { ...TICKET, epoch: NOW_EPOCH - VALID + NEEDED + leftMs / EPOCH_MS };
    const full: Job = {
      ...job,
      thread: `w/${n}`,
      number: n,
      state: 'PC1Done',
      data: { ...data, ticket, commD: COMM_D, layout: [], treeD: true, layers: true },
    };
    ctx.tx.updateJob({ ...full, waiting: runnerWanted(ctx, full, 'PC2', { do: 'stage', stage: 'PC2' }, ctx.nowMs - waitedMs) });
    return job.id;
  });
}

const order = async (): Promise<string[]> => (await world.grant(own, 9)).map(({ grant }) => grant.sector as string);

test('a stage near the end of its ticket overtakes those that have waited for a day', async () => {
  await waits(1, 24 * HOUR, 10 * HOUR);
  await waits(2, 1 * HOUR, 10 * HOUR);
  await waits(3, 0, HOUR);
  await waits(4, 0, HOUR / 2);
  expect(await order()).toEqual(['s-t01000-4', 's-t01000-3', 's-t01000-1', 's-t01000-2']);
});

test('one whose ticket comes near its end while it waits is put forward then', async () => {
  await waits(1, 24 * HOUR, 20 * HOUR);
  const late = await waits(2, 0, 3 * HOUR);
  expect((await world.job(late)).waiting).not.toHaveProperty('rankMs');
  world.nowMs += 2 * HOUR;
  await world.run((ctx) => void tick(ctx));
  expect((await world.job(late)).waiting).toMatchObject({ for: 'runner', sinceMs: world.nowMs - 2 * HOUR });
  await world.run((ctx) => ctx.tx.updateRunner({ ...(ctx.tx.runner(own) as RunnerRow), lastSeenMs: world.nowMs }));
  expect(await order()).toEqual(['s-t01000-2', 's-t01000-1']);
});

test("a miner's priority counts as hours of waiting, and no further", async () => {
  await waits(1, 6 * HOUR, 20 * HOUR);
  await waits(2, 4 * HOUR, 20 * HOUR);
  await waits(3, 0, 20 * HOUR, DEAR);
  expect(await order()).toEqual(['s-t01000-1', 's-t02000-3', 's-t01000-2']);
});

test('who has waited for longer than anything is put forward goes first', () => {
  const now = 1e10;
  const urgent = rankOf(now, now, 24, { of: 'pre_commit', leftMs: 0 });
  expect(urgent).toBe(now - URGENT_MS);
  expect(rankOf(now, now, 0, { of: 'pre_commit', leftMs: -1e9 })).toBe(now - URGENT_MS);
  expect(rankOf(now - URGENT_MS - 24 * HOUR - 1, now, -24, undefined)).toBeLessThan(urgent);
});

test('how long stages took is learnt from reports', async () => {
  const small = new World();
  try {
    await small.start();
    const { id } = await small.register('own');
    const job = await small.ask();
    await small.finish([id]);
    expect(await small.job(job)).toMatchObject({ state: 'Finished' });
    const row = await small.run((ctx) => ctx.tx.runner(id));
    for (const stage of ['PC1', 'PC2', 'C1', 'C2', 'Persist']) expect(row?.stageMs).toHaveProperty([`${stage}/2048`]);
    const [attempt] = await small.run((ctx) => ctx.tx.attemptsOfJob(job));
    expect(attempt?.expected).toMatchObject({ fetchMs: 0, ramBytes: 0 });
  } finally {
    small.close();
  }
});
