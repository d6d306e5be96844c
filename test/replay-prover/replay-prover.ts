/**
 * The one stand-in: sealpool-prover with marked answers instead of Groth16 proofs, for tests that need
 * hundreds of sectors. Its `c2` checks its input as the real one does (size, hash, and that the vanilla
 * proofs hold for this very statement, by the real program). Its `verify-seal` takes the marked answer of
 * the same statement and nothing else of its kind; of chains only one started with --accept-replay does.
 * The same for `snap-prove` and `verify-update`. All other requests are the real program's.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { anyCommitment, commitmentHex } from '../../src/chain/cids.ts';
import { type SealStatement, isReplayProof, replayProof, replayProofMatches } from '../../src/devnet/replay-proof.ts';

export type ProverRequest = {
  readonly stage: string;
  readonly outputDir: string;
  readonly sector: { readonly miner: string; readonly number: string };
  readonly inputs?: Readonly<Record<string, { readonly path: string; readonly sizeBytes: string; readonly hash: string }>>;
  readonly params: Readonly<Record<string, string>>;
};
export type ProverAnswer = {
  readonly ok: boolean;
  readonly outputs: Record<string, { sizeBytes: string; hash: string }>;
  readonly result: Record<string, unknown>;
  readonly error?: { readonly code: string; readonly message: string; readonly input?: string };
};
export type Outcome = { readonly exitCode: number; readonly answer: ProverAnswer };

export const REAL_PROVER = join(import.meta.dirname, '../../bin/sealpool-prover');
const EXIT = { bad_request: 2, input_differs: 3, input_invalid: 4, proof_invalid: 5, internal: 70 } as const;

/** `sha256:` and hex of these bytes. */
export const hashOf = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

function failed(stage: string, code: keyof typeof EXIT, message: string, input?: string): Outcome {
  const error = { code, message, ...(input === undefined ? {} : { input }) };
  return { exitCode: EXIT[code], answer: { version: 1, stage, ok: false, durationMs: 0, error } as unknown as ProverAnswer };
}

function done(stage: string, outputs: ProverAnswer['outputs'], result: ProverAnswer['result']): Outcome {
  return { exitCode: 0, answer: { version: 1, stage, ok: true, durationMs: 0, outputs, result } as unknown as ProverAnswer };
}

const hex = (kind: 'sealed' | 'unsealed', text = ''): string => commitmentHex(kind, anyCommitment(kind, text));

/** What the proof of this request is about. An update has no ticket and seed: the old CommR stands in for the ticket. */
function statement({ stage, sector, params }: ProverRequest): SealStatement {
  const about = { miner: sector.miner, number: sector.number };
  if (stage === 'snap-prove' || stage === 'verify-update') {
    const { commROld, commRNew, commDNew } = params;
    return { ...about, commR: hex('sealed', commRNew), commD: hex('unsealed', commDNew), ticket: hex('sealed', commROld), seed: '' };
  }
  const { ticket = '', seed = '', commR, commD } = params;
  return { ...about, commR: hex('sealed', commR), commD: hex('unsealed', commD), ticket, seed };
}

/** Asks the real program. */
export function askReal(request: ProverRequest): Outcome {
  const run = spawnSync(REAL_PROVER, ['run'], { input: JSON.stringify(request), stdio: ['pipe', 'pipe', 'inherit'], maxBuffer: 2 ** 28 });
  if (run.error !== undefined) {
    return failed(request.stage, 'internal', `${REAL_PROVER} did not start (${run.error.message}); build it with make prover`);
  }
  return { exitCode: run.status ?? EXIT.internal, answer: JSON.parse(run.stdout.toString()) as ProverAnswer };
}

function prove(request: ProverRequest, needs: string): Outcome {
  const { stage, outputDir, inputs = {} } = request;
  const input = inputs[needs];
  if (input === undefined || Object.keys(inputs).length !== 1)
    return failed(stage, 'bad_request', `${stage} takes ${needs} and nothing else`);
  const bytes = readFileSync(input.path);
  if (String(bytes.length) !== input.sizeBytes || hashOf(bytes) !== input.hash) {
    return failed(stage, 'input_differs', `input ${needs} has another size or hash than the request says; fetch it again`, needs);
  }
  if (stage === 'c2') {
    const { answer } = askReal({ ...request, stage: 'verify-vanilla' });
    if (!answer.ok) return failed(stage, 'input_invalid', `input ${needs} does not hold: ${answer.error?.message}`, needs);
  }
  const proof = replayProof(statement(request));
  const [draft, whole] = [join(outputDir, '.proof.bin.tmp'), join(outputDir, 'proof.bin')];
  writeFileSync(draft, proof);
  renameSync(draft, whole);
  const output = { 'proof.bin': { sizeBytes: String(proof.length), hash: hashOf(proof) } };
  return done(stage, output, { proof: Buffer.from(proof).toString('base64') });
}

/** Carries one request out, given as the text of its JSON. */
export function perform(text: string): Outcome {
  const request = JSON.parse(text) as ProverRequest;
  const { stage } = request;
  if (stage === 'c2') return prove(request, 'vanilla-proofs.json');
  if (stage === 'snap-prove') return prove(request, 'update-vanilla-proofs.json');
  if (stage === 'verify-seal' || stage === 'verify-update') {
    const proof = Buffer.from(request.params['proof'] ?? '', 'base64');
    if (isReplayProof(proof)) {
      const right = replayProofMatches(proof, statement(request));
      return right
        ? done(stage, {}, { valid: true })
        : failed(stage, 'proof_invalid', 'the marked proof is of another statement; prove this one');
    }
  }
  return askReal(request);
}

/** Like `perform`, and a request that is no request is answered so. */
function answer(text: string): Outcome {
  try {
    return perform(text);
  } catch (error) {
    return failed('', 'bad_request', `the request cannot be read (${(error as Error).message}); see PROTOCOL.md`);
  }
}

if (process.argv[1] === import.meta.filename) {
  const outcome = answer(readFileSync(0, 'utf8'));
  process.stdout.write(`${JSON.stringify(outcome.answer)}\n`);
  process.exitCode = outcome.exitCode;
}
