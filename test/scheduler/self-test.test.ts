/** Self-tests and canaries in the core, with virtual time. */
import { afterEach, expect, test } from 'vitest';
import type { Settings } from '../../src/scheduler/context.ts';
import { explain } from '../../src/scheduler/explain.ts';
import { seen } from '../../src/scheduler/fleet.ts';
import type { RunnerRow } from '../../src/scheduler/ports.ts';
import { RECORDED } from '../../src/scheduler/self-test/recorded.gen.ts';
import { AGAIN_AFTER_MS, ANSWER_WITHIN_MS, dueTests, takeTestAnswers } from '../../src/scheduler/self-test/tests.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import type { Attempt, Job } from '../../src/schema/job.ts';
import type { SelfTest, SelfTestAnswer } from '../../src/schema/self-test.ts';
import { attempt as attemptRow } from '../store/rows.ts';
import { type Granted, World } from './world.ts';

let world: World;
afterEach(() => world.close());

async function open(settings: Partial<Settings> = { selfTest: 'rented', canaryEveryMs: 3_600_000 }): Promise<void> {
  world = new World(settings);
  await world.start();
}
const row = (id: RunnerId): Promise<RunnerRow> => world.run((ctx) => ctx.tx.runner(id) as RunnerRow);
const due = (id: RunnerId): Promise<SelfTest[]> => world.run((ctx) => dueTests(ctx, ctx.tx.runner(id) as RunnerRow));
const tell = (id: RunnerId, ...answers: SelfTestAnswer[]): Promise<RunnerRow> =>
  world.run((ctx) => takeTestAnswers(ctx, ctx.tx.runner(id) as RunnerRow, answers));

/** What the recorded case of this request answers. */
function right({ id, stage, work }: SelfTest, changes: Partial<SelfTestAnswer> = {}): SelfTestAnswer {
  if (stage === 'C2' || stage === 'SnapProve') return failed(id, 'input_differs');
  const known = RECORDED.find((one) => one.stage === stage && one.sector.number === work.sector.number);
  const outputs = Object.entries(known?.outputs ?? {}).map(([name, hash]) => ({ name, hash, sizeBytes: '1' }));
  const result = Object.fromEntries(Object.entries(known?.commitments ?? {}).map(([name, cid]) => [name, { cid, hex: '' }]));
  return { outcome: 'done', id, durationMs: 40, outputs, result, ...changes } as SelfTestAnswer;
}
const failed = (id: SelfTest['id'], code: string, durationMs = 5): SelfTestAnswer => ({
  outcome: 'failed',
  id,
  durationMs,
  code,
  message: 'said so',
});

/** A job whose BuildTreeD waits for a runner. */
async function waitsForTreeD(): Promise<Job> {
  const helper = await world.register('helper', 'own', ['AddPiece']);
  const id = await world.ask();
  for (const effect of await world.effects()) await world.perform(effect);
  const [granted] = await world.grant(helper.id);
  await world.report(helper.id, world.honest(granted as Granted));
  const job = await world.job(id);
  expect(job.waiting).toMatchObject({ for: 'runner', stage: 'BuildTreeD' });
  return job;
}

test('a rented runner has every stage to pass before it is granted one; an own one has none', async () => {
  await open();
  const own = await world.register('own');
  expect(await due(own.id)).toEqual([]);
  const rented = await world.register('rented', 'rented', ['BuildTreeD', 'PC1', 'PC2', 'C1', 'C2', 'SnapProve']);
  const tests = await due(rented.id);
  expect(tests.map(({ stage }) => stage)).toEqual(['BuildTreeD', 'PC1', 'PC2', 'C2', 'SnapProve']);
  expect(await due(rented.id)).toEqual([]);
  for (const { work, inputs } of tests) {
    expect(work).toMatchObject({ kind: 'prover', network: 'dev', sector: { sealProof: 'StackedDrg2KiBV1_1' } });
    expect(JSON.stringify(inputs).length).toBeLessThan(20_000);
  }
  await tell(rented.id, ...tests.map((one) => right(one)));
  const { tests: kept } = await row(rented.id);
  expect(Object.values(kept?.stages ?? {}).map(({ passed }) => passed)).toEqual([true, true, true, true, true]);
  expect(kept?.asked).toEqual([]);
});

test('a stage is granted once its own test passed, and explain says so until then', async () => {
  await open();
  const job = await waitsForTreeD();
  const rented = await world.register('rented', 'rented', ['BuildTreeD', 'PC2']);
  const why = (): Promise<string | undefined> =>
    world.run((ctx) => explain(ctx, job).candidates.find(({ runner }) => runner === rented.id)?.why);
  expect(await why()).toBe('its self-test of BuildTreeD has not come back yet');
  const [tree, pc2] = await due(rented.id);
  await tell(rented.id, right(pc2 as SelfTest));
  expect(await world.grant(rented.id)).toEqual([]);
  await tell(rented.id, failed((tree as SelfTest).id, 'out_of_disk'));
  expect(await why()).toBe('its self-test of BuildTreeD did not pass (it failed with out_of_disk: said so)');
  expect(await world.grant(rented.id)).toEqual([]);
  expect(await due(rented.id)).toEqual([]);
  world.nowMs += AGAIN_AFTER_MS;
  const [again] = await due(rented.id);
  await tell(rented.id, right(again as SelfTest));
  expect((await world.grant(rented.id)).map(({ grant }) => grant.stage)).toEqual(['BuildTreeD']);
  expect(await row(rented.id)).toMatchObject({ status: 'ready', strikes: 0 });
});

test.each([
  [
    'another hash',
    (one: SelfTest) => ({
      ...right(one),
      outputs: (right(one) as { outputs: object[] }).outputs.map((file, at) =>
        at === 0 ? { ...file, hash: `sha256:${'0'.repeat(64)}` } : file,
      ),
    }),
  ],
  ['an output less', (one: SelfTest) => ({ ...right(one), outputs: (right(one) as { outputs: object[] }).outputs.slice(1) })],
  [
    'another CommR',
    (one: SelfTest) => right(one, { result: { ...(right(one) as { result: object }).result, commR: { cid: 'bagboea4b5abc' } } }),
  ],
  ['no result', (one: SelfTest) => right(one, { result: {} })],
])('%s is a lie: quarantined with what differed, and nothing is granted or asked', async (_what, lie) => {
  await open();
  const rented = await world.register('rented', 'rented', ['PC2']);
  const [test = undefined] = await due(rented.id);
  await tell(rented.id, lie(test as SelfTest) as SelfTestAnswer);
  expect(await row(rented.id)).toMatchObject({
    status: 'quarantined',
    reason: expect.stringMatching(/^PC2: self-test PC2-[0-9]+ came back wrong: .*right is/),
  });
  expect(await due(rented.id)).toEqual([]);
});

test('a proof over an input that cannot be right is a lie; missing parameters are not', async () => {
  await open();
  const [one, other] = [await world.register('one', 'rented', ['C2']), await world.register('other', 'rented', ['C2'])];
  const [[first], [second]] = [await due(one.id), await due(other.id)];
  await tell(one.id, { outcome: 'done', id: (first as SelfTest).id, durationMs: 1, outputs: [], result: {} });
  await tell(other.id, failed((second as SelfTest).id, 'parameters_missing'));
  expect(await row(one.id)).toMatchObject({ status: 'quarantined' });
  expect(await row(other.id)).toMatchObject({
    status: 'ready',
    tests: { stages: { C2: { passed: false, reason: 'it failed with parameters_missing: said so' } } },
  });
});

test('one that is too slow, or does not answer, did not pass', async () => {
  await open();
  const rented = await world.register('rented', 'rented', ['PC1', 'PC2']);
  const [slow, silent] = await due(rented.id);
  await tell(rented.id, right(slow as SelfTest, { durationMs: 61_000 }));
  world.nowMs += ANSWER_WITHIN_MS + 1;
  await due(rented.id);
  expect((await row(rented.id)).tests?.stages).toMatchObject({
    PC1: { passed: false, reason: 'it took 61 s, where 60 s are the most' },
    PC2: { passed: false, reason: 'it did not answer within 5 minutes' },
  });
  // Too late, and of another question than the one that is out now.
  await tell(rented.id, right(silent as SelfTest));
  expect((await row(rented.id)).tests?.stages.PC2?.passed).toBe(false);
});

test('one that waits behind a stage that takes the whole machine is not late before that has ended, and no longer than usual then', async () => {
  await open();
  const rented = await world.register('rented', 'rented', ['PC2', 'C2']);
  const [pc2] = await due(rented.id);
  await tell(rented.id, right(pc2 as SelfTest));
  const job = await world.ask();
  const real = (n: number, stage: Attempt['stage']): Attempt =>
    attemptRow(n, { job, runner: rented.id, stage, grantedMs: world.nowMs, leaseUntilMs: 1e12 });
  const [first, later] = [real(1, 'PC2'), { ...real(2, 'PC2'), grantedMs: world.nowMs + 2 * ANSWER_WITHIN_MS }];
  await world.run((ctx) => ctx.tx.insertAttempt(first));
  const verdict = async (passedMs: number) => {
    world.nowMs += passedMs;
    await due(rented.id);
    return (await row(rented.id)).tests?.stages.C2;
  };
  expect(await verdict(4 * ANSWER_WITHIN_MS)).toBeUndefined();
  await world.run((ctx) => {
    ctx.tx.updateAttempt({ ...first, status: 'done', endedMs: ctx.nowMs });
    // It goes behind the test there.
    ctx.tx.insertAttempt(later);
  });
  expect(await verdict(ANSWER_WITHIN_MS)).toBeUndefined();
  expect(await verdict(1)).toMatchObject({ passed: false, reason: 'it did not answer within 5 minutes' });
});

test('a runner that started anew is asked anew at once', async () => {
  await open();
  const rented = await world.register('rented', 'rented', ['PC1']);
  const [lost] = await due(rented.id);
  await world.run((ctx) => seen(ctx, ctx.tx.runner(rented.id) as RunnerRow, 'boot-0002'));
  const [fresh] = await due(rented.id);
  expect(fresh?.id).not.toBe(lost?.id);
  await tell(rented.id, right(lost as SelfTest));
  expect((await row(rented.id)).tests?.stages).toEqual({});
});

test('an idle runner is tested again, one stage at a time, the oldest first; a lie then costs it its place', async () => {
  await open();
  const rented = await world.register('rented', 'rented', ['BuildTreeD', 'PC1']);
  const first = await due(rented.id);
  for (const one of first) {
    world.nowMs += 1_000;
    await tell(rented.id, right(one));
  }
  expect(await due(rented.id)).toEqual([]);
  world.nowMs += 3_600_000;
  const job = await waitsForTreeD();
  const [granted] = await world.grant(rented.id);
  expect(granted?.grant.stage).toBe('BuildTreeD');
  expect(await due(rented.id)).toEqual([]);
  await world.report(rented.id, world.honest(granted as Granted));
  expect((await world.job(job.id)).waiting).not.toMatchObject({ stage: 'BuildTreeD' });
  const [tree, ...none] = await due(rented.id);
  expect([tree?.stage, none]).toEqual(['BuildTreeD', []]);
  expect(await due(rented.id)).toEqual([]);
  await tell(rented.id, right(tree as SelfTest));
  const [pc1] = await due(rented.id);
  expect(pc1?.stage).toBe('PC1');
  await tell(rented.id, right(pc1 as SelfTest, { outputs: [] }));
  expect(await row(rented.id)).toMatchObject({ status: 'quarantined', strikes: 1 });
});

test('which case is asked differs from runner to runner', async () => {
  await open();
  const asked = new Set<string>();
  for (let at = 0; at < 20; at += 1) {
    const { id } = await world.register(`rented ${at}`, 'rented', ['PC1']);
    asked.add((await due(id))[0]?.work.sector.number as string);
  }
  expect(asked.size).toBeGreaterThan(5);
});

test('"all" holds own runners to them as well, "off" nobody', async () => {
  await open({ selfTest: 'all' });
  const own = await world.register('own', 'own', ['AddPiece', 'SnapEncode', 'Persist']);
  const tests = await due(own.id);
  expect(tests.map(({ stage }) => stage)).toEqual(['AddPiece', 'SnapEncode']);
  await tell(own.id, right(tests[0] as SelfTest, { outputs: [] }), right(tests[1] as SelfTest));
  // An own runner is broken, not hostile: it stays, without the stage.
  expect(await row(own.id)).toMatchObject({
    status: 'ready',
    strikes: 1,
    tests: { stages: { AddPiece: { passed: false }, SnapEncode: { passed: true } } },
  });
  world.close();
  await open({ selfTest: 'off' });
  expect(await due((await world.register('rented', 'rented')).id)).toEqual([]);
});
