/** Stored files are declared before SubmitPersistance, and a snap's before its message; what stands against it shows in `explain`. */
import { expect, onTestFinished, test } from 'vitest';
import { explain } from '../../src/scheduler/explain.ts';
import type { Settings } from '../../src/scheduler/context.ts';
import type { Job, PlanName } from '../../src/schema/job.ts';
import { World } from './world.ts';

async function opened(settings: Partial<Settings> = {}): Promise<World> {
  const plans: PlanName[] = ['sealer', 'snapup', 'rebuild'];
  const world = new World({
    threads: plans.map((plan, index) => ({ worker: 'local', index, plan, miner: null, auto: false })),
    ...settings,
  });
  onTestFinished(() => world.close());
  await world.start();
  return world;
}

/** Goes on honestly until a declaration is due; answers it. */
async function declaration(world: World, runner: Parameters<World['grant']>[0]) {
  for (let round = 0; round < 200; round += 1) {
    const due = await world.effects();
    const found = due.find(({ want }) => want.kind === 'declare');
    if (found !== undefined) return found;
    for (const effect of due) await world.perform(effect);
    for (const one of await world.grant(runner, 4)) await world.report(runner, world.honest(one));
    await world.tick(1_000);
  }
  throw new Error('nothing was declared');
}

const told = (world: World, id: Job['id']): Promise<string> => world.run((ctx) => explain(ctx, ctx.tx.job(id) as Job).sentence);

test('a sealer waits in Persisted until the files are seen; errors show and are tried again', async () => {
  const world = await opened({ declares: true });
  const { id: runner } = await world.register('worker');
  const id = await world.ask();
  const effect = await declaration(world, runner);
  expect(effect).toMatchObject({ step: 'SubmitPersistance', want: { kind: 'declare', number: 1, sectorSizeBytes: 2048, dropped: null } });
  if (effect.want.kind !== 'declare') throw new Error('no declaration');
  expect(effect.want.files).toContain('sealed/s-t01000-1');
  await world.perform(effect, {
    outcome: 'error',
    category: 'temporary',
    code: 'not_attached',
    message: 'lotus does not know storage store',
  });
  expect(await world.job(id)).toMatchObject({ state: 'Persisted', paused: false });
  expect(await told(world, id)).toContain('SubmitPersistance is under way: lotus does not know storage store');
  await world.tick(600_000);
  const again = await declaration(world, runner);
  expect(again.id).toBe(effect.id);
  await world.perform(again);
  expect(await world.job(id)).toMatchObject({ state: 'PersistanceSubmitted', error: null });
  await world.finish([runner]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished' });
});

test('a snap declares its update before its message is sent', async () => {
  const world = await opened({ declares: true });
  const { id: runner } = await world.register('worker');
  await world.ask();
  await world.finish([runner]);
  const id = await world.ask({ plan: 'snapup', sector: 1, pieces: [await world.piece()] });
  const effect = await declaration(world, runner);
  expect(effect.want).toMatchObject({ kind: 'declare', files: expect.arrayContaining(['update/s-t01000-1']) });
  const job = await world.job(id);
  expect([job.state, job.data.replicaUpdate]).toEqual(['Persisted', undefined]);
  await world.finish([runner]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished' });
});

test('where nobody is to be told nothing is declared', async () => {
  const world = await opened();
  const { id: runner } = await world.register('worker');
  const id = await world.ask();
  await world.finish([runner]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished' });
  const kinds = await world.run((ctx) => ctx.tx.effectsOfJob(id).map(({ want }) => want.kind));
  expect(kinds).not.toContain('declare');
});
