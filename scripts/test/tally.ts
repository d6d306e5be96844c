/** Counts tests from what the two test runners report. A runner that dies or runs nothing is a failure, never silence. */

/** What one runner did. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  /** A few lines each: which test failed, in which file, and the first line of why. */
  readonly failures: readonly string[];
  /** One line each: which test did not run, for lack of what. */
  readonly skipped: readonly string[];
  /** One sentence for everything that went wrong outside a test. */
  readonly faults: readonly string[];
  /** Like `failures`: what failed beside other tests and passed when its file ran once more, alone. */
  readonly unsteady?: readonly string[];
}

/** The part of Vitest's JSON report that counting needs. */
export interface VitestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message?: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

const BINARY = /^\s+(?:Running|Doc-tests) /gm;
const RESULT = /^test result: (?:ok|FAILED)\. (\d+) passed; (\d+) failed; \d+ ignored; \d+ measured; \d+ filtered out/gm;
const FAILED = /^test (\S+) \.\.\. FAILED$/gm;
// A Rust test cannot report itself as skipped, so one that lacks a part prints this line and returns.
const LACKS = /(?:^|\.\.\. )skipped: (.+)$/gm;

/**
 * Counts `cargo test`'s output (stdout and stderr together). `#[ignore]`d tests belong to the soak and are not counted.
 * A test binary without a result line has crashed: one failure.
 */
export function cargoTally(output: string, exitCode: number | null): Tally {
  const results = [...output.matchAll(RESULT)];
  const sum = (group: 1 | 2): number => results.reduce((total, match) => total + Number(match[group]), 0);
  const skipped = [...new Set([...output.matchAll(LACKS)].map((match) => match[1] ?? ''))];
  const crashed = [...output.matchAll(BINARY)].length - results.length;
  const faults = crashed > 0 ? [`cargo: ${crashed} test program(s) ended without a result; see the output above`] : [];
  const failures = [...output.matchAll(FAILED)].map((match) => `cargo: ${match[1]}`);
  return checked('cargo', { passed: sum(1) - skipped.length, failed: sum(2), failures, skipped, faults }, exitCode);
}

/** Counts a Vitest report; `undefined` when Vitest wrote none. A file that could not be loaded is one failure. */
export function vitestTally(project: string, report: VitestReport | undefined, exitCode: number | null): Tally {
  const runner = `vitest ${project}`;
  const files = report?.testResults ?? [];
  const tests = files.flatMap((file) => file.assertionResults);
  const named = (status: string): string[] => tests.filter((test) => test.status === status).map((test) => test.fullName);
  const broken = files.filter((file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'));
  const tally = {
    passed: named('passed').length,
    failed: named('failed').length,
    failures: files.flatMap((file) =>
      file.assertionResults
        .filter((test) => test.status === 'failed')
        .map((test) => `${project}: ${file.name}: ${test.fullName}\n    ${firstLines(test.failureMessages)}`),
    ),
    skipped: tests.filter((test) => test.status !== 'passed' && test.status !== 'failed').map((test) => `${project}: ${test.fullName}`),
    faults: broken.map((file) => `${runner}: ${file.name} broke outside its tests; see the output above`),
  };
  return checked(runner, tally, exitCode);
}

/** The files of a report with a failed test, or that broke outside their tests. */
export function failedFiles(report: VitestReport | undefined): string[] {
  return (report?.testResults ?? []).filter((file) => file.status === 'failed').map((file) => file.name);
}

/** Puts what `again` says of the files that it ran in the place of what `report` says of them. */
export function replaced(report: VitestReport, again: VitestReport): VitestReport {
  const anew = new Map(again.testResults.map((file) => [file.name, file]));
  return { testResults: report.testResults.map((file) => anew.get(file.name) ?? file) };
}

/** The reason and where it was thrown, short enough to stand beside others. */
function firstLines(messages: readonly string[] = []): string {
  const lines = messages.join('\n').split('\n');
  const places = lines.filter((line) => /^\s+at .*\/(?:test|src|scripts)\//.test(line)).map((line) => line.trim());
  return [lines[0]?.slice(0, 400) ?? '', ...places.slice(0, 2)].join('\n    ');
}

/** Adds the faults that every runner can have: it died, or it ran nothing. */
function checked(runner: string, tally: Tally, exitCode: number | null): Tally {
  const faults = [...tally.faults];
  if (tally.passed + tally.failed + tally.skipped.length === 0) faults.push(`${runner}: no test ran`);
  const unexplained = exitCode !== 0 && tally.failed === 0 && faults.length === 0;
  if (unexplained) faults.push(`${runner}: ended with ${exitCode === null ? 'a signal' : `exit code ${exitCode}`} though no test failed`);
  return { ...tally, faults };
}

/** The lines to end with, the count last, and the exit code. `noSkips` (CI) turns each skipped test into a failure. */
export function conclusion(tallies: readonly Tally[], noSkips: boolean): { lines: string[]; exitCode: number } {
  const skipped = tallies.flatMap((tally) => tally.skipped);
  const faults = tallies.flatMap((tally) => tally.faults);
  const passed = tallies.reduce((total, tally) => total + tally.passed, 0);
  const failed = tallies.reduce((total, tally) => total + tally.failed, 0) + faults.length + (noSkips ? skipped.length : 0);
  const unsteady = tallies.flatMap((tally) => tally.unsteady ?? []);
  const again = unsteady.length > 0 ? ` (${unsteady.length} of them only when run again, alone)` : '';
  const shown = skipped.length > 0 && !noSkips ? `, ${skipped.length} skipped` : '';
  return {
    lines: [
      ...unsteady.map((failure) => `passed only when run again, alone: ${failure}`),
      ...tallies.flatMap((tally) => tally.failures).map((failure) => `failed: ${failure}`),
      ...skipped.map((name) => `${noSkips ? 'skipped, which CI does not allow' : 'skipped'}: ${name}`),
      ...faults.map((fault) => `fault: ${fault}`),
      `${passed} passed${again}, ${failed} failed${shown}`,
    ],
    exitCode: failed === 0 ? 0 : 1,
  };
}
