/** The sum of all tests counts what ran, and takes silence for failure. */
import { expect, test } from 'vitest';
import { cargoTally, conclusion, failedFiles, replaced, type Tally, vitestTally } from '../../scripts/test/tally.ts';

const CARGO_TWO = `     Running unittests src/lib.rs (target/release/deps/a-1)

running 3 tests
test a ... ok
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s

     Running tests/strict.rs (target/release/deps/b-1)

running 2 tests
test b ... FAILED
test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 2.00s
`;

test('cargo: results of several programs are added, ignored tests are not counted', () => {
  expect(cargoTally(CARGO_TWO, 101)).toEqual({ passed: 3, failed: 1, failures: ['cargo: b'], skipped: [], faults: [] });
});

test('cargo: a program that died without a result is a fault, though others passed', () => {
  const output = `${CARGO_TWO}     Running tests/crash.rs (target/release/deps/c-1)\n\nrunning 1 test\nerror: test failed (signal: 11)\n`;
  expect(cargoTally(output, 101).faults).toEqual([expect.stringContaining('1 test program(s) ended without a result')]);
});

test('cargo: a build that fails is a fault, and so is a run that names no test', () => {
  expect(cargoTally('error: could not compile', 101).faults).not.toEqual([]);
  const empty = '     Running unittests src/lib.rs\ntest result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n';
  expect(cargoTally(empty, 0).faults).toEqual(['cargo: no test ran']);
});

test('cargo: a test that lacks a part is skipped, not passed', () => {
  const output = `     Running tests/image.rs\n---- image stdout ----\nskipped: image: podman is not installed\n\ntest result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n`;
  expect(cargoTally(output, 0)).toEqual({ passed: 3, failed: 0, failures: [], skipped: ['image: podman is not installed'], faults: [] });
});

const WHY = 'AssertionError: expected 1 to be 2\n    at node_modules/vitest/index.js:3:4\n    at /a/test/a.test.ts:12:3';

const file = (status: string, ...tests: [string, string][]) => ({
  name: 'test/a.test.ts',
  status,
  assertionResults: tests.map(([fullName, s]) => ({ fullName, status: s, failureMessages: s === 'failed' ? [WHY] : [] })),
});

test('vitest: passed, failed and skipped are told apart', () => {
  const report = { testResults: [file('failed', ['a', 'passed'], ['b', 'failed'], ['c', 'pending']), file('passed', ['d', 'passed'])] };
  expect(vitestTally('node', report, 1)).toEqual({
    passed: 2,
    failed: 1,
    failures: ['node: test/a.test.ts: b\n    AssertionError: expected 1 to be 2\n    at /a/test/a.test.ts:12:3'],
    skipped: ['node: c'],
    faults: [],
  });
});

test('vitest: a file that could not be loaded is a fault', () => {
  const report = { testResults: [file('failed'), file('passed', ['d', 'passed'])] };
  expect(vitestTally('node', report, 1).faults).toEqual(['vitest node: test/a.test.ts broke outside its tests; see the output above']);
});

test('vitest: no report, or an unhandled error after all tests passed, is a fault', () => {
  expect(vitestTally('node', undefined, null).faults).not.toEqual([]);
  const report = { testResults: [file('passed', ['d', 'passed'])] };
  expect(vitestTally('node', report, 1).faults).toEqual(['vitest node: ended with exit code 1 though no test failed']);
  expect(vitestTally('node', report, 0).faults).toEqual([]);
});

const tally = (changes: Partial<Tally>): Tally => ({ passed: 0, failed: 0, failures: [], skipped: [], faults: [], ...changes });

test('the last line sums all runners, and only a clean run exits with 0', () => {
  const clean = conclusion([tally({ passed: 3 }), tally({ passed: 4 })], true);
  expect(clean).toEqual({ lines: ['7 passed, 0 failed'], exitCode: 0 });
  const faulty = conclusion([tally({ passed: 3, failed: 1, failures: ['cargo: b'], faults: ['cargo: no test ran'] })], false);
  expect(faulty).toEqual({ lines: ['failed: cargo: b', 'fault: cargo: no test ran', '3 passed, 2 failed'], exitCode: 1 });
});

test('a skipped test is named; in CI it fails the run', () => {
  const tallies = [tally({ passed: 3, skipped: ['image: podman is not installed'] })];
  const lenient = conclusion(tallies, false);
  expect(lenient).toEqual({ lines: ['skipped: image: podman is not installed', '3 passed, 0 failed, 1 skipped'], exitCode: 0 });
  const strict = conclusion(tallies, true);
  expect(strict.lines.at(-1)).toBe('3 passed, 1 failed');
  expect(strict.exitCode).toBe(1);
});

test('what failed and then passed alone is named and counted, and no other file changes', () => {
  const first = {
    testResults: [file('failed', ['a', 'passed'], ['b', 'failed']), { ...file('passed', ['d', 'passed']), name: 'test/d.test.ts' }],
  };
  expect(failedFiles(first)).toEqual(['test/a.test.ts']);
  const second = replaced(first, { testResults: [file('passed', ['a', 'passed'], ['b', 'passed'])] });
  expect(second.testResults.map(({ status }) => status)).toEqual(['passed', 'passed']);
  const { lines, exitCode } = conclusion([{ ...vitestTally('node', second, 0), unsteady: ['node: test/a.test.ts: b'] }], true);
  expect(lines).toEqual([
    'passed only when run again, alone: node: test/a.test.ts: b',
    '3 passed (1 of them only when run again, alone), 0 failed',
  ]);
  expect(exitCode).toBe(0);
});
