/** c2 and snap_prove: a proof from vanilla proofs. */
import { readFile, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { UPDATE_VANILLA_PROOFS, VANILLA_PROOFS } from '../../schema/artifact.ts';
import { StageFailure } from '../failure.ts';
import { withNumber } from './seal-tasks.ts';
import { type StageTask, type TaskRun, hasInput, inputPath, outputOf, outputPath, updateProofName } from './task.ts';
import { ProofBytes, actorDigits, bytesOfHex, commitmentHex, proverId } from './values.ts';

const PROOF = 'proof.bin';

/** Reads vanilla proofs. Throws `input_invalid`: another runner made them, and they become part of a line that we write. */
async function vanillaProofs<T>(run: TaskRun, name: string, schema: z.ZodType<T>): Promise<{ text: string; parsed: T }> {
  const text = await readFile(inputPath(run, name), 'utf8');
  try {
    return { text, parsed: schema.parse(JSON.parse(text)) };
  } catch {
    throw new StageFailure('input_invalid', `input ${name} holds no vanilla proofs; make it again`, name);
  }
}

async function keep(run: TaskRun, proof: readonly number[]): Promise<Record<string, unknown>> {
  const bytes = Buffer.from(proof);
  await writeFile(outputPath(run, PROOF), bytes);
  return { proof: bytes.toString('base64') };
}

export const C2: StageTask = {
  stage: 'c2',
  suits: (run) => hasInput(run, VANILLA_PROOFS),
  prepare: async (run) => {
    const { miner, number } = run.work.sector;
    const { text } = await vanillaProofs(run, VANILLA_PROOFS, z.record(z.string(), z.unknown()));
    // As it stands, but in one line: its numbers may have 64 bits. A line break in JSON is only space.
    const rest = withNumber({ prover_id: proverId(miner), miner_id: 0 }, 'sector_id', number).replace(
      '"miner_id":0',
      `"miner_id":${actorDigits(miner)}`,
    );
    return `{"c1out":${text.replaceAll(/[\r\n]/g, ' ')},${rest.slice(1)}`;
  },
  finish: async (run, output) => keep(run, outputOf(z.object({ proof: ProofBytes }), output).proof),
};

export const SNAP_PROVE: StageTask = {
  stage: 'snap_prove',
  suits: (run) => hasInput(run, UPDATE_VANILLA_PROOFS),
  prepare: async (run) => {
    const { params } = run.work;
    const { parsed } = await vanillaProofs(run, UPDATE_VANILLA_PROOFS, z.array(z.base64()).min(1).max(1024));
    const commitment = (kind: 'sealed' | 'unsealed', name: string): number[] => bytesOfHex(commitmentHex(kind, params[name], name));
    return JSON.stringify({
      registered_proof: updateProofName(run),
      // The spelling is damocles' own.
      vannilla_proofs: parsed.map((proof) => [...Buffer.from(proof, 'base64')]),
      comm_r_old: commitment('sealed', 'commROld'),
      comm_r_new: commitment('sealed', 'commRNew'),
      comm_d_new: commitment('unsealed', 'commDNew'),
    });
  },
  finish: async (run, output) => keep(run, outputOf(ProofBytes, output)),
};
