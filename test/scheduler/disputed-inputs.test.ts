/** A runner that says its inputs are bad: whose word counts how much, who pays, and that the job gets on. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Pledge, pledge } from '../../src/scheduler/pledge.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import type { Trust } from '../../src/schema/runner.ts';
import { Stage } from '../../src/schema/stage.ts';
import { type Granted, MINER, World } from './world.ts';

const LAYER = 'cache/sc-02-data-layer-1.dat';

let world: World;
beforeEach(async () => {
  world = new World();
  await world.start();
});
afterEach(() => world.close());

const register = async (name: string, trust: Trust, stages?: readonly Stage[]): Promise<RunnerId> =>
  (await world.register(name, trust, stages)).id;
/** An own runner for everything but these. */
const ownBut = (...but: Stage[]): Promise<RunnerId> =>
  register(
    'own',
    'own',
    Stage.options.filter((stage) => !but.includes(stage)),
  );
const ask = async (request: Partial<Pledge> = {}): Promise<Job['id']> => {
  const [job] = await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1, ...request }, 'test'));
  return (job as Job).id;
};
const runner = (of: RunnerId): Promise<RunnerRow> => world.run((ctx) => ctx.tx.runner(of) as RunnerRow);
const set = (of: RunnerId, changes: Partial<RunnerRow>): Promise<void> =>
  world.run((ctx) => ctx.tx.updateRunner({ ...(ctx.tx.runner(of) as RunnerRow), ...changes }));
const all = async (): Promise<RunnerId[]> => world.run((ctx) => ctx.tx.runners().map((row) => row.id));
/** The next grant of this stage, everything before it answered honestly. */
const next = async (stage: Stage): Promise<Granted> => {
  for (let round = 0; round < 300; round += 1) {
    for (const effect of await world.effects()) await world.perform(effect);
    for (const at of await all()) {
      for (const granted of await world.grant(at)) {
        if (granted.grant.stage === stage) return granted;
        await world.report(at, world.honest(granted));
      }
    }
    await world.tick(2_000);
  }
  throw new Error(`no ${stage} was granted`);
};
/** The next runner that gets the stage says this of its inputs. */
const says = async (stage: Stage, code: string, input?: string): Promise<RunnerId> => {
  const granted = await next(stage);
  await world.report(granted.runner, world.failure(granted, code, input === undefined ? {} : { input }));
  return granted.runner;
};

test('a rented maker uploads garbage: its honest readers stay, two of them tell who it was', async () => {
  await ownBut('PC1', 'PC2');
  const bad = await register('bad', 'rented', ['PC1']);
  const readers = [await register('one', 'rented', ['PC2']), await register('two', 'rented', ['PC2'])];
  const id = await ask();
  const first = await says('PC2', 'input_differs', LAYER);
  expect(await runner(first)).toMatchObject({ status: 'ready', strikes: 0 });
  expect(await world.job(id)).toMatchObject({ state: 'PC1Done', generation: 1 });
  expect(await says('PC2', 'input_differs', LAYER)).not.toBe(first);
  expect(await runner(bad)).toMatchObject({ status: 'quarantined', reason: expect.stringContaining(LAYER) });
  expect(await world.job(id)).toMatchObject({ state: 'TicketAssigned', generation: 2, retries: 0 });
  await register('good', 'rented', ['PC1']);
  await world.finish(await all());
  expect(await world.job(id)).toMatchObject({ state: 'Finished', paused: false });
  for (const reader of readers) expect(await runner(reader)).toMatchObject({ status: 'ready' });
});

test('whose word another reader refutes is struck', async () => {
  await ownBut('PC1', 'PC2');
  const maker = await register('maker', 'rented', ['PC1']);
  const liar = await register('liar', 'rented', ['PC2']);
  const id = await ask();
  expect(await says('PC2', 'input_differs', LAYER)).toBe(liar);
  await register('honest', 'rented', ['PC2']);
  await world.finish(await all());
  expect(await world.job(id)).toMatchObject({ state: 'Finished', generation: 1 });
  expect(await runner(liar)).toMatchObject({ status: 'ready', strikes: 1 });
  const [struck] = await world.run((ctx) => ctx.tx.eventsAfter(0, 1_000, { runner: liar, kinds: ['runner_struck'] }));
  expect(struck?.detail).toMatchObject({ evidence: { job: id, stage: 'PC2', message: expect.stringContaining(LAYER) } });
  expect(await runner(maker)).toMatchObject({ status: 'ready', strikes: 0 });
});

test('a bad replica, told as the prover tells it: C1 cannot make proofs of it', async () => {
  await ownBut('PC2', 'C1');
  const bad = await register('bad', 'rented', ['PC2']);
  const provers = [await register('one', 'rented', ['C1']), await register('two', 'rented', ['C1'])];
  const id = await ask();
  const first = await says('C1', 'input_invalid');
  expect(await runner(first)).toMatchObject({ status: 'ready', strikes: 0 });
  await says('C1', 'input_invalid');
  expect(await runner(bad)).toMatchObject({ status: 'quarantined' });
  for (const prover of provers) expect(await runner(prover)).toMatchObject({ status: 'ready' });
  expect(await world.job(id)).toMatchObject({ state: 'PC1Done', generation: 2, retries: 0 });
});

test('one rented reader alone: nobody is called a liar, both are struck, and it ends', async () => {
  await ownBut('PC1', 'PC2');
  const maker = await register('maker', 'rented', ['PC1']);
  const reader = await register('reader', 'rented', ['PC2']);
  const id = await ask();
  await says('PC2', 'input_differs', LAYER);
  expect(await says('PC2', 'input_differs', LAYER)).toBe(reader);
  expect(await world.job(id)).toMatchObject({ state: 'TicketAssigned', generation: 2 });
  for (const either of [maker, reader]) expect(await runner(either)).toMatchObject({ status: 'ready', strikes: 1 });
  // Nobody was taken out, so the next time it is a failure of the job, of which there are not endlessly many.
  expect(await world.job(id)).toMatchObject({ retries: 0 });
  for (let word = 0; word < 2; word += 1) await says('PC2', 'input_differs', LAYER);
  expect(await world.job(id)).toMatchObject({ state: 'TicketAssigned', generation: 3, retries: 1 });
});

test('what a runner says of its own files costs it a strike each time', async () => {
  await ownBut('PC1', 'PC2');
  const both = await register('both', 'rented', ['PC1', 'PC2']);
  const id = await ask();
  await says('PC2', 'input_differs', LAYER);
  expect(await runner(both)).toMatchObject({ strikes: 1 });
  await says('PC2', 'input_differs', LAYER);
  expect(await world.job(id)).toMatchObject({ state: 'TicketAssigned', generation: 2 });
});

test("a rented maker's files that an own runner cannot read as what they should be are made again", async () => {
  await ownBut('PC1');
  const bad = await register('bad', 'rented', ['PC1']);
  const id = await ask();
  await says('PC2', 'input_invalid');
  expect(await runner(bad)).toMatchObject({ status: 'quarantined' });
  expect(await world.job(id)).toMatchObject({ state: 'TicketAssigned', generation: 2, paused: false });
});

test("an own maker's file that differs is made again, with all that came after it, and counted", async () => {
  await ownBut('PC1', 'PC2');
  await register('layers', 'rented', ['PC1']);
  const gpu = await register('gpu', 'own', ['PC2']);
  const id = await ask();
  const TREE_D = 'cache/sc-02-data-tree-d.dat';
  const keys = new Set<string>();
  for (const retries of [1, 2]) {
    const pc2 = await next('PC2');
    keys.add((await world.job(id)).data.artifacts[TREE_D]?.key ?? 'none');
    await world.report(gpu, world.failure(pc2, 'input_differs', { input: TREE_D }));
    expect(await world.job(id)).toMatchObject({ state: 'PieceAdded', retries });
  }
  expect(keys.size).toBe(2);
  expect((await world.run((ctx) => ctx.tx.runners())).map(({ strikes, status }) => [strikes, status])).toEqual(
    Array.from({ length: 3 }, () => [0, 'ready']),
  );
  await world.finish(await all());
  expect(await world.job(id)).toMatchObject({ state: 'Finished' });
});

test('a maker of an earlier generation pays too', async () => {
  const own = await ownBut('PC1');
  const layers = await register('layers', 'rented', ['PC1']);
  const id = await ask();
  // The replica's file differs for another own machine: back to PC2, with the layers of the first generation.
  await next('PC2').then((pc2) => world.report(own, world.honest(pc2)));
  await set(own, { stages: Stage.options.filter((stage) => stage !== 'PC1' && stage !== 'C1') });
  await register('prover', 'own', ['C1']);
  await says('C1', 'input_differs', 'sealed');
  expect(await world.job(id)).toMatchObject({ state: 'PC1Done', generation: 2, retries: 1 });
  await says('PC2', 'input_differs', LAYER);
  expect(await runner(layers)).toMatchObject({ status: 'quarantined' });
  expect(await world.job(id)).toMatchObject({ state: 'TicketAssigned', generation: 3, retries: 0 });
});

test('one own runner alone: its own damaged file is made again after it has looked twice', async () => {
  const own = await register('own', 'own');
  const id = await ask();
  await says('PC2', 'input_differs', LAYER);
  expect(await world.job(id)).toMatchObject({ state: 'PC1Done', generation: 1, retries: 0 });
  await says('PC2', 'input_differs', LAYER);
  expect(await world.job(id)).toMatchObject({ state: 'TicketAssigned', generation: 2, retries: 1, paused: false });
  await world.finish([own]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished' });
});

test('a file that never comes out whole pauses the job at last', async () => {
  const own = await register('own', 'own');
  const id = await ask();
  const { maxRetries } = world.settings.retry;
  for (let word = 0; word < 2 * (maxRetries + 1); word += 1) {
    await world.tick(3_600_000);
    await says('PC2', 'input_differs', LAYER);
  }
  expect(await world.job(id)).toMatchObject({ paused: true, error: { code: 'bad_result' } });
  expect(await runner(own)).toMatchObject({ status: 'ready' });
});

test('a file that is gone is made again at once, and nobody pays for it', async () => {
  await ownBut('PC1', 'PC2');
  for (const [name, stage] of [
    ['layers', 'PC1'],
    ['gpu', 'PC2'],
  ] as const)
    await register(name, 'rented', [stage]);
  const id = await ask();
  await says('PC2', 'input_missing', LAYER);
  expect(await world.job(id)).toMatchObject({ state: 'TicketAssigned', generation: 2, retries: 1, paused: false });
  expect((await world.run((ctx) => ctx.tx.runners())).map(({ strikes, status }) => [strikes, status])).toEqual(
    Array.from({ length: 3 }, () => [0, 'ready']),
  );
  await world.finish(await all());
  expect(await world.job(id)).toMatchObject({ state: 'Finished' });
});

test('client data that is gone is nothing that a runner can make again: the job pauses and says which piece', async () => {
  const own = await ownBut();
  const piece = await world.piece();
  const id = await ask({ pieces: [piece] });
  await says('AddPiece', 'input_missing', 'piece-0');
  expect(await world.job(id)).toMatchObject({
    paused: true,
    error: { category: 'permanent', code: 'piece_missing', message: expect.stringContaining(piece) },
  });
  expect(await runner(own)).toMatchObject({ status: 'ready', strikes: 0 });
});
