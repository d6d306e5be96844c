/** A snap that goes back while its message is out: what it stores then is checked and told of as the first was, before it ends. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pauseJob, resumeJob } from '../../src/scheduler/operate.ts';
import type { EffectRow } from '../../src/scheduler/effects.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import { sectorRecord } from '../store/rows.ts';
import { COMM_D, COMM_R, TICKET } from './honest.ts';
import { MINER, World } from './world.ts';

let world: World;
let own: RunnerId;

beforeEach(async () => {
  world = new World({ declares: true, threads: [{ worker: 'local', index: 0, plan: 'snapup', miner: null, auto: false }] });
  await world.start();
  own = (await world.register('own')).id;
});
afterEach(() => world.close());

/** Goes on until the message is followed and no stage is due; what was performed on the way. */
async function untilFollowed(): Promise<{ follow: EffectRow; told: number; stages: string[] }> {
  let told = 0;
  const stages: string[] = [];
  for (let round = 0; round < 300; round += 1) {
    const due = await world.effects();
    for (const effect of due.filter(({ want }) => want.kind !== 'landed')) {
      if (effect.want.kind === 'declare') told += 1;
      await world.perform(effect);
    }
    const granted = await world.grant(own);
    for (const one of granted) await world.report(own, world.honest(one));
    stages.push(...granted.map(({ grant }) => grant.stage));
    const follow = (await world.effects()).find(({ want }) => want.kind === 'landed');
    if (follow !== undefined && granted.length === 0) return { follow, told, stages };
    await world.tick(1_000);
  }
  throw new Error('the message is not followed');
}

test('landed, it is verified and told of again before it ends', async () => {
  world.chain.proven(7);
  const files = { storage: 'store', root: '/storage', files: null };
  await world.run((ctx) => ctx.tx.putSectorRecord(sectorRecord(7, { miner: MINER, ticket: TICKET, commD: COMM_D, commR: COMM_R, files })));
  const id = await world.ask({ plan: 'snapup', sector: 7, pieces: [await world.piece()] });
  expect((await untilFollowed()).told).toBe(1);
  await world.run((ctx) => pauseJob(ctx, id, {}, 'test'));
  await world.run((ctx) => resumeJob(ctx, id, { state: 'SnapProved' }, 'test'));
  const { follow } = await untilFollowed();
  expect((await world.job(id)).data.storedChecked).toBeUndefined();
  await world.perform(follow, { outcome: 'landed', epoch: 12_000, exitCode: 0, onChain: true, detail: '' });
  expect(await world.job(id)).toMatchObject({ state: 'Persisted', waiting: { for: 'runner', stage: 'Verify' } });
  for (const one of await world.grant(own)) await world.report(own, world.honest(one));
  const [declare] = (await world.effects()).filter(({ want }) => want.kind === 'declare');
  expect(await world.job(id)).toMatchObject({ state: 'Persisted' });
  await world.perform(declare as EffectRow);
  await world.finish([own]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished', data: { storedChecked: true } });
});
