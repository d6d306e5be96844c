/** Self-tests as the agent runs them, with the real prover and with its processor mode: every recorded case comes out right. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AttemptContext } from '../../src/runners/attempt.ts';
import { KeptDownloads } from '../../src/runners/kept-downloads.ts';
import { Turnstile } from '../../src/runners/lanes.ts';
import type { OpenExecutor } from '../../src/runners/executor.ts';
import { ProcessorPool } from '../../src/runners/processors/pool.ts';
import { SelfTests } from '../../src/runners/self-tests.ts';
import { StorageWatch } from '../../src/runners/storage-paths.ts';
import { judge, makeTest } from '../../src/scheduler/self-test/known.ts';
import { RECORDED } from '../../src/scheduler/self-test/recorded.gen.ts';
import { AttemptId } from '../../src/schema/ids.ts';
import { Processors } from '../../src/schema/processor.ts';
import { NextAnswer } from '../../src/schema/runner.ts';
import type { SelfTestAnswer } from '../../src/schema/self-test.ts';
import type { Stage } from '../../src/schema/stage.ts';
import { REAL_PROVER } from '../replay-prover/replay-prover.ts';
import { openWish } from './open-wish.ts';

let dataDir: string;
let opened: OpenExecutor;
let context: AttemptContext;
let tests: SelfTests;
beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'self-tests-'));
  mkdirSync(join(dataDir, 'work'));
  opened = await openWish({ dataDir, id: 'self-tests' });
  const { executor } = opened;
  context = {
    dataDir,
    prover: REAL_PROVER,
    storage: [],
    watch: new StorageWatch([], dataDir),
    executor,
    heavy: new Turnstile(),
    patienceMs: 1_000,
    sendPatienceMs: 1_000,
    silentMs: () => 0,
    log: () => undefined,
    downloads: new KeptDownloads({ dataDir }),
    beatSoon: () => undefined,
  };
  tests = new SelfTests(
    () => context,
    () => undefined,
  );
});
afterEach(async () => {
  await tests.stop();
  await context.processors?.stop();
  await opened.close();
  expect(readdirSync(join(dataDir, 'work'))).toEqual([]);
  rmSync(dataDir, { recursive: true });
});

const STAGES: readonly Stage[] = ['AddPiece', 'BuildTreeD', 'PC1', 'PC2', 'SnapEncode', 'C2', 'SnapProve'];

/** One test of each stage, as it arrives after JSON. */
function asked(dice: string) {
  const made = STAGES.map((stage, at) => makeTest(AttemptId.parse(`a-00000${at}`), stage, dice, 'dev', ['StackedDrg2KiBV1_1']));
  const { tests: arrived = [] } = NextAnswer.parse(
    JSON.parse(JSON.stringify({ reports: [], grants: [], cancel: [], tests: made.map(({ test }) => test) })),
  );
  return { arrived, known: new Map(made.map(({ test, known }) => [test.id, { stage: test.stage, known }])) };
}

async function verdicts(dice: string): Promise<Record<string, unknown>> {
  const { arrived, known } = asked(dice);
  tests.begin(arrived);
  const answers = (): SelfTestAnswer[] => tests.unsent();
  await expect.poll(() => answers().length, { timeout: 120_000 }).toBe(STAGES.length);
  const judged = answers().map((answer) => {
    const { stage, known: name } = known.get(answer.id) as { stage: Stage; known: string };
    return [stage, judge(stage, name, answer)];
  });
  tests.sent(answers());
  expect(answers()).toEqual([]);
  return Object.fromEntries(judged);
}

const ALL_PASSED = Object.fromEntries(STAGES.map((stage) => [stage, { verdict: 'passed' }]));

test('the real prover passes, and the machine is measured once', async () => {
  expect(await verdicts('00000000')).toEqual(ALL_PASSED);
  const { speeds } = tests;
  expect(speeds).toMatchObject({ hashMbPerSecond: expect.any(Number), diskWriteMbPerSecond: expect.any(Number) });
  expect(await verdicts('00000001')).toEqual(ALL_PASSED);
  expect(tests.speeds).toBe(speeds);
});

test('processors are tested in the place of the prover', async () => {
  const own = (stage: string): object => ({ args: ['processor', stage, '--network', 'dev'], stable_wait: '60s' });
  const table = Processors.parse(Object.fromEntries(['add_pieces', 'tree_d', 'pc1', 'pc2', 'c2'].map((stage) => [stage, [own(stage)]])));
  const options = { dataDir, prover: REAL_PROVER, environment: process.env, graceMs: 200, log: () => undefined };
  context = { ...context, processors: new ProcessorPool(table, [], options) };
  expect(await verdicts('00000002')).toEqual(ALL_PASSED);
});

test('a prover that is not there passes nothing, and is no liar', async () => {
  context = { ...context, prover: '/nowhere/prover' };
  for (const verdict of Object.values(await verdicts('00000003'))) {
    expect(verdict).toMatchObject({ verdict: 'failed', reason: expect.stringContaining('program_missing') });
  }
});

test('what a test waits for a heavy stage of real work does not count as its duration', async () => {
  context = { ...context, prover: '/nowhere/prover' };
  const { arrived } = asked('00000004');
  const real = Promise.withResolvers<void>();
  const working = context.heavy.pass(new AbortController().signal, () => real.promise);
  tests.begin(arrived.filter(({ stage }) => stage === 'C2'));
  // The speeds are measured first, and that waits for nothing.
  await expect.poll(() => tests.speeds, { timeout: 60_000 }).toBeDefined();
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  expect(tests.unsent()).toEqual([]);
  real.resolve();
  await working;
  await expect.poll(() => tests.unsent(), { timeout: 60_000 }).toHaveLength(1);
  expect(tests.unsent()[0]?.durationMs).toBeLessThan(2_500);
});

test('there are enough cases that none can be foreseen', () => {
  const count = (stage: Stage): number => RECORDED.filter((one) => one.stage === stage).length;
  expect([count('PC1'), count('PC2')]).toEqual([16, 6]);
});
