/** Layers of PC1 that are kept while it goes on: the next attempt starts after them, their maker answers for them, and they end with the job. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { noteCached } from '../../src/scheduler/artifact-caches.ts';
import { checkCheckpoint, keepCheckpoint } from '../../src/scheduler/checkpoints.ts';
import type { Settings } from '../../src/scheduler/context.ts';
import { lose } from '../../src/scheduler/fleet.ts';
import type { ReportAnswer } from '../../src/scheduler/held-attempt.ts';
import { keysOf } from '../../src/scheduler/live-keys.ts';
import { abortJob, resumeJob } from '../../src/scheduler/operate.ts';
import { holds } from '../../src/scheduler/placement/holdings.ts';
import { setHead } from '../../src/scheduler/head.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import { renewalsOf } from '../../src/scheduler/renewals.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Attempt, Job } from '../../src/schema/job.ts';
import { Checkpoint, type HeartbeatRequest } from '../../src/schema/runner.ts';
import { Stage } from '../../src/schema/stage.ts';
import { COMM_D, digest } from './honest.ts';
import { type Granted, MINER, World } from './world.ts';

const [ONE, TWO] = ['cache/sc-02-data-layer-1.dat', 'cache/sc-02-data-layer-2.dat'] as const;

let world: World;
let own: RunnerId;
let maker: RunnerId;
let id: Job['id'];

/** An own runner for all but PC1, a rented one for PC1. */
const open = async (settings: Partial<Settings> = {}): Promise<void> => {
  world = new World(settings);
  await world.start();
  const rest = Stage.options.filter((stage) => stage !== 'PC1');
  own = (await world.register('own', 'own', rest)).id;
  maker = (await world.register('maker', 'rented', ['PC1'])).id;
  id = await world.ask();
};
beforeEach(() => open());
afterEach(() => world.close());

const pc1 = (...by: RunnerId[]): Promise<Granted> => world.until('TicketAssigned', [own, ...by]);
const artifacts = async (): Promise<Job['data']['artifacts']> => (await world.job(id)).data.artifacts;
const runner = (of: RunnerId): Promise<RunnerRow> => world.run((ctx) => ctx.tx.runner(of) as RunnerRow);

const checkpoint = ({ grant }: Granted, name: string, changes: object = {}): Checkpoint =>
  Checkpoint.parse({
    attempt: grant.attempt,
    epoch: grant.epoch,
    output: { name, sizeBytes: '2048', hash: `sha256:${digest(name)}`, parts: [{ number: 1, etag: 'x' }], ...changes },
  });

/** As the API opens uploads for a grant. */
const opened = (granted: Granted): Promise<void> =>
  world.run((ctx) => {
    const { attempt, outputs } = granted.grant;
    for (const { name, key } of outputs) ctx.tx.insertUpload({ attempt, name, key, uploadId: `upload of ${key}` });
  });

/** As the API takes one. */
const kept = (granted: Granted, given: Checkpoint): Promise<ReportAnswer['status']> =>
  world.run((ctx) => {
    const row = ctx.tx.runner(granted.runner) as RunnerRow;
    const standing = checkCheckpoint(ctx, row, given);
    return 'status' in standing ? standing.status : keepCheckpoint(ctx, row, given).status;
  });

const lost = (granted: Granted): Promise<void> =>
  world.run((ctx) => lose(ctx, ctx.tx.attempt(granted.grant.attempt) as Attempt, 'the lease ran out'));

const deletions = (): Promise<string[]> =>
  world.run((ctx) => ctx.tx.effectsOfJob(id).flatMap(({ want }) => (want.kind === 'delete' ? want.keys : [])));

/** The first layer is kept, and its maker is gone. */
const broken = async (hash?: string): Promise<Granted> => {
  const first = await pc1(maker);
  await opened(first);
  expect(await kept(first, checkpoint(first, ONE, hash === undefined ? {} : { hash }))).toBe('accepted');
  await lost(first);
  return first;
};

test('the next attempt gets the layer as an input, and need not make it', async () => {
  const first = await broken();
  expect((await artifacts())[ONE]).toMatchObject({ madeBy: maker, madeIn: 'TicketAssigned', hash: `sha256:${digest(ONE)}` });
  const gone = await deletions();
  expect(gone).not.toContain((await artifacts())[ONE]?.key);
  expect(gone.some((key) => key.includes(`/${first.grant.attempt}/${TWO}`))).toBe(true);

  const heir = (await world.register('heir', 'rented', ['PC1'])).id;
  const second = await pc1(heir);
  expect(second.grant.inputs).toEqual([
    { name: ONE, key: (await artifacts())[ONE]?.key, sizeBytes: '2048', hash: `sha256:${digest(ONE)}`, required: false },
  ]);
  expect(second.grant.outputs.map(({ name, required, early }) => [name, required, early])).toEqual([
    [ONE, false, true],
    [TWO, true, true],
    ['cache/t_aux', true, undefined],
  ]);
  const honest = world.honest(second) as { outputs: { name: string }[] };
  await world.report(heir, { ...honest, outputs: honest.outputs.filter(({ name }) => name !== ONE) });
  const made = await artifacts();
  expect([made[ONE]?.madeBy, made[TWO]?.madeBy]).toEqual([maker, heir]);
  await world.finish([own, heir]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished', generation: 1, data: { artifacts: {} } });
  expect(await deletions()).toEqual(expect.arrayContaining([made[ONE]?.key, made[TWO]?.key]));
});

test('hours after its ticket was drawn the layer still counts: no fresh ticket makes it useless', async () => {
  await broken();
  const { ticket } = (await world.job(id)).data;
  // So old that without a layer a fresh one would be drawn.
  await world.run((ctx) => setHead(ctx, { epoch: (ticket?.epoch ?? 0) + 900 + 400, epochMs: 30_000 }));
  const heir = (await world.register('heir', 'rented', ['PC1'])).id;
  const second = await pc1(heir);
  expect(second.grant.inputs).toMatchObject([{ name: ONE, key: (await artifacts())[ONE]?.key }]);
  expect(await world.job(id)).toMatchObject({ generation: 1, data: { ticket } });
});

test('what is kept of PC1 takes no time of the ticket any more', async () => {
  const expectedEpochs = { PC1: 400, PC2: 0, C1: 0, Verify: 0, SubmitPC: 10 };
  world.close();
  await open({ miners: { [MINER]: { sealProof: 'StackedDrg2KiBV1_1', firstSector: 1, lastSector: 1000, allowCc: true, expectedEpochs } } });
  await broken();
  const last = ((await world.job(id)).data.ticket?.epoch ?? 0) + 3_780;
  // One of two layers: 200 epochs, and 10 for the message.
  await world.run((ctx) => setHead(ctx, { epoch: last - 210, epochMs: 30_000 }));
  const heir = (await world.register('heir', 'rented', ['PC1'])).id;
  const second = await pc1(heir);
  await lost(second);
  expect(await world.job(id)).toMatchObject({ generation: 1 });
  await world.run((ctx) => setHead(ctx, { epoch: last - 209, epochMs: 30_000 }));
  expect(await world.grant(heir)).toEqual([]);
  expect(await world.job(id)).toMatchObject({ generation: 2, data: { artifacts: {} } });
});

test('a later layer alone is of no use, and holds no old ticket', async () => {
  const first = await pc1(maker);
  await opened(first);
  expect(await kept(first, checkpoint(first, TWO))).toBe('accepted');
  await lost(first);
  const { ticket } = (await world.job(id)).data;
  await world.run((ctx) => setHead(ctx, { epoch: (ticket?.epoch ?? 0) + 900 + 400, epochMs: 30_000 }));
  const heir = (await world.register('heir', 'rented', ['PC1'])).id;
  expect(await world.grant(heir)).toEqual([]);
  expect(await world.job(id)).toMatchObject({ state: 'TreeDBuilt', generation: 2 });
});

test('of an attempt that is over, of another runner, of another name or size nothing is kept', async () => {
  const first = await pc1(maker);
  await opened(first);
  expect(await kept({ ...first, runner: own }, checkpoint(first, ONE))).toBe('unknown_attempt');
  expect(await kept(first, { ...checkpoint(first, ONE), epoch: 7 })).toBe('lease_lost');
  expect(await kept(first, checkpoint(first, 'cache/t_aux'))).toBe('refused');
  expect(await kept(first, checkpoint(first, ONE, { sizeBytes: '2047' }))).toBe('refused');
  expect(await artifacts()).not.toHaveProperty([ONE]);
  expect(await kept(first, checkpoint(first, ONE))).toBe('accepted');
  expect(await kept(first, checkpoint(first, ONE))).toBe('duplicate');
  await lost(first);
  expect(await kept(first, checkpoint(first, TWO))).toBe('lease_lost');
  expect(await artifacts()).not.toHaveProperty([TWO]);
});

test('an object that was made as its attempt ended is deleted', async () => {
  const first = await pc1(maker);
  await opened(first);
  await lost(first);
  const before = await deletions();
  await world.run((ctx) => keepCheckpoint(ctx, ctx.tx.runner(maker) as RunnerRow, checkpoint(first, ONE)));
  expect((await deletions()).slice(before.length)).toEqual([`jobs/${id}/${first.grant.attempt}/${ONE}`]);
});

test('the report of the same attempt need not name it, and cannot say another hash of it', async () => {
  const first = await pc1(maker);
  await opened(first);
  await kept(first, checkpoint(first, ONE));
  const before = (await artifacts())[ONE];
  const honest = world.honest(first) as { outputs: { name: string }[] };
  const outputs = honest.outputs.map((output) => (output.name === ONE ? { ...output, hash: `sha256:${digest('other')}` } : output));
  expect(await world.report(maker, { ...honest, outputs })).toMatchObject({ status: 'accepted' });
  expect((await artifacts())[ONE]).toEqual(before);
  expect(await deletions()).not.toContain(before?.key);
});

test('aborting and going back drop it; a fresh ticket begins anew', async () => {
  await broken();
  const key = (await artifacts())[ONE]?.key;
  await world.run((ctx) => resumeJob(ctx, id, { state: 'TreeDBuilt', force: true }, 'test'));
  expect(await artifacts()).not.toHaveProperty([ONE]);
  expect(await deletions()).toContain(key);
  const second = await pc1(maker);
  expect(second.grant.inputs).toEqual([]);
  await opened(second);
  await kept(second, checkpoint(second, ONE));
  const again = (await artifacts())[ONE]?.key;
  await world.run((ctx) => abortJob(ctx, id, {}, 'test'));
  expect(await deletions()).toContain(again);
  expect(await artifacts()).toEqual({});
});

test('a refused result takes the layers of its maker with it, and what was made after them', async () => {
  const first = await pc1(maker);
  await opened(first);
  await kept(first, checkpoint(first, ONE));
  const honest = world.honest(first) as { outputs: { name: string }[] };
  const answer = await world.report(maker, { ...honest, outputs: honest.outputs.filter(({ name }) => name !== TWO) });
  expect(answer.status).toBe('refused');
  expect(await artifacts()).not.toHaveProperty([ONE]);
  expect(await runner(maker)).toMatchObject({ status: 'quarantined' });
  const heir = (await world.register('heir', 'rented', ['PC1'])).id;
  expect((await pc1(heir)).grant.inputs).toEqual([]);
});

test('a bad layer of a runner that was lost: the challenge fails, it pays, and PC1 begins anew', async () => {
  await broken(`sha256:${digest('garbage')}`);
  // Nothing but the first layer is a rented machine's.
  const heir = (await world.register('heir', 'own', ['PC1'])).id;
  const second = await pc1(heir);
  const honest = world.honest(second) as { outputs: { name: string }[] };
  await world.report(heir, { ...honest, outputs: honest.outputs.filter(({ name }) => name !== ONE) });
  for (;;) {
    const check = await world.until('PC2Done', [own, heir]);
    if (check.grant.stage === 'C1') {
      await world.report(check.runner, world.failure(check, 'input_invalid'));
      break;
    }
  }
  const back = await world.job(id);
  expect(back).toMatchObject({ state: 'TicketAssigned', generation: 2 });
  expect(back.data.artifacts).not.toHaveProperty([ONE]);
  expect(await runner(maker)).toMatchObject({ status: 'quarantined', reason: expect.stringContaining(id) });
  expect(await runner(heir)).toMatchObject({ status: 'ready', strikes: 0 });
  await world.finish([own, heir]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished' });
});

test.each([
  ['own', 'quarantined'],
  ['rented', 'ready'],
] as const)('a layer that an %s runner made again with another hash: its first maker is %s', async (trust, status) => {
  await broken(`sha256:${digest('garbage')}`);
  const before = (await artifacts())[ONE]?.key as string;
  const heir = (await world.register('heir', trust, ['PC1'])).id;
  const second = await pc1(heir);
  await opened(second);
  expect(await kept(second, checkpoint(second, ONE))).toBe('accepted');
  expect((await artifacts())[ONE]).toMatchObject({ madeBy: heir, hash: `sha256:${digest(ONE)}` });
  expect(await deletions()).toContain(before);
  expect(await runner(maker)).toMatchObject({ status });
});

test('a layer that is made again with the same hash takes the place of the one that could not be used, and nobody pays', async () => {
  await broken();
  const before = (await artifacts())[ONE]?.key;
  const heir = (await world.register('heir', 'own', ['PC1'])).id;
  const second = await pc1(heir);
  await opened(second);
  expect(await kept(second, checkpoint(second, ONE))).toBe('accepted');
  const now = { key: `jobs/${id}/${second.grant.attempt}/${ONE}`, madeBy: heir, hash: `sha256:${digest(ONE)}` };
  expect((await artifacts())[ONE]).toMatchObject(now);
  expect(await deletions()).toContain(before);
  expect(await deletions()).not.toContain(now.key);
  // What was given is not asked for again under its name.
  const urls = { inputs: [ONE, TWO], parts: [] };
  const { attempt, epoch } = second.grant;
  const beat = { bootId: 'boot', attempts: [{ attempt, epoch, urls }] } as unknown as HeartbeatRequest;
  expect(await world.run((ctx) => renewalsOf(ctx, heir, beat))).toEqual([{ attempt, inputs: [], parts: [] }]);
  // The report names it once more.
  await world.report(heir, world.honest(second));
  expect((await artifacts())[ONE]).toMatchObject(now);
  expect(await deletions()).not.toContain(now.key);
  expect(await runner(maker)).toMatchObject({ status: 'ready', strikes: 0 });
});

test('what runners have in their caches is known, and forgotten with its job', async () => {
  const first = await pc1(maker);
  await world.report(maker, world.honest(first));
  const keys = Object.values(await artifacts()).map(({ key }) => key);
  const says = (cached: string[]): Promise<readonly string[]> =>
    world.run((ctx) => noteCached(ctx, ctx.tx.runner(maker) as RunnerRow, cached).forget);
  expect(await says([...keys, 'jobs/j-99999999/a-1/sealed', 'no key of ours'])).toEqual(['jobs/j-99999999/a-1/sealed', 'no key of ours']);
  expect(await runner(maker)).toMatchObject({ cached: keys });
  await world.finish([own, maker]);
  expect(COMM_D.cid).toBe((await world.job(id)).data.commD?.cid);
  expect(await says(keys)).toEqual(keys);
  expect(await runner(maker)).toMatchObject({ cached: [] });
});

test('what an attempt has made is not forgotten while it goes on, and then goes with it', async () => {
  const first = await pc1(maker);
  const key = `jobs/${id}/${first.grant.attempt}/${ONE}`;
  const says = (): Promise<readonly string[]> => world.run((ctx) => noteCached(ctx, ctx.tx.runner(maker) as RunnerRow, [key]).forget);
  expect(await says()).toEqual([]);
  await lost(first);
  expect(await says()).toEqual([key]);
});

test('a kept layer is no garbage, and a runner has it where it says so', async () => {
  await broken();
  const { key, madeBy } = (await artifacts())[ONE] as { key: string; madeBy: string };
  expect(await world.run((ctx) => keysOf(ctx, ctx.tx.job(id) as Job).live.has(key))).toBe(true);
  const row = await runner(maker);
  const input = { key, sizeBytes: 2048, madeBy };
  expect(holds(row, input)).toBe(true);
  expect(holds({ ...row, cached: [] }, input)).toBe(false);
  expect(holds({ ...row, id: own, cached: [key] }, input)).toBe(true);
});
