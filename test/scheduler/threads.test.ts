/** sealing_threads: those that make their own jobs, the switch, what each takes, and the next one on every path. */
import { afterEach, expect, test } from 'vitest';
import type { Settings, ThreadSettings } from '../../src/scheduler/context.ts';
import { explain } from '../../src/scheduler/explain.ts';
import { abortJob } from '../../src/scheduler/operate.ts';
import { effectDone } from '../../src/scheduler/outbox.ts';
import { pledge } from '../../src/scheduler/pledge.ts';
import { setThreadEnabled } from '../../src/scheduler/threads.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import { COMM_D, COMM_R, TICKET } from './honest.ts';
import { wholeDatabase } from './whole-database.ts';
import { MINER, World } from './world.ts';

let world: World;
let own: RunnerId;
afterEach(() => world.close());

const open = async (thread: Partial<ThreadSettings>, lastSector = 4): Promise<void> => {
  world = new World({
    miners: { [MINER]: { sealProof: 'StackedDrg2KiBV1_1', firstSector: 1, lastSector, allowCc: true } },
    threads: [{ worker: 'w', index: 0, plan: 'sealer', miner: null, auto: false, ...thread }],
  });
  await world.start();
  own = (await world.register('own')).id;
};

const jobs = (): Promise<readonly Job[]> => world.run((ctx) => ctx.tx.jobs({}, 100, null).items.toReversed());
const thread = () => world.run((ctx) => ctx.tx.thread('w/0'));
const one = async (count = 1): Promise<Job['id']> => {
  const [job] = await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count }, 'test'));
  return (job as Job).id;
};

test('an auto sealer seals until its numbers are used up; what somebody asks for goes first', async () => {
  await open({ auto: true });
  const asked = await one();
  await world.finish([own], 400);
  const all = await jobs();
  expect(all.map(({ state, number, paused }) => ({ state, number, paused }))).toEqual([
    ...[1, 2, 3, 4].map((number) => ({ state: 'Finished', number, paused: false })),
    { state: 'Empty', number: null, paused: true },
  ]);
  expect(all[1]?.id).toBe(asked);
  expect((await world.events((all[0] as Job).id))[0]).toMatchObject({ kind: 'created', actor: 'thread:w/0' });
  expect(all[4]?.error?.code).toBe('numbers_used_up');
});

test('an auto snapup makes a job only while there are data and a sector to take it', async () => {
  await open({ plan: 'snapup', auto: true });
  await world.tick(1_000);
  expect(await jobs()).toEqual([]);
  await world.piece();
  await world.tick(1_000);
  expect(await jobs()).toEqual([]);
  await world.run((ctx) =>
    ctx.tx.putSectorRecord({
      miner: MINER,
      number: 40,
      sealProof: 'StackedDrg2KiBV1_1',
      ticket: TICKET,
      commD: COMM_D,
      commR: COMM_R,
      pieces: [],
      update: null,
      files: { storage: 'store', root: '/storage', files: null },
      preCommit: null,
      proveCommit: null,
      replicaUpdate: null,
      source: 'lotus',
    }),
  );
  world.chain.proven(40);
  await world.finish([own]);
  const [job, ...more] = await jobs();
  expect(job).toMatchObject({ plan: 'snapup', number: 40, state: 'Finished' });
  // Upgraded: no candidate any more, whatever waits.
  await world.piece();
  await world.tick(1_000);
  expect(more).toEqual([]);
  expect(await jobs()).toHaveLength(1);
});

test('switched off it finishes its sector and takes no other; switched on it takes the next at once', async () => {
  await open({});
  const first = await one(2);
  await world.run((ctx) => setThreadEnabled(ctx, 'w', 0, false, 'operator:a'));
  await world.finish([own], 60);
  expect(await world.job(first)).toMatchObject({ state: 'Finished' });
  expect(await thread()).toMatchObject({ enabled: false, job: null });
  const [, second] = await jobs();
  expect(second).toMatchObject({ state: 'Empty', waiting: { for: 'thread' } });
  expect((await world.run((ctx) => explain(ctx, second as Job))).sentence).toMatch(
    /every sealing_thread with the sealer plan is switched off/,
  );
  expect((await world.events(first)).some(({ kind, actor }) => kind === 'note' && actor === 'operator:a')).toBe(true);
  await world.run((ctx) => setThreadEnabled(ctx, 'w', 0, true, 'operator:a'));
  expect(await thread()).toMatchObject({ enabled: true, job: second?.id });
  const before = wholeDatabase(world);
  await expect(world.run((ctx) => setThreadEnabled(ctx, 'w', 7, true, 'operator:a'))).rejects.toMatchObject({
    status: 404,
    message: expect.stringContaining('there are w/0'),
  });
  expect(wholeDatabase(world)).toBe(before);
});

test('the switch outlives a restart', async () => {
  await open({ auto: true });
  await world.run((ctx) => setThreadEnabled(ctx, 'w', 0, false, 'operator:a'));
  await world.start();
  expect(await thread()).toMatchObject({ enabled: false });
});

test('one that the configuration no longer names finishes its sector, takes no other, and goes', async () => {
  await open({});
  const first = await one(2);
  const mutable = world.settings as { threads: Settings['threads'] };
  mutable.threads = [{ worker: 'other', index: 0, plan: 'snapup', miner: null, auto: false }];
  await world.start();
  await world.finish([own], 60);
  const [, second] = await jobs();
  expect(await world.job(first)).toMatchObject({ state: 'Finished' });
  expect(second).toMatchObject({ state: 'Empty', thread: null });
  expect(await thread()).toBeUndefined();
  expect((await world.run((ctx) => explain(ctx, second as Job))).sentence).toMatch(
    /no sealing_thread takes the sealer plan .* configure one/,
  );
});

test('a thread goes on to the next one in the transaction that ended the last, however it ended', async () => {
  await open({});
  const ends: Record<string, (id: Job['id']) => Promise<unknown>> = {
    abort: (id) => world.run((ctx) => abortJob(ctx, id, {}, 'test')),
    'an error of the abort category': async () => {
      const [effect] = await world.effects();
      await world.run((ctx) =>
        effectDone(ctx, effect?.id as never, {
          outcome: 'error',
          category: 'abort',
          code: 'deals_withdrawn',
          message: 'the deals are gone; pledge anew',
        }),
      );
    },
    finish: async (id) => {
      // No tick: what frees the thread is the landing of the last message.
      for (let round = 0; round < 100 && (await world.job(id)).state !== 'Finished'; round += 1) {
        const [effect] = await world.effects();
        if (effect !== undefined) await world.perform(effect);
        else for (const granted of await world.grant(own)) await world.report(own, world.honest(granted));
      }
    },
  };
  for (const [how, end] of Object.entries(ends)) {
    const last = (await thread())?.job ?? (await one());
    const next = await one();
    await end(last);
    expect((await world.job(last)).state, how).toMatch(/Finished|Aborted/);
    expect(await thread(), how).toMatchObject({ job: next });
  }
});

test('its own limits count: retries, deals per sector, committed capacity, the skipped check', async () => {
  await open({ maxRetries: 1, allowCc: false, minDeals: 2, maxDeals: 2, skipOnchainCheck: true });
  const half = async () =>
    world.run((ctx) => {
      const id = ctx.ids.next('p') as never;
      const sizes = { sizeBytes: '508', paddedSizeBytes: '512', hash: `sha256:${'0'.repeat(64)}` };
      ctx.tx.insertPiece({
        id,
        miner: MINER,
        key: `pieces/${String(id)}`,
        ...sizes,
        cid: null,
        job: null,
        reserved: false,
        createdMs: world.nowMs,
      });
    });
  await half();
  const id = await one();
  for (const effect of await world.effects()) await world.perform(effect);
  expect(await world.job(id)).toMatchObject({ state: 'Allocated', paused: false, error: { code: 'no_deals' }, data: { pieces: [] } });
  await half();
  await half();
  await world.tick(60_000);
  expect((await world.job(id)).data.pieces).toHaveLength(2);
  expect((await world.job(id)).data.asked).toEqual({ skipOnchainCheck: true });
  // A low balance is tried again once, whatever the configuration says for all.
  for (let round = 0; round < 200 && !(await world.job(id)).paused; round += 1) {
    const broke = { outcome: 'landed', epoch: 9, exitCode: 19, onChain: false, detail: '' } as const;
    for (const effect of await world.effects()) await world.perform(effect, effect.step === 'CheckPC' ? broke : undefined);
    for (const granted of await world.grant(own)) await world.report(own, world.honest(granted));
    await world.tick(2_000);
  }
  expect(await world.job(id)).toMatchObject({ paused: true, retries: 2, error: { code: 'pre_commit_failed' } });
});
