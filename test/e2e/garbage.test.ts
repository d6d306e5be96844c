/** 40 sectors, half of them aborted at random points: nothing but what live jobs need is left; `test/soak/garbage.test.ts` has 100. */
import { test } from 'vitest';
import { collectAround } from './garbage.ts';

test('40 sectors, half of them aborted at random points: what is left is what live jobs need', { timeout: 900_000 }, () =>
  collectAround(40, 600_000),
);
