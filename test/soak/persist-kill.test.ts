/** Persist killed at each of its steps. */
import { test } from 'vitest';
import { THERE, killEach } from '../runners/persist-killing.ts';

test.each(THERE)('persist, killed at every step, %s', { timeout: 3_600_000 }, async (_name, there) => {
  await killEach(there, 1);
});
