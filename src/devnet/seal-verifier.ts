/**
 * Whether a claimed seal holds. Real proofs go to `sealpool-prover verify-seal` (contract:
 * runner-image/PROTOCOL.md); a verifier that cannot be run is never taken for a "no".
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { isReplayProof, replayProofMatches } from './replay-proof.ts';
import type { SealClaim } from './seal-claim.ts';

/** True: the proof holds. False: it does not. Throws when that could not be found out. */
export type SealVerifier = (claim: SealClaim) => Promise<boolean>;

const Answer = z.object({ ok: z.boolean(), error: z.object({ code: z.string(), message: z.string() }).optional() });

/** A verifier that takes the replay prover's marked answers where it must, and asks the prover for the rest. */
export function sealVerifier(options: { proverPath: string | undefined; acceptReplay: boolean }): SealVerifier {
  const { proverPath, acceptReplay } = options;
  return async (claim) => {
    if (acceptReplay && isReplayProof(claim.proof)) return replayProofMatches(claim.proof, claim);
    if (proverPath === undefined) {
      throw new Error('a real proof has come, and this chain was started without a prover; start it with the path of sealpool-prover');
    }
    return verifyWithProver(proverPath, claim);
  };
}

async function verifyWithProver(proverPath: string, claim: SealClaim): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'sealpool-verify-'));
  try {
    const request = {
      version: 1,
      stage: 'verify-seal',
      network: 'dev',
      sector: { miner: claim.miner, number: claim.number, sealProof: claim.sealProof },
      inputs: {},
      outputDir: folder,
      params: {
        ticket: claim.ticket,
        seed: claim.seed,
        commR: claim.commR,
        commD: claim.commD,
        proof: Buffer.from(claim.proof).toString('base64'),
      },
    };
    const { stdout, stderr } = await run(proverPath, folder, JSON.stringify(request));
    const answer = Answer.safeParse(parseJson(stdout));
    if (!answer.success) throw new Error(`${proverPath} gave no answer to verify-seal: ${stderr.slice(-500)}`);
    if (answer.data.ok) return true;
    if (answer.data.error?.code === 'proof_invalid') return false;
    throw new Error(`${proverPath} could not verify a seal (${answer.data.error?.code}): ${answer.data.error?.message}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
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
