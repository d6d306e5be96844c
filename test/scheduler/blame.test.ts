/** Who is called a liar: only whose result is refuted, never the honest runner beside it. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { explain } from '../../src/scheduler/explain.ts';
import { pledge } from '../../src/scheduler/pledge.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Job } from '../../src/schema/job.ts';
import { Stage } from '../../src/schema/stage.ts';
import { COMM_D } from './honest.ts';
import { type Granted, MINER, World } from './world.ts';

let world: World;
let own: RunnerId;
let sealing: RunnerId;
let id: Job['id'];

/** An own runner for all but PC2 and C1, a rented one for PC2. */
beforeEach(async () => {
  world = new World();
  await world.start();
  own = (
    await world.register(
      'own',
      'own',
      Stage.options.filter((stage) => stage !== 'PC2' && stage !== 'C1'),
    )
  ).id;
  sealing = (await world.register('sealing', 'rented', ['PC2'])).id;
  const [job] = await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1 }, 'test'));
  id = (job as Job).id;
});
afterEach(() => world.close());

const runner = (of: RunnerId): Promise<RunnerRow> => world.run((ctx) => ctx.tx.runner(of) as RunnerRow);
const all = async (): Promise<RunnerId[]> => world.run((ctx) => ctx.tx.runners().map((row) => row.id));
/** The next grant of this stage, everything before it answered honestly. */
const next = async (stage: Stage): Promise<Granted> => {
  for (let round = 0; round < 100; round += 1) {
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
/** C1 by this runner, and its proofs found bad by the own one. */
const badProofs = async (by: RunnerId): Promise<void> => {
  const c1 = await next('C1');
  expect(c1.runner).toBe(by);
  await world.report(by, world.honest(c1));
  const check = await next('Verify');
  await world.report(own, world.failure(check, 'proof_invalid'));
};

test("a lying C1 runner: the replica's maker stays, the liar is told by another one's proofs", async () => {
  const liar = (await world.register('liar', 'rented', ['C1'])).id;
  await badProofs(liar);
  expect(await world.job(id)).toMatchObject({ state: 'PC2Done', generation: 1, retries: 0 });
  expect(await runner(sealing)).toMatchObject({ status: 'ready', strikes: 0 });
  expect(await runner(liar)).toMatchObject({ status: 'ready', strikes: 1 });
  const honest = (await world.register('honest', 'rented', ['C1'])).id;
  const c1 = await next('C1');
  expect(c1.runner).toBe(honest);
  await world.report(honest, world.honest(c1));
  await world.finish(await all());
  expect(await runner(liar)).toMatchObject({ status: 'quarantined', reason: expect.stringContaining('those of another runner') });
  for (const good of [sealing, honest]) expect(await runner(good)).toMatchObject({ status: 'ready' });
  expect(await world.job(id)).toMatchObject({ state: 'Finished', generation: 1 });
});

test('a bad replica: two runners cannot prove it, and its maker is the liar', async () => {
  const pc2 = await next('PC2');
  await world.report(sealing, world.honest(pc2, { result: { commR: { cid: 'bagboea-wrong', hex: 'e'.repeat(64) }, commD: COMM_D } }));
  const [one, two] = [(await world.register('one', 'rented', ['C1'])).id, (await world.register('two', 'rented', ['C1'])).id];
  const first = await next('C1');
  await world.report(first.runner, world.honest(first));
  await world.report(own, world.failure(await next('Verify'), 'proof_invalid'));
  await badProofs(first.runner === one ? two : one);
  expect(await runner(sealing)).toMatchObject({ status: 'quarantined' });
  for (const prover of [one, two]) expect(await runner(prover)).toMatchObject({ status: 'ready' });
  expect(await world.job(id)).toMatchObject({ state: 'PC1Done', generation: 2, retries: 0 });
});

test('proofs by an own machine are not in doubt: the replica is', async () => {
  const prover = (await world.register('own C1', 'own', ['C1'])).id;
  await badProofs(prover);
  expect(await runner(sealing)).toMatchObject({ status: 'quarantined' });
  expect(await runner(prover)).toMatchObject({ strikes: 0 });
  expect(await world.job(id)).toMatchObject({ state: 'PC1Done', generation: 2 });
  await world.register('own PC2', 'own', ['PC2']);
  await world.finish(await all());
  expect(await world.job(id)).toMatchObject({ state: 'Finished' });
});

test('who made the replica never proves it: a good copy of its own would hide what it stored', async () => {
  await world.run((ctx) => ctx.tx.updateRunner({ ...(ctx.tx.runner(sealing) as RunnerRow), stages: ['PC2', 'C1'] }));
  await expect(next('C1')).rejects.toThrow('no C1 was granted');
  const why = await world.run((ctx) => explain(ctx, ctx.tx.job(id) as Job));
  expect(why.candidates.find(({ runner: at }) => at === sealing)).toMatchObject({
    fits: false,
    why: expect.stringContaining('made the replica'),
  });
  const other = (await world.register('other', 'rented', ['C1'])).id;
  expect((await next('C1')).runner).toBe(other);
});

test('synthetic proofs are made on an own machine, whoever else would', async () => {
  world.close();
  world = new World({
    miners: { [MINER]: { sealProof: 'StackedDrg2KiBV1_1_Feat_SyntheticPoRep', firstSector: 1, lastSector: 9, allowCc: true } },
  });
  await world.start();
  own = (await world.register('own')).id;
  await world.register('rented', 'rented', ['C1']);
  await world.run((ctx) => pledge(ctx, { plan: 'sealer', miner: MINER, count: 1 }, 'test'));
  for (let c1 = 0; c1 < 2; c1 += 1) {
    const granted = await next('C1');
    expect(granted.runner).toBe(own);
    await world.report(own, world.honest(granted));
  }
});

test('one runner alone that fails twice: nobody is called a liar, and it is made again', async () => {
  const only = (await world.register('only', 'rented', ['C1'])).id;
  await badProofs(only);
  await badProofs(only);
  expect(await runner(only)).toMatchObject({ status: 'ready' });
  expect(await runner(sealing)).toMatchObject({ status: 'ready', strikes: 1 });
  expect(await world.job(id)).toMatchObject({ state: 'PC1Done', generation: 2 });
});

test('a stored file that differs costs its maker alone', async () => {
  const layers = (await world.register('layers', 'rented', ['PC1'])).id;
  const stages = Stage.options.filter((stage) => stage !== 'PC1' && stage !== 'PC2');
  await world.run((ctx) => ctx.tx.updateRunner({ ...(ctx.tx.runner(own) as RunnerRow), stages }));
  const c1 = await next('C1');
  expect(c1.runner).toBe(own);
  await world.report(own, world.failure(c1, 'input_differs', { input: 'sealed' }));
  expect(await runner(layers)).toMatchObject({ status: 'ready', strikes: 0 });
  expect(await runner(sealing)).toMatchObject({ status: 'quarantined' });
});
