/**
 * Whether a claimed proof holds. Real ones go to `sealpool-prover verify-seal` and `verify-update` (contract:
 * runner-image/PROTOCOL.md); a verifier that cannot be run is never taken for a "no".
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { ProofClaim } from './proof-claim.ts';
import { isReplayProof, replayProofMatches, replayUpdateProofMatches } from './replay-proof.ts';

/** True: the proof holds. False: it does not. Throws when that could not be found out. */
export type ProofVerifier = (claim: ProofClaim) => Promise<boolean>;

const Answer = z.object({ ok: z.boolean(), error: z.object({ code: z.string(), message: z.string() }).optional() });

/** A verifier that takes the replay prover's marked answers where it must, and asks the prover for the rest. */
export function proofVerifier(options: { proverPath: string | undefined; acceptReplay: boolean }): ProofVerifier {
  const { proverPath, acceptReplay } = options;
  return async (claim) => {
    if (acceptReplay && isReplayProof(claim.proof)) {
      return claim.kind === 'seal' ? replayProofMatches(claim.proof, claim) : replayUpdateProofMatches(claim.proof, claim);
    }
    if (proverPath === undefined) {
      throw new Error('a real proof has come, and this chain was started without a prover; start it with the path of sealpool-prover');
    }
    return verifyWithProver(proverPath, claim);
  };
}

async function verifyWithProver(proverPath: string, claim: ProofClaim): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'sealpool-verify-'));
  try {
    const stage = claim.kind === 'seal' ? 'verify-seal' : 'verify-update';
    const request = {
      version: 1,
      stage,
      network: 'dev',
      sector: { miner: claim.miner, number: claim.number, sealProof: claim.sealProof },
      inputs: {},
      outputDir: folder,
      params: { ...statementParams(claim), proof: Buffer.from(claim.proof).toString('base64') },
    };
    const { stdout, stderr } = await run(proverPath, folder, JSON.stringify(request));
    const answer = Answer.safeParse(parseJson(stdout));
    if (!answer.success) throw new Error(`${proverPath} gave no answer to ${stage}: ${stderr.slice(-500)}`);
    if (answer.data.ok) return true;
    if (answer.data.error?.code === 'proof_invalid') return false;
    throw new Error(`${proverPath} could not perform ${stage} (${answer.data.error?.code}): ${answer.data.error?.message}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function statementParams(claim: ProofClaim): Readonly<Record<string, string>> {
  if (claim.kind === 'seal') return { ticket: claim.ticket, seed: claim.seed, commR: claim.commR, commD: claim.commD };
  return { commROld: claim.commROld, commRNew: claim.commRNew, commDNew: claim.commDNew };
}

function run(program: string, cwd: string, input: string): Promise<{ stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['run'], { cwd, stdio: ['pipe', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.on('error', (cause) =>
      reject(new Error(`${program} cannot be started (${cause.message}); build it with make, or give another path`, { cause })),
    );
    child.on('close', () => resolve({ stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }));
    // A program that ends before it has read all says so by its exit, not by a broken pipe here.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
