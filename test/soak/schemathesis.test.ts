/** schemathesis with many examples and several seeds. */
import { expect, test } from 'vitest';
import { FUZZERS, HAS_SCHEMATHESIS, fuzz } from '../api/schemathesis.ts';

const EXAMPLES = 100;
const SEEDS = [1, 2, 3] as const;

test.runIf(HAS_SCHEMATHESIS).each(FUZZERS.flatMap((who) => SEEDS.map((seed) => ({ who, seed }))))(
  'as $who, seed $seed',
  async ({ who, seed }) => {
    const { code, report } = await fuzz(who, EXAMPLES, seed);
    expect(code, report.slice(-20_000)).toBe(0);
  },
);
