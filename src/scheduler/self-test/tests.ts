/**
 * Self-tests of runners: which are due, what their answers mean, and which stages a runner may not have yet.
 *
 * untested ─ asked ─► out ─ right ─► passed ─ idle, canary due ─► out …
 *                      └─ failed, too slow ─► not granted, asked again later; wrong ─► quarantined with the evidence
 */
import type { AttemptId } from '../../schema/ids.ts';
import type { RunnerTests, SelfTest, SelfTestAnswer } from '../../schema/self-test.ts';
import { HEAVY, type Stage } from '../../schema/stage.ts';
import type { Context } from '../context.ts';
import { strike } from '../fleet.ts';
import type { RunnerRow } from '../ports.ts';
import { isTested, judge, makeTest } from './known.ts';
import { isHeldTo } from './standing.ts';

/**
 * How long an answer may take before the test counts as not answered: several times the slowest that passes. What was granted before
 * and takes the whole machine goes first there, and then the time begins when that has ended.
 */
export const ANSWER_WITHIN_MS = 5 * 60_000;
/** A stage that failed its test is tested again after this, since parameters can come and disks be freed. */
export const AGAIN_AFTER_MS = 5 * 60_000;
export const CANARY_EVERY_MS = 6 * 60 * 60_000;
/** Attempts of a runner that are looked at: more than it has in hand. */
const LOOKED_BACK = 100;

const NONE: RunnerTests = { asked: [], stages: {} };

/** Tests that the runner gets now: all at once before its first grants, then one at a time while it has nothing to do. */
export function dueTests(ctx: Context, runner: RunnerRow): SelfTest[] {
  if (runner.status !== 'ready' || !isHeldTo(ctx.settings, runner)) return [];
  const tests = withoutLate(ctx, runner);
  const out = new Set(tests.asked.map(({ stage }) => stage));
  const testable = runner.stages.filter((stage) => isTested(stage) && !out.has(stage));
  const first = testable.filter((stage) => {
    const last = tests.stages[stage];
    return last === undefined || (!last.passed && ctx.nowMs - last.atMs >= AGAIN_AFTER_MS);
  });
  const due = first.length > 0 ? first : out.size > 0 ? [] : canary(ctx, runner, tests, testable);
  if (due.length === 0) {
    if (tests !== (runner.tests ?? NONE)) ctx.tx.updateRunner({ ...runner, tests });
    return [];
  }
  const sealProofs = [...new Set(Object.values(ctx.settings.miners).map(({ sealProof }) => sealProof))];
  const made = due
    .filter((stage) => sealProofs.length > 0 || (stage !== 'C2' && stage !== 'SnapProve'))
    .map((stage) => makeTest(ctx.ids.next('a') as AttemptId, stage, ctx.ids.hex(4), ctx.settings.network, sealProofs));
  const asked = made.map(({ test: { id, stage }, known }) => ({ id, stage, known, askedMs: ctx.nowMs, bootId: runner.bootId }));
  ctx.tx.updateRunner({ ...runner, tests: { ...tests, asked: [...tests.asked, ...asked] } });
  return made.map(({ test }) => test);
}

/** The stage whose last test is the oldest, when that is old enough and the runner is idle. */
function canary(ctx: Context, runner: RunnerRow, tests: RunnerTests, testable: readonly Stage[]): Stage[] {
  const every = ctx.settings.canaryEveryMs ?? CANARY_EVERY_MS;
  const at = (stage: Stage): number => tests.stages[stage]?.atMs ?? 0;
  const old = testable.filter((stage) => tests.stages[stage]?.passed === true && ctx.nowMs - at(stage) >= every);
  const [oldest] = old.toSorted((one, other) => at(one) - at(other));
  return oldest === undefined || ctx.tx.runningAttempts(runner.id).length > 0 ? [] : [oldest];
}

/** Of a boot before this one nothing will come; what this one never answered it did not pass. */
function withoutLate(ctx: Context, runner: RunnerRow): RunnerTests {
  const tests = runner.tests ?? NONE;
  const here = tests.asked.filter(({ bootId }) => bootId === runner.bootId);
  const late = here.filter(
    ({ askedMs }) => ctx.nowMs - askedMs > ANSWER_WITHIN_MS && ctx.nowMs - freeMs(ctx, runner, askedMs) > ANSWER_WITHIN_MS,
  );
  if (late.length === 0 && here.length === tests.asked.length) return tests;
  const reason = `it did not answer within ${ANSWER_WITHIN_MS / 60_000} minutes`;
  const failed = late.map(({ stage }) => [stage, { passed: false, atMs: ctx.nowMs, durationMs: ANSWER_WITHIN_MS, reason }]);
  return { asked: here.filter((one) => !late.includes(one)), stages: { ...tests.stages, ...Object.fromEntries(failed) } };
}

/** When the runner has ended, or will have, what goes before a test that was asked then: heavy stages, also those it got before it came to the test. */
function freeMs(ctx: Context, runner: RunnerRow, askedMs: number): number {
  const before = ctx.tx
    .attemptsOfRunner(runner.id, LOOKED_BACK)
    .filter(({ stage, grantedMs }) => HEAVY.has(stage) && grantedMs <= askedMs + ANSWER_WITHIN_MS);
  return Math.max(0, ...before.map(({ endedMs }) => endedMs ?? ctx.nowMs));
}

/** Takes answers; what was not asked, or was answered before, is read over. A wrong one costs a rented runner its place. */
export function takeTestAnswers(ctx: Context, runner: RunnerRow, answers: readonly SelfTestAnswer[]): RunnerRow {
  let now = runner;
  for (const answer of answers) {
    const tests = now.tests ?? NONE;
    const asked = tests.asked.find(({ id }) => id === answer.id);
    if (asked === undefined) continue;
    const verdict = judge(asked.stage, asked.known, answer);
    const reason = verdict.verdict === 'passed' ? null : verdict.reason;
    const outcome = { passed: reason === null, atMs: ctx.nowMs, durationMs: answer.durationMs, reason };
    now = {
      ...now,
      tests: { asked: tests.asked.filter((one) => one !== asked), stages: { ...tests.stages, [asked.stage]: outcome } },
    };
    ctx.tx.updateRunner(now);
    if (verdict.verdict === 'wrong') {
      strike(ctx, now, `${asked.stage}: ${verdict.reason}`, true);
      now = ctx.tx.runner(now.id) ?? now;
    }
    ctx.signals.add('runners');
  }
  return now;
}
