/** schemathesis finds nothing: all checks and phases, the stateful one included, with tokens of each role. */
import { expect, test } from 'vitest';
import { FUZZERS, HAS_SCHEMATHESIS, fuzz } from './schemathesis.ts';

/** Examples for each operation; `make soak` takes more. */
const EXAMPLES = 3;
const RUN_MS = 180_000;

test.runIf(HAS_SCHEMATHESIS).each(FUZZERS)(
  'as %s',
  async (who) => {
    const { code, report, cases } = await fuzz(who, EXAMPLES, 1);
    expect(code, report.slice(-20_000)).toBe(0);
    expect(cases).toBeGreaterThan(500);
  },
  RUN_MS,
);
