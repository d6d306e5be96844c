/** Stored files are declared before SubmitPersistance, and a snap's before its message; what stands against it shows in `explain`. */
import { expect, onTestFinished, test } from 'vitest';
import { explain } from '../../src/scheduler/explain.ts';
import type { Settings } from '../../src/scheduler/context.ts';
import type { Job, PlanName } from '../../src/schema/job.ts';
import { declareAllIn } from '../../src/scheduler/declared.ts';
import { sectorRecord } from '../store/rows.ts';
import { COMM_D, COMM_R, TICKET } from './honest.ts';
import { movesWorld } from './moves-world.ts';
import { MINER, World } from './world.ts';

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

/** A sector that was finished while nobody was to be told. */
async function untold(world: World): Promise<void> {
  const { id: runner } = await world.register('worker');
  const id = await world.ask();
  await world.finish([runner]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished', data: { declared: false } });
  const kinds = await world.run((ctx) => ctx.tx.effectsOfJob(id).map(({ want }) => want.kind));
  expect(kinds).not.toContain('declare');
}
const counted = (world: World): Promise<number> => world.run((ctx) => ctx.tx.countUndeclaredIn('store'));
const known = (world: World) => world.run((ctx) => ctx.tx.storedSector(MINER, 1)?.declared);

test('where nobody is to be told nothing is declared, and the sector counts as one that nobody was told of', async () => {
  const world = await opened();
  await untold(world);
  expect([await counted(world), await known(world)]).toEqual([1, 'no']);
  await expect(world.run((ctx) => declareAllIn(ctx, 'store'))).rejects.toMatchObject({ code: 'nobody_to_tell' });
});

test('what was finished before is declared when somebody asks for it, once, and tried again whatever stands against it', async () => {
  const world = await opened();
  await untold(world);
  Object.assign(world.settings, { declares: true });
  expect(await world.run((ctx) => declareAllIn(ctx, 'store'))).toBe(1);
  expect(await world.run((ctx) => declareAllIn(ctx, 'store'))).toBe(0);
  expect([await counted(world), await known(world)]).toEqual([0, 'under_way']);
  const declared = async () => (await world.effects()).filter(({ want }) => want.kind === 'declare');
  const [effect] = await declared();
  if (effect?.want.kind !== 'declare') throw new Error('no declaration');
  expect(effect).toMatchObject({ job: null, want: { miner: MINER, number: 1, sectorSizeBytes: 2048, storage: 'store', dropped: null } });
  expect(effect.want.files).toEqual(expect.arrayContaining(['sealed/s-t01000-1', 'cache/s-t01000-1/p_aux']));
  await world.perform(effect, { outcome: 'error', category: 'permanent', code: 'rpc_error', message: 'no permission' });
  expect(await declared()).toEqual([]);
  await world.tick(600_000);
  const [again] = await declared();
  expect(again?.id).toBe(effect.id);
  await world.perform(again as typeof effect);
  expect([await counted(world), await known(world)]).toEqual([0, 'yes']);
});

test('a sector that was sealed while somebody is told is known to have been declared; files that moved meanwhile are not', async () => {
  const world = await opened({ declares: true });
  const { id: runner } = await world.register('worker');
  await world.ask();
  await world.finish([runner]);
  expect([await counted(world), await known(world)]).toEqual([0, 'yes']);
  await world.run((ctx) => ctx.tx.setDeclared(MINER, 1, 'no'));
  await world.run((ctx) => declareAllIn(ctx, 'store'));
  const effect = (await world.effects()).find(({ want }) => want.kind === 'declare');
  await world.run((ctx) => {
    const record = ctx.tx.sectorRecord(MINER, 1);
    if (record?.files) ctx.tx.putSectorRecord({ ...record, files: { ...record.files, storage: 'elsewhere' } });
  });
  await world.perform(effect as NonNullable<typeof effect>);
  expect(await known(world)).toBe('no');
});

test('a snap tells of its update only: a sector that nobody was told of stays one until all of it is declared', async () => {
  const world = await opened();
  await untold(world);
  Object.assign(world.settings, { declares: true });
  const [{ id: runner } = { id: undefined }] = await world.run((ctx) => ctx.tx.runners());
  const id = await world.ask({ plan: 'snapup', sector: 1, pieces: [await world.piece()] });
  await world.finish([runner as NonNullable<typeof runner>]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished', data: { declared: true } });
  expect(await known(world)).toBe('no');
});

test('a declaration from before the move says nothing of the one that the move makes', async () => {
  const { world, request, one, answer, declared } = await movesWorld();
  const known = () => world.run((ctx) => ctx.tx.storedSector(MINER, 1)?.declared);
  await world.run((ctx) => ctx.tx.setDeclared(MINER, 1, 'no'));
  await world.run((ctx) => declareAllIn(ctx, 'main'));
  await request([1]);
  await answer(await one());
  expect(await declared()).toMatchObject({ storage: 'main' });
  expect(await known()).toBe('under_way');
  expect(await declared()).toMatchObject({ storage: 'other', dropped: 'main' });
  expect(await known()).toBe('yes');
});

test('a rebuild into another path says that the files of before are gone, and tells where they are left', async () => {
  const world = await opened({ declares: true });
  const { id: runner } = await world.register('worker');
  const files = { storage: 'old', root: '/mnt/old', files: null };
  await world.run((ctx) => ctx.tx.putSectorRecord(sectorRecord(7, { commD: COMM_D, commR: COMM_R, ticket: TICKET, files })));
  world.chain.proven(7);
  const id = await world.ask({ plan: 'rebuild', sector: 7 });
  expect((await declaration(world, runner)).want).toMatchObject({ storage: 'store', dropped: 'old' });
  await world.finish([runner]);
  expect(await world.record(7)).toMatchObject({ files: { storage: 'store' } });
  const notes = await world.run((ctx) => ctx.tx.eventsOfJob(id, 1_000).filter(({ kind }) => kind === 'note'));
  expect(notes.map(({ detail }) => detail)).toEqual([
    {
      leftIn: 'old',
      reason: expect.stringMatching(/^the files of s-t01000-7 are in storage store now; .* left in storage old \(\/mnt\/old\)/),
    },
  ]);
});
