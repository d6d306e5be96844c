/** Processors that die or hang, and what a proof's task is, through the agent. */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { UPDATE_VANILLA_PROOFS, VANILLA_PROOFS } from '../../src/schema/artifact.ts';
import { commitmentOfHex } from '../../src/schema/commitment-cid.ts';
import { Processors } from '../../src/schema/processor.ts';
import type { Grant } from '../../src/schema/runner.ts';
import { eventually, isRunning, proverWork, useAgent } from './agent-fixture.ts';
import type { GrantWish } from './control-plane.ts';

const fixture = useAgent();
const SCRIPT = join(import.meta.dirname, 'foreign-processor.ts');
const record = (): string => join(fixture.dir, 'record');

const table = (more: object = {}): Processors =>
  Processors.parse(
    Object.fromEntries(
      ['c2', 'snap_prove'].map((stage) => [
        stage,
        [{ bin: process.execPath, args: ['--disable-warning=ExperimentalWarning', SCRIPT, stage, record()], stable_wait: '60s', ...more }],
      ]),
    ),
  );

const c2 = (c1out: object, edit?: GrantWish['edit']): Promise<Grant> =>
  fixture.plane.grant({
    stage: 'C2',
    work: { ...proverWork({}), stage: 'c2' },
    inputs: { [VANILLA_PROOFS]: Buffer.from(JSON.stringify(c1out, null, 2)) },
    outputs: { 'proof.bin': 10_000 },
    ...(edit === undefined ? {} : { edit }),
  });
const begun = (): number => readFileSync(record(), 'utf8').match(/begin c2/g)?.length ?? 0;

test('one that dies fails all stages it had in hand at once; other stages go on', async () => {
  writeFileSync(record(), '');
  await fixture.start({ slots: 8, processors: table() });
  const held = [await c2({ do: 'hold', until: '/never' }), await c2({ do: 'hold', until: '/never' })];
  const other = await fixture.plane.grant({ work: proverWork({ do: 'tell' }) });
  await eventually(begun).toBe(2);
  const dies = await c2({ do: 'die' });
  for (const { attempt } of [...held, dies]) {
    const message = expect.stringMatching(/c2 processor 1 ended with SIGSEGV; all its requests failed/);
    expect(await fixture.reported(attempt)).toMatchObject({ outcome: 'failed', code: 'internal', message });
  }
  expect(fixture.plane.reportOf(other.attempt)).toBeUndefined();
  fixture.plane.cancelled.add(other.attempt);
});

test('one that hangs is ended by its deadline, and the next stage gets a fresh one', async () => {
  writeFileSync(record(), '');
  await fixture.start({ processors: table({ deadline_ms: 400 }) });
  const pidFile = join(fixture.dir, 'pids');
  const hangs = await c2({ do: 'hang', pidFile });
  const message = expect.stringContaining('c2 processor 1 did not answer within 0.4 s and was ended');
  expect(await fixture.reported(hangs.attempt)).toMatchObject({ outcome: 'failed', code: 'internal', message });
  for (const pid of readFileSync(pidFile, 'utf8').split(' ')) await eventually(() => isRunning(Number(pid))).toBe(false);
  const bytes = Array.from({ length: 32 }, () => 1);
  const good = await c2({ comm_r: bytes, comm_d: bytes, ticket: bytes, seed: bytes });
  expect(await fixture.reported(good.attempt)).toMatchObject({ outcome: 'done', outputs: [{ name: 'proof.bin' }] });
});

test('one whose stage is cancelled is ended, with the folder gone', async () => {
  writeFileSync(record(), '');
  await fixture.start({ processors: table() });
  const pidFile = join(fixture.dir, 'pids');
  const hangs = await c2({ do: 'hang', pidFile });
  await eventually(() => readFileSync(pidFile, 'utf8').split(' ').length).toBe(2);
  fixture.plane.cancelled.add(hangs.attempt);
  for (const pid of readFileSync(pidFile, 'utf8').split(' ')) await eventually(() => isRunning(Number(pid))).toBe(false);
});

test('vanilla proofs that are no JSON never become part of a line', async () => {
  await fixture.start({ processors: table() });
  const grant = await fixture.plane.grant({
    stage: 'C2',
    work: { ...proverWork({}), stage: 'c2' },
    inputs: { [VANILLA_PROOFS]: Buffer.from('{}}\n{"id":1,"task":{"do":"die"}') },
    outputs: { 'proof.bin': 10_000 },
  });
  expect(await fixture.reported(grant.attempt)).toMatchObject({ outcome: 'failed', code: 'input_invalid', input: VANILLA_PROOFS });
});

test('no processor gets an input that is not what was granted: one of the cache is fetched anew, any other is told of', async () => {
  writeFileSync(record(), '');
  await fixture.start({ processors: table() });
  const bytes = Array.from({ length: 32 }, () => 1);
  const c1out = { comm_r: bytes, comm_d: bytes, ticket: bytes, seed: bytes };
  const edited = (more: object) => (given: Grant) => ({
    ...given,
    inputs: given.inputs.map((input) => ({ ...input, key: 'jobs/j-1/a-1/vanilla', ...more })),
  });
  const good = await fixture.reported((await c2(c1out, edited({}))).attempt);
  const cache = join(fixture.dataDir, 'artifacts');
  const [file = ''] = readdirSync(cache);
  writeFileSync(join(cache, file), readFileSync(join(cache, file), 'utf8').replace('"ticket"', '"tickat"'));
  const again = await fixture.reported((await c2(c1out, edited({}))).attempt);
  expect(again).toMatchObject({ outcome: 'done', outputs: [{ hash: (good as { outputs: { hash: string }[] }).outputs[0]?.hash }] });
  const other = await c2(c1out, edited({ key: 'jobs/j-1/a-2/vanilla', hash: `sha256:${'0'.repeat(64)}` }));
  expect(await fixture.reported(other.attempt)).toMatchObject({ outcome: 'failed', code: 'input_differs', input: VANILLA_PROOFS });
  expect(begun()).toBe(2);
});

test("an update's proof is asked for in damocles' words, and an answer of another shape is refused", async () => {
  writeFileSync(record(), '');
  await fixture.start({ processors: table() });
  const commitment = (kind: 'sealed' | 'unsealed', byte: string): string => commitmentOfHex(kind, byte.repeat(32)).cid;
  const prove = async (proofs: unknown): Promise<Grant> =>
    fixture.plane.grant({
      stage: 'SnapProve',
      work: {
        ...proverWork({
          commROld: commitment('sealed', '01'),
          commRNew: commitment('sealed', '02'),
          commDNew: commitment('unsealed', '03'),
        }),
        stage: 'snap-prove',
      },
      inputs: { [UPDATE_VANILLA_PROOFS]: Buffer.from(JSON.stringify(proofs)) },
      outputs: { 'proof.bin': 10_000 },
    });
  const report = await fixture.reported((await prove(['CQgH', 'Bg=='])).attempt);
  expect(report).toMatchObject({ outcome: 'done', result: { proof: Buffer.alloc(192, 9).toString('base64') } });
  expect(await fixture.plane.output(report, 'proof.bin')).toEqual(Buffer.alloc(192, 9));
  const of = (byte: number): number[] => Array.from({ length: 32 }, () => byte);
  expect(JSON.parse(readFileSync(record(), 'utf8').trim().split('\n').at(-1) as string)).toEqual({
    registered_proof: 'StackedDrg2KiBV1',
    vannilla_proofs: [[9, 8, 7], [6]],
    comm_r_old: of(1),
    comm_r_new: of(2),
    comm_d_new: of(3),
  });
  const strange = await c2({ do: 'environment' });
  const message = expect.stringContaining('is not what damocles has for this stage (proof:');
  expect(await fixture.reported(strange.attempt)).toMatchObject({ outcome: 'failed', code: 'internal', message });
});
