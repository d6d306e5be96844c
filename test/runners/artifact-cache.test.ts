/** What a runner has made or fetched it does not fetch again: bytes are counted where they would come from. */
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ArtifactCache } from '../../src/runners/artifact-cache.ts';
import { TREE_D, T_AUX, keptNames, layerNames, treeCNames } from '../../src/schema/artifact.ts';
import type { Grant, Report } from '../../src/schema/runner.ts';
import type { ProverStage } from '../../src/schema/stage.ts';
import { bytesOf } from '../objects/conformance.ts';
import { REAL_PROVER } from '../replay-prover/replay-prover.ts';
import { eventually, proverWork, useAgent } from './agent-fixture.ts';

const PROOF = 'StackedDrg2KiBV1_1';
const SECTOR = { miner: 't01000', number: '7', sealProof: PROOF } as const;

describe('through the agent', () => {
  const fixture = useAgent();
  const keyed = (grant: Grant): Grant => ({
    ...grant,
    outputs: grant.outputs.map((slot) => ({ ...slot, key: `jobs/j-1/${grant.attempt}/${slot.name}` })),
  });
  const done = async (attempt: string): Promise<Extract<Report, { outcome: 'done' }>> => {
    const report = await fixture.reported(attempt);
    if (report.outcome !== 'done') throw new Error(report.message);
    return report;
  };

  test('PC2 on the machine that has the layers fetches nothing; on another one it fetches them all', async () => {
    await fixture.start({ prover: REAL_PROVER });
    const made = new Map<string, { content: Buffer; key: string }>();
    const run = async (stage: ProverStage, params: object, inputs: readonly string[], outputs: readonly string[]) => {
      const grant = await fixture.plane.grant({
        work: { kind: 'prover', stage, network: 'dev', sector: SECTOR, params: { ...params } },
        inputs: Object.fromEntries(inputs.map((name) => [name, made.get(name)?.content as Buffer])),
        outputs: Object.fromEntries(outputs.map((name) => [name, 100_000])),
        edit: (given) => ({ ...keyed(given), inputs: given.inputs.map((input) => ({ ...input, key: made.get(input.name)?.key })) }),
      });
      const before = fixture.plane.fetchedBytes;
      const report = await done(grant.attempt);
      const fetchedBytes = fixture.plane.fetchedBytes - before;
      for (const name of outputs)
        made.set(name, { content: await fixture.plane.output(report, name), key: `jobs/j-1/${grant.attempt}/${name}` });
      return { result: report.result, fetchedBytes };
    };
    const { result } = await run('tree-d', {}, [], [TREE_D]);
    const params = { ticket: '07'.repeat(32), commD: (result['commD'] as { cid: string }).cid };
    await run('pc1', params, [], [...layerNames(PROOF), T_AUX]);
    const inputs = [...layerNames(PROOF), T_AUX, TREE_D];
    const sizeBytes = inputs.reduce((sum, name) => sum + (made.get(name)?.content.length as number), 0);
    expect(sizeBytes).toBeGreaterThan(3 * 2048);
    const near = await run('pc2', params, inputs, [...keptNames(PROOF), ...treeCNames(PROOF)]);
    expect(near.fetchedBytes).toBe(0);

    // What the control plane says that no job needs is gone, and the same stage fetches it all.
    await eventually(() => fixture.plane.nexts.at(-1)?.cached?.length).toBeGreaterThan(inputs.length);
    fixture.plane.forget.push(...[...made.values()].map(({ key }) => key));
    await fixture.plane.grant({ work: proverWork({ do: 'copy' }), stage: 'C2' });
    await eventually(async () => (await readdir(join(fixture.dataDir, 'artifacts'))).filter((name) => name.includes('layer'))).toEqual([]);
    const far = await run('pc2', params, inputs, [...keptNames(PROOF), ...treeCNames(PROOF)]);
    expect(far.fetchedBytes).toBe(sizeBytes);
    expect(far.result).toEqual(near.result);
  });

  test('a damaged file of the cache is fetched, and nobody is blamed', async () => {
    await fixture.start();
    const content = bytesOf('input', 1000);
    const grant = () =>
      fixture.plane.grant({
        work: proverWork({ do: 'copy' }),
        inputs: { unsealed: content },
        outputs: { 'unsealed-copy': 1000 },
        edit: (given) => ({ ...given, inputs: given.inputs.map((input) => ({ ...input, key: 'jobs/j-1/a-1/unsealed' })) }),
      });
    await done((await grant()).attempt);
    const [file = ''] = await readdir(join(fixture.dataDir, 'artifacts'));
    await writeFile(join(fixture.dataDir, 'artifacts', file), bytesOf('damaged', 1000));
    const before = fixture.plane.fetchedBytes;
    const report = await done((await grant()).attempt);
    expect(fixture.plane.fetchedBytes - before).toBe(1000);
    expect(await fixture.plane.output(report, 'unsealed-copy')).toEqual(content);
    expect(await readFile(join(fixture.dataDir, 'artifacts', file))).toEqual(content);
  });

  test('an output that is whole is sent and told of while the stage goes on, and is not in the report', async () => {
    await fixture.start();
    const file = join(fixture.dir, 'go-on');
    const names = { first: 'cache/sc-02-data-layer-1.dat', second: 'cache/sc-02-data-layer-2.dat' };
    const grant = await fixture.plane.grant({
      work: proverWork({ do: 'early', file, ...names }),
      outputs: { [names.first]: 100, [names.second]: 100 },
      edit: (given) => ({ ...keyed(given), outputs: keyed(given).outputs.map((slot) => ({ ...slot, early: true })) }),
    });
    await eventually(() => fixture.plane.checkpoints.map(({ output }) => output.name)).toEqual([names.first]);
    expect(fixture.plane.reportOf(grant.attempt)).toBeUndefined();
    await eventually(() => fixture.log.filter(({ message }) => message === 'output kept while the stage goes on').length).toBe(1);
    await writeFile(file, '');
    const report = await done(grant.attempt);
    expect(report.outputs.map(({ name }) => name)).toEqual([names.second]);
    const [told] = fixture.plane.checkpoints;
    const all = { ...report, outputs: [...report.outputs, (told as NonNullable<typeof told>).output] };
    expect(await fixture.plane.output(all, names.first)).toEqual(Buffer.alloc(10, 1));
    expect(fixture.plane.checkpoints).toHaveLength(1);
  });

  test('an input that the stage can make again may be missing; any other may not', async () => {
    await fixture.start();
    const grant = (required: boolean) =>
      fixture.plane.grant({
        work: proverWork({ do: 'output', outputs: [{ name: 'sealed', size: 10 }] }),
        inputs: { [layerNames(PROOF)[0] as string]: bytesOf('layer', 2048) },
        outputs: { sealed: 10 },
        edit: (given) => ({
          ...given,
          inputs: given.inputs.map(({ url, ...input }) => ({ ...input, url: url.replace('/inputs/', '/gone/'), required })),
        }),
      });
    const [without, needed] = [await grant(false), await grant(true)];
    expect(await fixture.reported(needed.attempt)).toMatchObject({ outcome: 'failed' });
    expect(await fixture.reported(without.attempt)).toMatchObject({ outcome: 'done' });
  });
});

describe('its folder', () => {
  const open = async (limitBytes: number, dir?: string) => {
    const folder = dir ?? (await mkdtemp(join(tmpdir(), 'artifact-cache-')));
    if (dir === undefined) onTestFinished(() => rm(folder, { recursive: true }));
    const cache = await ArtifactCache.open(folder, limitBytes, () => undefined);
    const keep = async (key: string, size: number): Promise<void> => {
      const path = join(folder, 'made');
      await writeFile(path, bytesOf(key, size));
      await cache.keep(key, path);
      await rm(path);
    };
    return { cache, folder, keep };
  };

  test('what was used longest ago goes first, and what is larger than all of it is not kept', async () => {
    const { cache, folder, keep } = await open(100);
    for (const key of ['jobs/j/a/one', 'jobs/j/a/two']) await keep(key, 40);
    expect(await cache.take('jobs/j/a/one', 40, join(folder, 'in'))).toBe(true);
    await keep('jobs/j/a/three', 40);
    expect(cache.keys).toEqual(['jobs/j/a/three', 'jobs/j/a/one']);
    await keep('jobs/j/a/large', 101);
    expect(cache.keys).toEqual(['jobs/j/a/three', 'jobs/j/a/one']);
    expect(await cache.take('jobs/j/a/two', 40, join(folder, 'gone'))).toBe(false);
    expect(await cache.take('jobs/j/a/one', 41, join(folder, 'size'))).toBe(false);
  });

  test('it outlives its agent; a smaller limit is kept to at the next start', async () => {
    const { folder, keep } = await open(100);
    for (const key of ['jobs/j/a/one', 'jobs/j/a/two']) await keep(key, 40);
    const again = await open(100, folder);
    expect(again.cache.keys).toEqual(['jobs/j/a/two', 'jobs/j/a/one']);
    expect((await open(50, folder)).cache.keys).toEqual(['jobs/j/a/two']);
    expect((await open(0, folder)).cache.keys).toEqual([]);
    expect(await readdir(join(folder, 'artifacts'))).toEqual([]);
  });

  test('what is no file is none of its own, and one that cannot be removed is no longer told of', async () => {
    const { folder, keep, cache } = await open(100);
    await keep('jobs/j/a/one', 40);
    await mkdir(join(folder, 'artifacts', 'sealpool/parents'), { recursive: true });
    const again = await open(100, folder);
    expect(again.cache.keys).toEqual(['jobs/j/a/one']);
    await again.cache.forget(['sealpool']);
    // Where its file was there is a folder now.
    const [file = ''] = (await readdir(join(folder, 'artifacts'))).filter((name) => name.startsWith('jobs'));
    await rm(join(folder, 'artifacts', file));
    await mkdir(join(folder, 'artifacts', file));
    await cache.forget(['jobs/j/a/one']);
    expect(cache.keys).toEqual([]);
    expect(await readdir(join(folder, 'artifacts'))).toEqual(expect.arrayContaining([file, 'sealpool']));
  });

  test('it makes room for a stage, and says how much that can be: what a stage reads stays', async () => {
    const { cache, folder, keep } = await open(100);
    for (const key of ['jobs/j/a/one', 'jobs/j/a/two']) await keep(key, 40);
    expect(await cache.freeableBytes()).toBe(80);
    await cache.take('jobs/j/a/one', 40, join(folder, 'in'));
    expect(await cache.freeableBytes()).toBe(40);
    await cache.makeRoom(Number.MAX_SAFE_INTEGER);
    expect(cache.keys).toEqual(['jobs/j/a/one']);
    expect(await cache.freeableBytes()).toBe(0);
    await rm(join(folder, 'in'));
    expect(await cache.freeableBytes()).toBe(40);
  });
});
