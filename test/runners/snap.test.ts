/** A sector's files on their way with the real prover: sealed, stored, published, snapped, stored beside, unsealed. Real but for the Groth16 proofs. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  PIECE,
  P_AUX,
  TREE_D,
  T_AUX,
  UPDATE_VANILLA_PROOFS,
  keptNames,
  keptUpdateNames,
  layerNames,
  treeCNames,
  treeRLastNames,
} from '../../src/schema/artifact.ts';
import { CheckSealedResult, Pc2Result, UpdateResult } from '../../src/schema/prover-result.ts';
import { payloadBytes } from '../../src/schema/seal-proof.ts';
import { PersistResult, type ProverStage, type Stage } from '../../src/schema/stage.ts';
import { bytesOf } from '../objects/conformance.ts';
import { REAL_PROVER } from '../replay-prover/replay-prover.ts';
import { useAgent } from './agent-fixture.ts';

const fixture = useAgent();
const PROOF = 'StackedDrg2KiBV1_1';
const TICKET = '11'.repeat(32);
const data = bytesOf('client data', payloadBytes(PROOF));
const hashOf = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

type Files = Record<string, Buffer>;
const pick = (files: Files, names: readonly string[]): Files => Object.fromEntries(names.map((name) => [name, files[name] as Buffer]));
const storedPath = (name: string): string => {
  const [folder, file] = name.split('/');
  return file === undefined ? `${name}/s-t01000-7` : `${folder}/s-t01000-7/${file}`;
};

/** Runs a prover stage through the agent; answers its result and the outputs that were asked for. */
async function prove(stage: Stage, name: ProverStage, params: Record<string, unknown>, inputs: Files, names: readonly string[] = []) {
  const { attempt } = await fixture.plane.grant({
    stage,
    work: { kind: 'prover', stage: name, network: 'dev', sector: { miner: 't01000', number: '7', sealProof: PROOF }, params },
    inputs,
    outputs: Object.fromEntries(names.map((output) => [output, 2 ** 20])),
  });
  const report = await fixture.reported(attempt);
  if (report.outcome !== 'done') throw new Error(`${report.code}: ${report.message}`);
  const files: Files = {};
  for (const output of names) files[output] = await fixture.plane.output(report, output);
  return { result: report.result, files };
}

async function store(files: Files, storage: string | null): Promise<Stored> {
  const { attempt } = await fixture.plane.grant({
    stage: 'Persist',
    work: {
      kind: 'persist',
      storage,
      files: Object.keys(files).map((artifact) => ({ artifact, path: storedPath(artifact) })),
      sectorJson: { path: storedPath('cache/sector.json'), content: { files: Object.keys(files) } },
    },
    inputs: files,
  });
  const report = await fixture.reported(attempt);
  if (report.outcome !== 'done') throw new Error(`${report.code}: ${report.message}`);
  return PersistResult.parse(report.result).files;
}
type Stored = ReturnType<typeof PersistResult.parse>['files'];

async function publish(names: readonly string[], stored: Stored): Promise<Files> {
  const { attempt } = await fixture.plane.grant({
    stage: 'Publish',
    work: {
      kind: 'publish',
      storage: 'main',
      files: names.map((artifact) => {
        const path = storedPath(artifact);
        return { artifact, path, hash: stored.find((file) => file.path === path)?.hash ?? null };
      }),
    },
    outputs: Object.fromEntries(names.map((name) => [name, 2 ** 20])),
  });
  const report = await fixture.reported(attempt);
  const files: Files = {};
  for (const name of names) files[name] = await fixture.plane.output(report, name);
  return files;
}

const commDOf = (result: Record<string, unknown>): string => (result['commD'] as { cid: string }).cid;

/** Seals zeros as rebuild does, tree-d and layers included; the same ticket gives the same replica. */
async function sealCc(): Promise<{ commR: string; commD: string; kept: Files }> {
  const added = await prove('AddPiece', 'add-piece', { pieces: [] }, {});
  const claim = { ticket: TICKET, commD: commDOf(added.result) };
  const tree = await prove('BuildTreeD', 'tree-d', { pieces: added.result['pieces'] }, {}, [TREE_D]);
  const pc1 = await prove('PC1', 'pc1', claim, {}, [...layerNames(PROOF), T_AUX]);
  const pc2 = await prove('PC2', 'pc2', claim, { ...tree.files, ...pc1.files }, [...keptNames(PROOF), ...treeCNames(PROOF)]);
  const { commR } = Pc2Result.parse(pc2.result);
  return { commR: commR.cid, commD: claim.commD, kept: pick(pc2.files, keptNames(PROOF)) };
}

describe.skipIf(!existsSync(REAL_PROVER))('with the real prover', () => {
  test('a sealed sector is stored, snapped with data, stored beside, and gives the data back', { timeout: 120_000 }, async () => {
    await fixture.start({ prover: REAL_PROVER });
    const sealed = await sealCc();
    const storedKey = await store(sealed.kept, null);

    const key = await publish(['sealed', P_AUX, T_AUX, ...treeRLastNames(PROOF)], storedKey);
    expect(key).toEqual(sealed.kept);
    const added = await prove(
      'AddPiece',
      'add-piece',
      { pieces: [{ input: 'piece-0', paddedSizeBytes: '2048', cid: null }] },
      { 'piece-0': data },
      ['unsealed'],
    );
    // No slot: what the stage makes besides stays behind.
    const { result: tree } = await prove('BuildTreeD', 'tree-d', { pieces: added.result['pieces'] }, added.files);
    expect(commDOf(tree)).toBe(commDOf(added.result));

    const claim = { commR: sealed.commR, commD: commDOf(added.result), pieces: added.result['pieces'] };
    const kept = keptUpdateNames(PROOF);
    const encoded = await prove('SnapEncode', 'snap-encode', claim, { ...key, ...added.files }, [...kept, UPDATE_VANILLA_PROOFS]);
    const update = UpdateResult.parse(encoded.result);
    expect(update.commD.cid).toBe(claim.commD);
    const storedUpdate = await store(pick(encoded.files, kept), 'main');
    expect((await readdir(fixture.storage.path)).sort()).toEqual(['cache', 'sealed', 'update', 'update-cache']);
    expect(JSON.parse(await readFile(join(fixture.storage.path, storedPath('cache/sector.json')), 'utf8'))).toEqual({ files: kept });

    const sources = await publish(['sealed', 'update'], [...storedKey, ...storedUpdate]);
    const unseal = { commD: claim.commD, commROld: sealed.commR };
    const whole = await prove('Unseal', 'unseal-piece', { ...unseal, offsetBytes: '0', sizeBytes: String(data.length) }, sources, [PIECE]);
    expect(whole.files[PIECE]?.equals(data)).toBe(true);
    const range = await prove('Unseal', 'unseal-piece', { ...unseal, offsetBytes: '127', sizeBytes: '254' }, sources, [PIECE]);
    expect(range.files[PIECE]?.equals(data.subarray(127, 127 + 254))).toBe(true);
    const zeros = { commD: sealed.commD, ticket: TICKET, offsetBytes: '0', sizeBytes: String(data.length) };
    const before = await prove('Unseal', 'unseal-piece', zeros, pick(sources, ['sealed']), [PIECE]);
    expect(before.files[PIECE]?.equals(Buffer.alloc(data.length))).toBe(true);
  });

  test(
    'a rebuilt sector has the same files, replaces what is left of the old ones, and its check finds a foreign tree',
    { timeout: 120_000 },
    async () => {
      await fixture.start({ prover: REAL_PROVER });
      const first = await sealCc();
      const stored = await store(first.kept, null);
      await rm(join(fixture.storage.path, 'sealed'), { recursive: true });

      const second = await sealCc();
      expect(second).toEqual(first);
      const checked = await prove(
        'CheckSealed',
        'check-sealed',
        { commR: second.commR },
        pick(second.kept, ['sealed', P_AUX, ...treeRLastNames(PROOF)]),
      );
      expect(CheckSealedResult.parse(checked.result).commR.cid).toBe(first.commR);
      const other = Buffer.from(second.kept['sealed'] as Buffer);
      other.writeUInt8(other.readUInt8(64) ^ 1, 64);
      const foreign = { ...pick(second.kept, [P_AUX, ...treeRLastNames(PROOF)]), sealed: other };
      await expect(prove('CheckSealed', 'check-sealed', { commR: second.commR }, foreign)).rejects.toThrow(/^(proof|input)_invalid/);

      expect(await store(second.kept, null)).toEqual(stored);
      expect(hashOf(await readFile(join(fixture.storage.path, storedPath('sealed'))))).toBe(stored[0]?.hash);
    },
  );
});
