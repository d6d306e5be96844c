/** Moves that cannot go on for now: others are begun beside them, and whoever needs their place gets it. */
import { expect, test } from 'vitest';
import { drain } from '../../src/scheduler/storage-moves.ts';
import { job } from '../store/rows.ts';
import { movesWorld, roomy } from './moves-world.ts';
import { MINER } from './world.ts';

const HOUR_MS = 3_600_000;

/** Sectors 1 … `sectors` in `main`, which is drained. */
async function opened(sectors = 1) {
  const the = await movesWorld({ sectors });
  const { world } = the;
  await world.run((ctx) => drain(ctx, 'main', 'operator:test', false));
  return { ...the, left: () => world.run((ctx) => ctx.tx.countSectorsIn('main')) };
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
