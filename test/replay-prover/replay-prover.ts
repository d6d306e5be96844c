/**
 * The one stand-in: sealpool-prover with marked answers instead of Groth16 proofs, for tests that need
 * hundreds of sectors. Its `c2` checks its input as the real one does (size, hash, and that the vanilla
 * proofs hold for this very statement, by the real program). Its `verify-seal` takes the marked answer of
 * the same statement and nothing else of its kind; of chains only one started with --accept-replay does.
 * The same for `snap-prove` and `verify-update`, but that `snap-prove` knows vanilla proofs by their form only.
 * All other requests are the real program's: what is sealed, snapped, rebuilt and unsealed is so for real.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { anyCommitment, commitmentHex } from '../../src/chain/cids.ts';
import {
  type SealStatement,
  type UpdateStatement,
  isReplayProof,
  replayProof,
  replayProofMatches,
  replayUpdateProof,
  replayUpdateProofMatches,
} from '../../src/devnet/replay-proof.ts';

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

const ofUpdate = (stage: string): boolean => stage === 'snap-prove' || stage === 'verify-update';

/** What the proof of this request is about. */
export function sealStatement({ sector, params }: ProverRequest): SealStatement {
  const { ticket = '', seed = '', commR, commD } = params;
  return { miner: sector.miner, number: sector.number, commR: hex('sealed', commR), commD: hex('unsealed', commD), ticket, seed };
}

/** The same for an update. */
function updateStatement({ sector, params }: ProverRequest): UpdateStatement {
  const { commROld, commRNew, commDNew } = params;
  return {
    miner: sector.miner,
    number: sector.number,
    commROld: hex('sealed', commROld),
    commRNew: hex('sealed', commRNew),
    commDNew: hex('unsealed', commDNew),
  };
}

/** Vanilla proofs of an update by their form (no stage of the real program verifies them alone): some partitions, each base64. */
function areUpdateProofs(bytes: Uint8Array): boolean {
  try {
    const partitions: unknown = JSON.parse(Buffer.from(bytes).toString());
    return Array.isArray(partitions) && partitions.length > 0 && partitions.every((one) => /^[A-Za-z0-9+/]{256,}={0,2}$/.test(String(one)));
  } catch {
    return false;
  }
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
  if (stage === 'snap-prove' && !areUpdateProofs(bytes)) {
    return failed(stage, 'input_invalid', `input ${needs} holds no vanilla proofs of an update; make it again`, needs);
  }
  const proof = ofUpdate(stage) ? replayUpdateProof(updateStatement(request)) : replayProof(sealStatement(request));
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
      const right = ofUpdate(stage)
        ? replayUpdateProofMatches(proof, updateStatement(request))
        : replayProofMatches(proof, sealStatement(request));
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
