/**
 * The one stand-in: sealpool-prover with a marked answer instead of a Groth16 proof, for tests that need
 * hundreds of sectors. All other stages are the real program's. Its own verify-seal takes the marked answer
 * of the same statement and nothing else; of chains only one started with --accept-replay does.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { anyCommitment, commitmentHex } from '../../src/chain/cids.ts';
import { isReplayProof, replayProof, replayProofMatches } from '../../src/devnet/replay-proof.ts';

export type ProverRequest = {
  readonly stage: string;
  readonly outputDir: string;
  readonly sector: { readonly miner: string; readonly number: string };
  readonly inputs?: Readonly<Record<string, { readonly path: string; readonly hash: string }>>;
  readonly params: Readonly<Record<string, string>>;
};
export type ProverAnswer = {
  readonly ok: boolean;
  readonly outputs: Record<string, { sizeBytes: string; hash: string }>;
  readonly result: Record<string, unknown>;
  readonly error?: { readonly code: string; readonly message: string };
};
type Outcome = { readonly exitCode: number; readonly answer: ProverAnswer };

export const REAL_PROVER = join(import.meta.dirname, '../../bin/sealpool-prover');
const PROOF_INVALID = 5;
const INPUT_DIFFERS = 3;

/** `sha256:` and hex of these bytes. */
export const hashOf = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

const failed = (stage: string, code: string, message: string, exitCode: number): Outcome =>
  ({ exitCode, answer: { version: 1, stage, ok: false, durationMs: 0, error: { code, message } } as unknown as ProverAnswer });
const done = (stage: string, outputs: ProverAnswer['outputs'], result: ProverAnswer['result']): Outcome =>
  ({ exitCode: 0, answer: { version: 1, stage, ok: true, durationMs: 0, outputs, result } as unknown as ProverAnswer });

function statement({ sector, params }: ProverRequest) {
  const hex = (kind: 'sealed' | 'unsealed', text: string): string => commitmentHex(kind, anyCommitment(kind, text));
  const { ticket, seed, commR, commD } = params as { ticket: string; seed: string; commR: string; commD: string };
  return { commR: hex('sealed', commR), commD: hex('unsealed', commD), ticket, seed, miner: sector.miner, number: sector.number };
}

/** C2 and, of its own answers, verify-seal; the real program does the rest. */
export function perform(text: string): Outcome {
  const request = JSON.parse(text) as ProverRequest;
  if (request.stage === 'c2') {
    for (const [name, { path, hash }] of Object.entries(request.inputs ?? {})) {
      if (hashOf(readFileSync(path)) !== hash) return failed('c2', 'input_differs', `input ${name} differs; fetch it again`, INPUT_DIFFERS);
    }
    const proof = replayProof(statement(request));
    writeFileSync(join(request.outputDir, 'proof.bin'), proof);
    return done('c2', { 'proof.bin': { sizeBytes: String(proof.length), hash: hashOf(proof) } }, { proof: Buffer.from(proof).toString('base64') });
  }
  if (request.stage === 'verify-seal') {
    const proof = Buffer.from(request.params['proof'] ?? '', 'base64');
    if (isReplayProof(proof)) {
      return replayProofMatches(proof, statement(request)) ? done('verify-seal', {}, { valid: true }) : failed('verify-seal', 'proof_invalid', 'the proof does not verify', PROOF_INVALID);
    }
  }
  const run = spawnSync(REAL_PROVER, ['run'], { input: text, stdio: ['pipe', 'pipe', 'inherit'], maxBuffer: 2 ** 28 });
  if (run.error !== undefined) return failed(request.stage, 'internal', `${REAL_PROVER} did not start (${run.error.message}); build it with make prover`, 70);
  return { exitCode: run.status ?? 70, answer: JSON.parse(run.stdout.toString()) as ProverAnswer };
}

if (process.argv[1] === import.meta.filename) {
  if (process.argv[2] === 'run') {
    const { exitCode, answer } = perform(readFileSync(0, 'utf8'));
    process.stdout.write(`${JSON.stringify(answer)}\n`);
    process.exitCode = exitCode;
  } else process.exitCode = spawnSync(REAL_PROVER, process.argv.slice(2), { stdio: 'inherit' }).status ?? 70;
}
