/** Bugs planted in what runners are granted, told and believed. */
import type { Mutant } from './planted.ts';

export const FLEET: readonly Mutant[] = [
  {
    name: 'runners: two processes with one credential are never noticed',
    file: 'scheduler/boots.ts',
    find: 'stolen: nowMs - before.untilMs > lateMs ? TWO_PROCESSES : undefined };',
    replace: 'stolen: undefined };',
  },
  {
    name: 'runners: the last word of a process that died is taken for that of a thief',
    file: 'scheduler/boots.ts',
    find: 'stolen: nowMs - before.untilMs > lateMs ? TWO_PROCESSES : undefined };',
    replace: 'stolen: TWO_PROCESSES };',
  },
  {
    name: 'runners: a credential is dead as soon as the next one is given',
    file: 'scheduler/credentials.ts',
    find: '  return due ? secret : undefined;',
    replace: '  if (due) promote(ctx, ctx.tx.runner(id) as RunnerRow, hash);\n  return due ? secret : undefined;',
  },
  {
    name: 'runners: a credential that was replaced is still good',
    file: 'scheduler/credentials.ts',
    find: "if (runner.status === 'banned' || runner.nextCredentialHash !== hash) return { runner, dead: true };",
    replace: "if (runner.nextCredentialHash !== hash) return { runner, dead: runner.status === 'banned' };",
  },
  {
    name: 'runners: any heartbeat counts as progress',
    file: 'scheduler/progress.ts',
    find: '  if (!gotFurther(attempt, beat)) return { progressMs: attempt.progressMs, dueMs: attempt.dueMs };\n',
    replace: '',
  },
  {
    name: 'runners: progress is not written down',
    file: 'scheduler/progress.ts',
    find: 'if (!gotFurther(attempt, beat)) return',
    replace: "if (!gotFurther(attempt, beat) || attempt.id !== '') return",
  },
  {
    name: 'runners: a stage is granted before its self-test came back',
    file: 'scheduler/grants.ts',
    find: "  if (untested(ctx.settings, runner, todo.stage) !== undefined) return 'passed';\n",
    replace: '',
  },
  {
    name: 'runners: a wrong answer to a self-test costs nothing but that stage',
    file: 'scheduler/self-test/tests.ts',
    find: "if (verdict.verdict === 'wrong') {",
    replace: "if (verdict.verdict === 'wrong' && answer.id === '') {",
  },
  {
    name: 'runners: who is quarantined keeps its stages',
    file: 'scheduler/fleet.ts',
    find: "  for (const attempt of ctx.tx.runningAttempts(runner.id)) lose(ctx, attempt, 'the runner was quarantined');\n",
    replace: '',
  },
  {
    name: 'runners: a banned one is answered',
    file: 'scheduler/credentials.ts',
    find: "return { runner, dead: runner.status === 'banned' };",
    replace: 'return { runner, dead: false };',
  },
  {
    name: 'runners: heartbeats do not extend the lease',
    file: 'scheduler/fleet.ts',
    find: 'ctx.nowMs + leaseMs(ctx, attempt.stage)',
    replace: 'attempt.leaseUntilMs',
  },
  {
    name: 'runners: leases are sixty times as long',
    file: 'scheduler/grants.ts',
    find: 'return ctx.settings.leaseMs + (ctx.settings.graceMs[stage] ?? 0);',
    replace: 'return 60 * (ctx.settings.leaseMs + (ctx.settings.graceMs[stage] ?? 0));',
  },
  {
    name: 'runners: they are never told to stop',
    file: 'scheduler/fleet.ts',
    find: "order: 'cancel' as const",
    replace: "order: 'continue' as const",
    also: {
      find: "return row === undefined || row.runner !== runner.id || row.epoch !== epoch || row.status !== 'running';",
      replace: 'return row === undefined || row.epoch < epoch;',
    },
  },
  {
    name: 'caches: runners are never told what no job needs',
    file: 'scheduler/artifact-caches.ts',
    find: 'const forget = cached.filter((key) => !isNeeded(key));',
    replace: 'const forget = cached.filter((key) => !isNeeded(key) && false);',
  },
  {
    name: 'urls: a runner gets new ones of an attempt that another one works on',
    file: 'scheduler/renewals.ts',
    find: "if (row.runner !== runner || row.epoch !== beat.epoch || row.status !== 'running') return [];",
    replace: '',
  },
  {
    name: 'urls: new ones of parts are forgotten',
    file: 'api/urls.ts',
    find: 'parts: outputs.flat() };',
    replace: 'parts: [] };',
  },
];
