/** A move killed at some of its steps; `make soak` kills it at every one. */
import { test } from 'vitest';
import { killEach } from './move-killing.ts';

test('a move, killed at some of its steps, loses nothing and goes on', { timeout: 600_000 }, async () => {
  await killEach(5);
});
