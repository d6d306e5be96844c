/** A move killed at each of its steps. */
import { test } from 'vitest';
import { killEach } from '../runners/move-killing.ts';

test('a move, killed at every step, loses nothing and goes on', { timeout: 3_600_000 }, async () => {
  await killEach(1);
});
