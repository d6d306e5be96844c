/** Moves that cannot go on for now: others are begun beside them, and whoever needs their place gets it. */
import { expect, test } from 'vitest';
import { noteStorage, placeStored, takePlace } from '../../src/scheduler/miner-storage.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import { drain, dueMoves } from '../../src/scheduler/storage-moves.ts';
import { attemptId, job } from '../store/rows.ts';
import { movesWorld, roomy } from './moves-world.ts';
import { MINER } from './world.ts';

const HOUR_MS = 3_600_000;

/** Sectors 1 … `sectors` in `main`, which is drained. */
async function opened(sectors = 1) {
  const the = await movesWorld({ sectors });
  const { world } = the;
  await world.run((ctx) => drain(ctx, 'main', 'operator:test', false));
  /** Where a rebuild of sector 1 that has come to Persist may put its files, and that it does. */
  const places = async () => {
    const live = job(1, { miner: MINER, number: 1, state: 'SnapDone', plan: 'rebuild' });
    return world.run((ctx) => {
      if (ctx.tx.job(live.id) === undefined) ctx.tx.insertJob(live);
      const record = ctx.tx.sectorRecord(MINER, 1);
      const work = { kind: 'persist' as const, storage: null, files: [], sectorJson: { path: 'cache/x/sector.json', content: {} } };
      const asked = { work, inputs: [], pieces: false, outputs: [], trust: 'own' as const, storage: 'any' };
      const placed = placeStored(ctx, the.row(ctx), { ...live, data: { ...live.data, ...(record && { record }) } }, asked);
      if (placed.placed === 'named') takePlace(ctx, live, attemptId(1), placed);
      return placed.placed === 'named' ? placed.storage : placed.placed;
    });
  };
  return { ...the, places, left: () => world.run((ctx) => ctx.tx.countSectorsIn('main')) };
}

test('a job that keeps one from its end holds up none of the others, and it is gone on with when the job has ended', async () => {
  const { world, one, due, answer, declared, move, left } = await opened(3);
  await answer(await one());
  const live = job(1, { miner: MINER, number: 1, state: 'Persisted', plan: 'snapup', paused: true });
  await world.run((ctx) => ctx.tx.insertJob(live));
  await declared();
  for (const number of [2, 3]) {
    const copy = await one();
    expect(copy).toMatchObject({ step: 'copy', number });
    await answer(copy);
    await declared();
    await answer(await one());
  }
  expect([await due(), await left(), (await move(1))?.phase]).toEqual([[], 0, 'drop']);
  await world.run((ctx) => ctx.tx.updateJob({ ...live, state: 'Finished' }));
  expect(await one()).toMatchObject({ step: 'drop', number: 1 });
});

test('with ten whose old files cannot be removed nothing more is begun; each is tried again after a while', async () => {
  const { world, due, answer, declared, tell, move, left } = await opened(12);
  await tell(roomy('main', { readOnly: true }), roomy('other'));
  for (let round = 0; round < 50; round += 1) {
    for (const step of await due()) {
      if (step.step === 'drop') await answer(step, { outcome: 'failed', message: 'storage main: it is read-only' });
      else await answer(step);
    }
    while ((await declared()) !== undefined);
  }
  expect([await left(), await move(11), await due()]).toEqual([2, undefined, []]);
  world.nowMs += 2 * HOUR_MS;
  const again = await due();
  expect(again.map(({ step, number }) => `${step} ${number}`)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((number) => `drop ${number}`));
  await tell(roomy('main'), roomy('other'));
  for (const step of again) await answer(step);
  expect((await due()).map(({ step, number }) => [step, number])).toEqual([['copy', 11]]);
});

test('an old path that dies in the middle of a copy keeps no rebuild out of the new one, which ends the move', async () => {
  const { world, one, due, answer, tell, move, places, actions } = await opened();
  const copy = await one();
  const dead = roomy('main', { problem: '/mnt/main is not there' });
  const failed = { outcome: 'failed', message: 'storage main: /mnt/main is not there' } as const;
  await tell(dead, roomy('other'));
  // What is under way may still write there.
  expect(await places()).toBe('nowhere');
  await answer(copy, failed);
  const undo = await one();
  expect([undo.step, await places()]).toEqual(['undo', 'nowhere']);
  await answer(undo, failed);
  await tell(roomy('main'), roomy('other'));
  expect([await places(), (await move())?.phase]).toEqual(['nowhere', 'undo']);
  await tell(dead, roomy('other'));
  expect([await places(), await move()]).toEqual(['other', undefined]);
  expect((await actions()).slice(-1)).toEqual(['storage.move_ended']);
  await tell(roomy('main'), roomy('other'));
  world.nowMs += 9 * HOUR_MS;
  expect(await due()).toEqual([]);
});

test('nor does an old path that only a banned runner has', async () => {
  const { world, one, answer, places, row, tell } = await opened();
  await answer(await one(), { outcome: 'failed', message: 'storage main: it is read-only' });
  const second = await world.register('second');
  await world.run((ctx) => noteStorage(ctx, second, [roomy('main')]));
  await tell(roomy('other'));
  expect(await places()).toBe('nowhere');
  await world.run((ctx) => ctx.tx.updateRunner({ ...second, status: 'banned' }));
  expect([await places(), await world.run((ctx) => row(ctx).status)]).toEqual(['other', 'ready']);
});

test('a move out of a path that no runner has any more is over; one of a runner that is away waits for it', async () => {
  const { world, id, one, due, answer, declared, tell, move, places, actions } = await opened(2);
  await answer(await one());
  await declared();
  expect(await one()).toMatchObject({ step: 'drop', number: 1 });
  const second = await world.register('second');
  const ask = () => world.run((ctx) => dueMoves(ctx, second));
  await world.run((ctx) => noteStorage(ctx, second, [roomy('more')]));
  world.nowMs += 9 * HOUR_MS;
  expect([await ask(), (await move(1))?.phase]).toEqual([[], 'drop']);
  await tell(roomy('other'));
  expect([await due(), await move(1), await places()]).toEqual([[], undefined, 'other']);
  expect((await actions()).slice(-1)).toEqual(['storage.move_ended']);
  expect(await world.run((ctx) => ctx.tx.storagePaths(id).length)).toBe(1);
});

test('a copy out of a path, or into one, that no runner has any more is over', async () => {
  for (const kept of ['other', 'main']) {
    const { one, due, tell, move } = await opened();
    await one();
    await tell(roomy(kept));
    expect([await due(), await move()]).toEqual([[], undefined]);
  }
});

test('a copy whose process ended keeps no job out of the new path: it waits for the job, and the job ends it', async () => {
  const { world, one, due, places, move, id } = await opened();
  expect(await one()).toMatchObject({ step: 'copy' });
  expect(await places()).toBe('nowhere');
  await world.run((ctx) => ctx.tx.updateRunner({ ...(ctx.tx.runner(id) as RunnerRow), bootId: 'boot-after' }));
  expect([await due(), await move()]).toMatchObject([[], { phase: 'copy' }]);
  expect([await places(), await move()]).toEqual(['other', undefined]);
});
