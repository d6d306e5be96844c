/** The same with sectors of 512 MiB, whose layers take some tens of seconds each. */
import { test } from 'vitest';
import { layerStory } from '../e2e/layer-story.ts';

test('a PC1 of 512 MiB that is killed after its first layer goes on at the second one elsewhere', async () => {
  await layerStory('StackedDrg512MiBV1_1', 3_600_000);
});
