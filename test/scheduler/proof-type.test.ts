/** Synthetic PoRep is chosen when a sector gets its number: where a rented runner may do its PC2. */
import { afterEach, expect, test } from 'vitest';
import type { MinerSettings } from '../../src/scheduler/context.ts';
import type { Trust } from '../../src/schema/runner.ts';
import type { Stage } from '../../src/schema/stage.ts';
import { MINER, World } from './world.ts';

let world: World;
afterEach(() => world.close());

const PLAIN = { sealProof: 'StackedDrg2KiBV1_1', firstSector: 1, lastSector: 1000, allowCc: true } as const;
const SYNTHETIC = 'StackedDrg2KiBV1_1_Feat_SyntheticPoRep';

test.each<[string, string, Partial<MinerSettings>, Trust, Stage]>([
  ['a rented runner does PC2', SYNTHETIC, { synthetic: 'rented' }, 'rented', 'PC2'],
  ['it does other stages', PLAIN.sealProof, { synthetic: 'rented' }, 'rented', 'C2'],
  ['it is our own', PLAIN.sealProof, { synthetic: 'rented' }, 'own', 'PC2'],
  ['it is switched off', PLAIN.sealProof, { synthetic: 'never' }, 'rented', 'PC2'],
  ['the miner is configured so', SYNTHETIC, { synthetic: 'never', sealProof: SYNTHETIC }, 'own', 'PC2'],
])('%s: %s', async (_, sealProof, settings, trust, stage) => {
  world = new World({ miners: { [MINER]: { ...PLAIN, ...settings } } });
  await world.start();
  const own = (await world.register('own', 'own', ['AddPiece'])).id;
  await world.register('other', trust, [stage]);
  const id = await world.ask();
  await world.finish([own], 20);
  expect(await world.job(id)).toMatchObject({ number: 1, data: { sealProof } });
});

test('a sector that was asked for with client data stays plain: its PC2 is on own machines', async () => {
  world = new World({ miners: { [MINER]: { ...PLAIN, synthetic: 'rented' } } });
  await world.start();
  const own = (await world.register('own', 'own', ['Persist'])).id;
  await world.register('gpu', 'rented', ['PC2']);
  const id = await world.ask({ pieces: [await world.piece(true)] });
  await world.finish([own], 20);
  expect(await world.job(id)).toMatchObject({ number: 1, data: { sealProof: PLAIN.sealProof } });
});
