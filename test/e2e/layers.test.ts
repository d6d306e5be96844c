/** Layers of PC1 outlive the machine that makes them: 8 MiB sectors, which have two. */
import { test } from 'vitest';
import { layerStory } from './layer-story.ts';

test('a PC1 that is killed after its first layer goes on at the second one elsewhere', { timeout: 300_000 }, async () => {
  await layerStory('StackedDrg8MiBV1_1', 120_000);
});
