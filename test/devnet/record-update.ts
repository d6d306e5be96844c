/**
 * Makes `recorded-update.json` anew: the sector of `recorded-seal.json` is sealed again, upgraded with a
 * piece and proven for real, under the dev network's parameters. SnapProve takes a minute or more.
 * Run: `node test/devnet/record-update.ts > test/devnet/recorded-update.json`.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

type Artifacts = Record<string, { sizeBytes: string; hash: string }>;
type Answer = { ok: boolean; outputs: Artifacts; result: Record<string, any>; error?: { message: string } };

const prover = join(import.meta.dirname, '../../bin/sealpool-prover');
const seal = JSON.parse(readFileSync(new URL('./recorded-seal.json', import.meta.url), 'utf8'));
const folder = mkdtempSync(join(tmpdir(), 'sealpool-record-'));
/** Every artifact made so far, by name, as an input of later stages. */
const made: Record<string, { path: string; sizeBytes: string; hash: string }> = {};

function stage(name: string, inputs: readonly string[], params: Record<string, unknown>): Record<string, any> {
  const outputDir = join(folder, name);
  mkdirSync(outputDir);
  const request = {
    version: 1,
    stage: name,
    network: 'dev',
    sector: { miner: seal.miner, number: String(seal.number), sealProof: 'StackedDrg2KiBV1_1' },
    inputs: Object.fromEntries(inputs.map((input) => [input, made[input]])),
    outputDir,
    params,
  };
  const run = spawnSync(prover, ['run'], { input: JSON.stringify(request), stdio: ['pipe', 'pipe', 'ignore'] });
  const answer = JSON.parse(run.stdout.toString()) as Answer;
  if (!answer.ok) throw new Error(`${name}: ${answer.error?.message}`);
  for (const [output, info] of Object.entries(answer.outputs)) made[output] = { path: join(outputDir, output), ...info };
  return answer.result;
}

try {
  const layers = stage('pc1', [], { ticket: seal.ticket, commD: seal.commD })['layers'] as string[];
  const sealed = stage('pc2', [...layers, 'cache/t_aux'], { ticket: seal.ticket, commD: seal.commD });
  if (sealed['commR'].hex !== seal.commR) throw new Error(`sealing again gave CommR ${sealed['commR'].hex}, recorded is ${seal.commR}`);
  const piece = Buffer.from(Array.from({ length: 2032 }, (_, i) => (i * 31) % 251));
  const path = join(folder, 'piece-0');
  writeFileSync(path, piece);
  made['piece-0'] = { path, sizeBytes: String(piece.length), hash: `sha256:${createHash('sha256').update(piece).digest('hex')}` };
  const added = stage('add-piece', ['piece-0'], { pieces: [{ input: 'piece-0' }] });
  const old = ['sealed', 'cache/p_aux', 'cache/t_aux', 'cache/sc-02-data-tree-r-last.dat'];
  const update = stage('snap-encode', [...old, 'unsealed'], { commR: seal.commR, commD: added['commD'].hex, pieces: added['pieces'] });
  const commitments = { commROld: seal.commR, commRNew: update['commR'].hex, commDNew: update['commD'].hex };
  const { proof } = stage('snap-prove', ['update-vanilla-proofs.json'], commitments);
  const pieces = added['pieces'].map(({ cid, paddedSizeBytes }: Record<string, string>) => ({ cid, paddedSizeBytes }));
  console.log(JSON.stringify({ ...commitments, pieces, proof }, null, 2));
} finally {
  rmSync(folder, { recursive: true, force: true });
}
