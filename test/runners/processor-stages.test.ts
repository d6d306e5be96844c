/** sealpool-prover's own processor mode through the agent: byte for byte what the prover makes of the same grant. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { P_AUX, TREE_D, T_AUX, keptNames, layerNames, treeCNames } from '../../src/schema/artifact.ts';
import { Processors } from '../../src/schema/processor.ts';
import type { ProverStage } from '../../src/schema/stage.ts';
import { bytesOf } from '../objects/conformance.ts';
import { type ProverAnswer, REAL_PROVER, hashOf } from '../replay-prover/replay-prover.ts';
import { useAgent } from './agent-fixture.ts';

const fixture = useAgent();
const PROOF = 'StackedDrg2KiBV1_1';
const SECTOR = { miner: 't01000', number: '9007199254740993', sealProof: PROOF } as const;
const TICKET = '07'.repeat(32);
const LIMIT = 1_000_000;

const own = (stage: string): object => ({ args: ['processor', stage, '--network', 'dev'], stable_wait: '60s' });
const PROCESSORS = Processors.parse(Object.fromEntries(['add_pieces', 'tree_d', 'pc1', 'pc2'].map((stage) => [stage, [own(stage)]])));

let dir: string;
beforeEach(() => void (dir = mkdtempSync(join(tmpdir(), 'processor-stages-'))));
afterEach(() => rmSync(dir, { recursive: true }));

type Files = Record<string, Buffer>;
type Made = { files: Files; result: Record<string, unknown> };

/** By the prover itself, with what it answers. */
function byProver(stage: ProverStage, params: object, inputs: Files, outputs: readonly string[]): Made {
  const outputDir = join(dir, `${stage}-${Math.random()}`);
  const given = Object.entries(inputs).map(([name, bytes]) => {
    const path = join(outputDir, 'given', name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes);
    return [name, { path, sizeBytes: String(bytes.length), hash: hashOf(bytes) }];
  });
  mkdirSync(outputDir, { recursive: true });
  const request = { version: 1, stage, network: 'dev', sector: SECTOR, inputs: Object.fromEntries(given), outputDir, params };
  const { stdout } = spawnSync(REAL_PROVER, ['run'], { input: JSON.stringify(request), encoding: 'utf8' });
  const answer = JSON.parse(stdout) as ProverAnswer;
  expect(answer).toMatchObject({ ok: true });
  return { files: Object.fromEntries(outputs.map((name) => [name, readFileSync(join(outputDir, name))])), result: answer.result };
}

/** By the agent, whose processors do it. */
async function byProcessor(stage: ProverStage, params: object, inputs: Files, outputs: readonly string[]): Promise<Made> {
  const grant = await fixture.plane.grant({
    work: { kind: 'prover', stage, network: 'dev', sector: SECTOR, params: { ...params } },
    inputs,
    outputs: Object.fromEntries(outputs.map((name) => [name, LIMIT])),
  });
  const report = await fixture.reported(grant.attempt);
  if (report.outcome !== 'done') throw new Error(report.message);
  const files: Files = {};
  for (const name of outputs) files[name] = await fixture.plane.output(report, name);
  expect(report.outputs.map(({ name, hash }) => [name, hash])).toEqual(outputs.map((name) => [name, hashOf(files[name] as Buffer)]));
  return { files, result: report.result };
}

const ran = (): string[] => fixture.log.flatMap(({ message }) => /^(\S+ processor 1) is ready$/.exec(message)?.[1] ?? []);

test('pieces and their tree, with gaps between them', async () => {
  await fixture.start({ prover: REAL_PROVER, processors: PROCESSORS, slots: 1 });
  const pieces = { 'piece-0': bytesOf('one', 100), 'piece-1': bytesOf('two', 500), 'piece-2': bytesOf('three', 127) };
  const params = {
    pieces: ['128', '512', null].map((paddedSizeBytes, at) => ({ input: `piece-${at}`, paddedSizeBytes, cid: null })),
  };
  const wanted = byProver('add-piece', params, pieces, ['unsealed']);
  expect(await byProcessor('add-piece', params, pieces, ['unsealed'])).toEqual(wanted);
  const tree = { pieces: wanted.result['pieces'] };
  expect(await byProcessor('tree-d', tree, wanted.files, [TREE_D])).toEqual(byProver('tree-d', tree, wanted.files, [TREE_D]));
  expect(await byProcessor('tree-d', {}, {}, [TREE_D])).toEqual(byProver('tree-d', {}, {}, [TREE_D]));
  const none = { pieces: [] };
  expect(await byProcessor('add-piece', none, {}, [])).toEqual(byProver('add-piece', none, {}, []));
  expect(ran()).toEqual(expect.arrayContaining(['add_pieces processor 1', 'tree_d processor 1']));
  const wrong = { pieces: [{ input: 'piece-0', paddedSizeBytes: '128', cid: (wanted.result['pieces'] as { cid: string }[])[1]?.cid }] };
  await expect(byProcessor('add-piece', wrong, { 'piece-0': pieces['piece-0'] }, [])).rejects.toThrow('fetch the right piece');
});

test('layers and the sealed sector, of zeros and of data', async () => {
  await fixture.start({ prover: REAL_PROVER, processors: PROCESSORS, slots: 1 });
  const layers = [...layerNames(PROOF), T_AUX];
  const sealed = [...keptNames(PROOF), ...treeCNames(PROOF)];
  expect(sealed).toContain(P_AUX);
  const ofZeros = { 'tree-d': byProver('tree-d', {}, {}, [TREE_D]), unsealed: {} };
  const data = byProver(
    'add-piece',
    { pieces: [{ input: 'piece-0', paddedSizeBytes: '2048', cid: null }] },
    { 'piece-0': bytesOf('data', 2000) },
    ['unsealed'],
  );
  const ofData = { 'tree-d': byProver('tree-d', {}, data.files, [TREE_D]), unsealed: data.files };
  for (const { 'tree-d': tree, unsealed } of [ofZeros, ofData]) {
    const params = { ticket: TICKET, commD: (tree.result['commD'] as { cid: string }).cid };
    const pc1 = byProver('pc1', params, {}, layers);
    // Of data it is the prover's: damocles' task wants the data, which our PC1 does without.
    const { files, result } = await byProcessor('pc1', params, {}, layers);
    expect(files).toEqual(pc1.files);
    expect(result).toMatchObject({ layers: layerNames(PROOF) });
    const inputs = { ...pc1.files, ...tree.files, ...unsealed };
    expect(await byProcessor('pc2', params, inputs, sealed)).toEqual(byProver('pc2', params, inputs, sealed));
  }
  const by = fixture.log.filter(({ message }) => message === 'the stage program ended well').map(({ fields }) => fields?.['processor']);
  expect(by).toEqual(['pc1', 'pc2', undefined, 'pc2']);
});

test('what a processor says of bad files is the failure, and the next request is not harmed', async () => {
  await fixture.start({ prover: REAL_PROVER, processors: PROCESSORS });
  const tree = byProver('tree-d', {}, {}, [TREE_D]);
  const params = { ticket: TICKET, commD: (tree.result['commD'] as { cid: string }).cid };
  const layers = [...layerNames(PROOF), T_AUX];
  const pc1 = byProver('pc1', params, {}, layers);
  const [first = ''] = layers;
  const cut = { ...pc1.files, ...tree.files, [first]: Buffer.alloc(1) };
  await expect(byProcessor('pc2', params, cut, ['sealed'])).rejects.toThrow(/pc2 processor 1 refused: /);
  const { files } = await byProcessor('pc2', params, { ...pc1.files, ...tree.files }, ['sealed']);
  expect(files['sealed']).toHaveLength(2048);
});
