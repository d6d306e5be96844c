/** Results whose files are not those that were asked for: each refused by name, and nothing of it counts. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Report } from '../../src/schema/runner.ts';
import type { RunnerId } from '../../src/schema/ids.ts';
import { Stage } from '../../src/schema/stage.ts';
import { type Granted, World } from './world.ts';

type Output = { name: string; sizeBytes: string; hash: string; parts: unknown[] };

let world: World;
let rented: RunnerId;
let granted: Granted;
beforeEach(async () => {
  world = new World();
  await world.start();
  const own = (
    await world.register(
      'own',
      'own',
      Stage.options.filter((stage) => stage !== 'PC2'),
    )
  ).id;
  rented = (await world.register('rented', 'rented', ['PC2'])).id;
  await world.ask();
  granted = await world.until('PC1Done', [own, rented]);
});
afterEach(() => world.close());

const extra: Output = { name: 'cache/besides', sizeBytes: '1', hash: `sha256:${'ab'.repeat(32)}`, parts: [] };
const sized = (name: string, sizeBytes: string) => (outputs: Output[]) =>
  outputs.map((output) => (output.name === name ? { ...output, sizeBytes } : output));

test.each([
  ['a missing one', (outputs: Output[]) => outputs.filter(({ name }) => name !== 'sealed'), 'its output sealed is missing'],
  ['one besides', (outputs: Output[]) => [...outputs, extra], 'it returned cache/besides, which was not asked for'],
  ['one twice', (outputs: Output[]) => [...outputs, outputs[0] as Output], 'twice'],
  ['an empty one', sized('cache/p_aux', '0'), 'its output cache/p_aux is empty'],
  ['one cut short', sized('sealed', '2047'), 'its output sealed has 2047 bytes and not 2048'],
  ['one byte more', sized('sealed', '2049'), 'its output sealed has 2049 bytes and not 2048'],
  ['one too large', sized('cache/p_aux', '65537'), 'its output cache/p_aux has 65537 bytes, more than the 65536'],
  ['a sparse one of 8 EiB', sized('cache/p_aux', '9223372036854775808'), 'its output cache/p_aux has 9223372036854775808 bytes'],
])('%s', async (_, change, said) => {
  const honest = world.honest(granted) as { outputs: Output[] };
  const answer = await world.report(rented, { ...honest, outputs: change(honest.outputs) });
  expect(answer).toMatchObject({ status: 'refused', message: expect.stringContaining(said) });
  expect(await world.run((ctx) => ctx.tx.runner(rented))).toMatchObject({
    status: 'quarantined',
    reason: expect.stringContaining(said),
  });
  const job = await world.run((ctx) => ctx.tx.job(ctx.tx.attempt(granted.grant.attempt)?.job as never));
  expect(job).toMatchObject({ state: 'PC1Done', waiting: { for: 'runner', stage: 'PC2' } });
  expect(Object.keys(job?.data.artifacts ?? {})).not.toContain('sealed');
});

test.each(['../sealed', 'cache/../../sealed', '/etc/passwd', 'cache/a/b', 'a\0b', 'cache\\sealed', '.hidden', 'sealed\n'])(
  'a name like %j is no name of an output',
  (name) => {
    const report = { outcome: 'done', attempt: 'a-000000000000', epoch: 1, outputs: [{ ...extra, name }], result: {} };
    expect(Report.safeParse(report).success).toBe(false);
    expect(Report.safeParse({ ...report, outputs: [extra] }).success).toBe(true);
  },
);
