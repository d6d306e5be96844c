/** 100 sectors, half of them aborted at random points: nothing but what live jobs need is left. */
import { test } from 'vitest';
import { collectAround } from '../e2e/garbage.ts';

test('100 sectors, half of them aborted at random points: what is left is what live jobs need', { timeout: 3_600_000 }, () =>
  collectAround(100, 3_000_000),
);
