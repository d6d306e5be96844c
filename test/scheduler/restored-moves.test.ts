/** After a restore nobody knows where the lost database had said that files are: nothing is removed before it is told of anew. */
import { expect, test } from 'vitest';
import { RESTORED } from '../../src/scheduler/reconcile.ts';
import { drain, stopDraining } from '../../src/scheduler/storage-moves.ts';
import { restarted } from '../../src/scheduler/tick.ts';
import { movesWorld } from './moves-world.ts';
import { MINER } from './world.ts';

async function opened() {
  const the = await movesWorld();
  const { world } = the;
  await world.run((ctx) => ctx.tx.setDeclared(MINER, 1, 'yes'));
  return {
    ...the,
    drained: () => world.run((ctx) => drain(ctx, 'main', 'operator:test', false)),
    told: () => world.run((ctx) => ctx.tx.storedSector(MINER, 1)?.declared),
    /** What is in the database now is the backup. */
    restore: async () => {
      await world.run((ctx) => ctx.tx.setMeta(RESTORED, String(world.nowMs)));
      await world.run((ctx) => restarted(ctx));
    },
  };
}

test('every sector counts as not told of, also one that was imported; what is being told goes on', async () => {
  const { world, told, restore } = await opened();
  for (const [before, after] of [
    ['yes', 'no'],
    [null, 'no'],
    ['no', 'no'],
    ['under_way', 'under_way'],
  ] as const) {
    await world.run((ctx) => ctx.tx.setDeclared(MINER, 1, before));
    await restore();
    expect(await told()).toBe(after);
  }
});

test('a copy that is not wanted any more stays: it may be looked for there', async () => {
  const { world, drained, one, due, restore, move, actions, answer, declared } = await opened();
  await drained();
  await one();
  await restore();
  await world.run((ctx) => stopDraining(ctx, 'main', 'operator:test'));
  expect([await due(), await move()]).toEqual([[], undefined]);
  expect(await actions()).not.toContain('storage.moved');
  // Drained again, it is moved as any other: told of first.
  await drained();
  await answer(await one());
  expect(await declared()).toMatchObject({ storage: 'other', dropped: 'main' });
  expect(await one()).toMatchObject({ step: 'drop' });
});

test('old files go once the new ones were looked at and told of again', async () => {
  const { drained, one, due, answer, declared, restore, told, actions } = await opened();
  await drained();
  await answer(await one());
  await declared();
  await restore();
  expect(await told()).toBe('no');
  expect(await due()).toEqual([]);
  const copy = await one();
  expect(copy).toMatchObject({ step: 'copy', from: 'main', to: 'other' });
  await answer(copy);
  expect(await due()).toEqual([]);
  expect(await declared()).toMatchObject({ storage: 'other', dropped: 'main' });
  const drop = await one();
  expect(drop).toMatchObject({ step: 'drop' });
  await answer(drop);
  expect([await told(), await actions()]).toEqual(['yes', expect.arrayContaining(['storage.moved'])]);
});
