/**
 * Asks the real prover for the answers that self-tests of runners are compared with, and writes them to
 * `src/scheduler/self-test/recorded.gen.ts`. Everything follows from the names of the cases, so that it writes the same
 * file again: to be run when a stage's output changes, or for more cases.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  T_AUX,
  TREE_D,
  UPDATE_VANILLA_PROOFS,
  keptNames,
  keptUpdateNames,
  layerNames,
  treeCNames,
  treeRLastNames,
  P_AUX,
} from '../src/schema/artifact.ts';
import type { ProverStage, Stage } from '../src/schema/stage.ts';
import type { RecordedCase } from '../src/scheduler/self-test/known.ts';

const ROOT = join(import.meta.dirname, '..');
const PROVER = join(ROOT, 'bin/sealpool-prover');
export const RECORDED_FILE = join(ROOT, 'src/scheduler/self-test/recorded.gen.ts');
const PROOF = 'StackedDrg2KiBV1_1';
const COUNTS = { AddPiece: 3, BuildTreeD: 3, PC1: 16, PC2: 6, SnapEncode: 2 } as const;

type Files = Record<string, Buffer>;
type Answer = { outputs: Record<string, { hash: string }>; result: Record<string, { cid: string }>; files: Files };

const hashOf = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
/** Bytes that follow from the text. */
const bytesOf = (text: string, size: number): Buffer => {
  const blocks = Array.from({ length: Math.ceil(size / 32) }, (_, at) => createHash('sha256').update(`${text} ${at}`).digest());
  return Buffer.concat(blocks).subarray(0, size);
};

const files = new Map<string, Buffer>();
const recorded: RecordedCase[] = [];
const sectorOf = (name: string): { miner: string; number: string } => {
  const seed = bytesOf(`sector ${name}`, 8);
  return { miner: `t0${1000 + (seed.readUInt16LE(0) % 60_000)}`, number: String(seed.readUInt32LE(2)) };
};

function ask(prover: ProverStage, name: string, params: object, inputs: Files, wanted: readonly string[]): Answer {
  const dir = mkdtempSync(join(tmpdir(), 'self-tests-'));
  try {
    const given = Object.entries(inputs).map(([input, bytes]) => {
      const path = join(dir, 'in', input);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, bytes);
      return [input, { path, sizeBytes: String(bytes.length), hash: hashOf(bytes) }];
    });
    mkdirSync(join(dir, 'out'));
    const sector = { ...sectorOf(name), sealProof: PROOF };
    const request = {
      version: 1,
      stage: prover,
      network: 'dev',
      sector,
      inputs: Object.fromEntries(given),
      outputDir: join(dir, 'out'),
      params,
    };
    const { stdout } = spawnSync(PROVER, ['run'], { input: JSON.stringify(request), encoding: 'utf8' });
    const answer = JSON.parse(stdout) as Answer & { ok: boolean };
    if (!answer.ok) throw new Error(`${name}: the prover refused: ${stdout}`);
    return { ...answer, files: Object.fromEntries(wanted.map((output) => [output, readFileSync(join(dir, 'out', output))])) };
  } finally {
    rmSync(dir, { recursive: true });
  }
}

/** Asks and keeps it as a case. */
function keep(
  stage: Stage,
  prover: ProverStage,
  name: string,
  params: Record<string, unknown>,
  inputs: Files,
  wanted: readonly string[],
): Answer {
  const answer = ask(prover, name, params, inputs, wanted);
  for (const bytes of Object.values(inputs)) files.set(hashOf(bytes), bytes);
  const commitments = Object.entries(answer.result).flatMap(([key, value]) => (key.startsWith('comm') ? [[key, value.cid]] : []));
  recorded.push({
    name,
    stage,
    prover,
    sector: sectorOf(name),
    params,
    inputs: Object.fromEntries(Object.entries(inputs).map(([input, bytes]) => [input, hashOf(bytes)])),
    outputs: Object.fromEntries(wanted.map((output) => [output, answer.outputs[output]?.hash as string])),
    commitments: Object.fromEntries(commitments),
  });
  return answer;
}

const each = (stage: keyof typeof COUNTS, make: (name: string) => void): void => {
  for (let at = 1; at <= COUNTS[stage]; at += 1) make(`${stage}-${at}`);
};
const hex32 = (text: string): string => bytesOf(text, 32).toString('hex');

const zeros = ask('tree-d', 'zeros', {}, {}, [TREE_D]);
const zeroCommD = (zeros.result['commD'] as { cid: string }).cid;
const ticketOf = (name: string): Record<string, unknown> => ({ ticket: hex32(`ticket ${name}`), commD: zeroCommD });
const pieceOf = (name: string): Answer => {
  const params = { pieces: [{ input: 'piece-0', paddedSizeBytes: null, cid: null }] };
  return ask('add-piece', name, params, { 'piece-0': bytesOf(`data ${name}`, 1500) }, ['unsealed']);
};
/** A whole sector of zeros under this name. */
const sealed = (name: string): Files => {
  const pc1 = ask('pc1', name, ticketOf(name), {}, [...layerNames(PROOF), T_AUX]);
  return ask('pc2', name, ticketOf(name), { ...pc1.files, ...zeros.files }, [...keptNames(PROOF), ...treeCNames(PROOF)]).files;
};
const commROf = (name: string): string => {
  const pc1 = ask('pc1', name, ticketOf(name), {}, [...layerNames(PROOF), T_AUX]);
  return (ask('pc2', name, ticketOf(name), { ...pc1.files, ...zeros.files }, []).result['commR'] as { cid: string }).cid;
};

each('AddPiece', (name) => {
  const params = {
    pieces: [
      { input: 'piece-0', paddedSizeBytes: '256', cid: null },
      { input: 'piece-1', paddedSizeBytes: null, cid: null },
    ],
  };
  keep('AddPiece', 'add-piece', name, params, { 'piece-0': bytesOf(`one ${name}`, 200), 'piece-1': bytesOf(`two ${name}`, 900) }, [
    'unsealed',
  ]);
});
each('BuildTreeD', (name) => void keep('BuildTreeD', 'tree-d', name, {}, pieceOf(name).files, [TREE_D]));
each('PC1', (name) => void keep('PC1', 'pc1', name, ticketOf(name), {}, [...layerNames(PROOF), T_AUX]));
each('PC2', (name) => {
  const { files: layers } = ask('pc1', name, ticketOf(name), {}, [...layerNames(PROOF), T_AUX]);
  keep('PC2', 'pc2', name, ticketOf(name), { ...layers, ...zeros.files }, [...keptNames(PROOF), ...treeCNames(PROOF)]);
});
each('SnapEncode', (name) => {
  const whole = sealed(name);
  const key = Object.fromEntries(['sealed', P_AUX, T_AUX, ...treeRLastNames(PROOF)].map((file) => [file, whole[file] as Buffer]));
  const data = pieceOf(name);
  const params = { commR: commROf(name), commD: (data.result['commD'] as { cid: string }).cid };
  keep('SnapEncode', 'snap-encode', name, params, { ...key, ...data.files }, [...keptUpdateNames(PROOF), UPDATE_VANILLA_PROOFS]);
});

const fileLines = [...files]
  .toSorted()
  .map(([hash, bytes]) => `  '${hash}': { sizeBytes: ${bytes.length}, content: '${bytes.toString('base64')}' },`);
const text = `/** Made by scripts/record-self-tests.ts with the real prover: inputs of self-tests by hash, and the cases with their right answers. */
import type { RecordedCase } from './known.ts';

export const FILES: Readonly<Record<string, { readonly sizeBytes: number; readonly content: string }>> = {
${fileLines.join('\n')}
};

export const RECORDED: readonly RecordedCase[] = [
${recorded.map((one) => `  ${JSON.stringify(one)},`).join('\n')}
];
`;
const target = process.argv[2] ?? RECORDED_FILE;
writeFileSync(target, text);
console.log(`${target}: ${recorded.length} cases, ${files.size} files`);
