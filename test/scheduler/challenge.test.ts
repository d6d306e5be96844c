/** Before the deposit: vanilla proofs for a seed that nobody knew, checked strictly on an own runner. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { resumeJob } from '../../src/scheduler/operate.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import { Stage } from '../../src/schema/stage.ts';
import { World } from './world.ts';

let world: World;
let own: RunnerId;
beforeEach(async () => {
  world = new World();
  await world.start();
  const stages = Stage.options.filter((stage) => stage !== 'PC2' && stage !== 'C1');
  own = (await world.register('own', 'own', stages)).id;
});
afterEach(() => world.close());

test('forged vanilla proofs for the challenge: no message is wanted, the C1 goes to another one, and the forger pays', async () => {
  const sealing = (await world.register('sealing', 'rented', ['PC2'])).id;
  const forger = (await world.register('forger', 'rented', ['C1'])).id;
  const id = await world.ask();
  const c1 = await world.until('PC2Done', [own, sealing, forger]);
  expect(c1).toMatchObject({ runner: forger, grant: { stage: 'C1' } });
  await world.report(forger, world.honest(c1));
  const check = await world.until('PC2Done', [own, sealing, forger]);
  expect(check).toMatchObject({ runner: own, grant: { stage: 'Verify' } });
  await world.report(own, world.failure(check, 'proof_invalid'));
  const effects = await world.run((ctx) => ctx.tx.effectsOfJob(id));
  expect(effects.filter(({ want }) => want.kind === 'message')).toEqual([]);
  expect(await world.run((ctx) => ctx.tx.runner(forger))).toMatchObject({ strikes: 1 });
  const honest = (await world.register('honest', 'rented', ['C1'])).id;
  await world.finish([own, sealing, honest]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished' });
  expect(await world.run((ctx) => ctx.tx.runner(forger))).toMatchObject({ status: 'quarantined' });
});

test('files that are made anew while the pre-commit is out are challenged too: garbage never gets over those that are stored', async () => {
  const liar = (await world.register('liar', 'rented', ['PC2'])).id;
  const maker = (await world.register('maker', 'own', ['C1'])).id;
  const id = await world.ask();
  await world.until('SeedAssigned', [own, liar, maker]);
  await world.run((ctx) => resumeJob(ctx, id, { state: 'PC1Done', force: true }, 'test'));
  await world.until('PC1Done', [own, liar, maker]).then((pc2) => world.report(liar, world.honest(pc2)));
  const c1 = await world.until('PC2Done', [own, liar, maker]);
  expect(c1.grant.stage).toBe('C1');
  await world.report(maker, world.failure(c1, 'input_invalid'));
  expect(await world.job(id)).toMatchObject({ state: 'PC1Done', data: { preCommit: { exitCode: 0 } } });
  const honest = (await world.register('honest', 'rented', ['PC2'])).id;
  await world.finish([own, honest, maker]);
  expect(await world.job(id)).toMatchObject({ state: 'Finished' });
  const sent = (await world.run((ctx) => ctx.tx.effectsOfJob(id))).filter(({ step }) => step === 'SubmitPC');
  expect(sent).toHaveLength(1);
});
