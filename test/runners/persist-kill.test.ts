/** Persist killed at some of its steps; `make soak` kills it at every one. */
import { test } from 'vitest';
import { THERE, killEach } from './persist-killing.ts';

test.each(THERE)('persist, killed at some of its steps, %s', { timeout: 600_000 }, async (_name, there) => {
  await killEach(there, 12);
});
