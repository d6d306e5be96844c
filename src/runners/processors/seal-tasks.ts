/** pc1 and pc2. */
import { constants } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { TREE_D, T_AUX, layerNames } from '../../schema/artifact.ts';
import { sealProofInfo } from '../../schema/seal-proof.ts';
import { StageFailure } from '../failure.ts';
import { nodesOf, tAuxBytes } from './t-aux.ts';
import {
  type StageTask,
  type TaskRun,
  hasInput,
  inputPath,
  linkInput,
  outputOf,
  outputPath,
  sectorBytes,
  updateProofName,
  zeros,
} from './task.ts';
import { Bytes32, bytesOfHex, commitmentHex, commitmentOfBytes, proverId, unpadded, zeroCommitment } from './values.ts';

const NODE_BYTES = 32;

const ofZeros = (run: TaskRun): boolean =>
  commitmentHex('unsealed', run.work.params['commD'], 'commD') === zeroCommitment(sectorBytes(run));

/** PC1's output as the library writes it: where layers and tree-d are. */
function phase1Output(run: TaskRun): Record<string, unknown> {
  const path = outputPath(run, 'cache');
  const nodes = sectorBytes(run) / NODE_BYTES;
  const store = (id: string, size: number): object => ({ path, id, size, rows_to_discard: 0 });
  const labels = Array.from({ length: sealProofInfo(run.work.sector.sealProof).layers }, (_, at) => store(`layer-${at + 1}`, nodes));
  return {
    registered_proof: run.work.sector.sealProof,
    labels: { [updateProofName(run)]: { labels, _h: null } },
    config: store('tree-d', nodesOf(nodes, 2)),
    comm_d: bytesOfHex(commitmentHex('unsealed', run.work.params['commD'], 'commD')),
  };
}

/** Throws when the processor worked on other data than it was given. */
function sameCommD(run: TaskRun, answered: readonly number[]): void {
  if (Buffer.from(answered).toString('hex') === commitmentHex('unsealed', run.work.params['commD'], 'commD')) return;
  throw new StageFailure('internal', 'the processor answered another CommD than it was asked for; correct the processor');
}

/** damocles' task reads the data, ours only its CommD: so it fits where the data are zeros and no layer is there yet. */
export const PC1: StageTask = {
  stage: 'pc1',
  suits: (run) => run.grant.inputs.length === 0 && ofZeros(run),
  prepare: async (run) => {
    const { sealProof, miner, number } = run.work.sector;
    await mkdir(outputPath(run, 'cache'));
    const [unsealed, sealed] = [outputPath(run, 'zeros'), outputPath(run, 'sealed')];
    await zeros(unsealed, sectorBytes(run));
    await writeFile(sealed, '');
    const task = {
      registered_proof: sealProof,
      cache_path: outputPath(run, 'cache'),
      in_path: unsealed,
      out_path: sealed,
      prover_id: proverId(miner),
      ticket: bytesOfHex(z.string().parse(run.work.params['ticket'])),
      piece_infos: [{ commitment: bytesOfHex(zeroCommitment(sectorBytes(run))), size: unpadded(sectorBytes(run)) }],
    };
    return withNumber(task, 'sector_id', number);
  },
  finish: async (run, output) => {
    sameCommD(run, outputOf(z.object({ comm_d: Bytes32 }), output).comm_d);
    await writeFile(outputPath(run, T_AUX), tAuxBytes(run.work.sector.sealProof));
    return { layers: layerNames(run.work.sector.sealProof) };
  },
};

/** Synthetic proofs are no part of damocles' task: those sectors are the prover's. */
export const PC2: StageTask = {
  stage: 'pc2',
  suits: (run) =>
    !sealProofInfo(run.work.sector.sealProof).synthetic && hasInput(run, TREE_D) && (hasInput(run, 'unsealed') || ofZeros(run)),
  prepare: async (run) => {
    for (const name of [...layerNames(run.work.sector.sealProof), TREE_D]) await linkInput(run, name);
    const sealed = outputPath(run, 'sealed');
    if (hasInput(run, 'unsealed')) await copyFile(inputPath(run, 'unsealed'), sealed, constants.COPYFILE_FICLONE);
    else await zeros(sealed, sectorBytes(run));
    return JSON.stringify({ pc1out: phase1Output(run), cache_dir: outputPath(run, 'cache'), sealed_file: sealed });
  },
  finish: async (run, output) => {
    const { comm_r, comm_d } = outputOf(z.object({ comm_r: Bytes32, comm_d: Bytes32 }), output);
    sameCommD(run, comm_d);
    // The library writes this machine's folder into it.
    await writeFile(outputPath(run, T_AUX), tAuxBytes(run.work.sector.sealProof));
    return { commR: commitmentOfBytes('sealed', comm_r), commD: commitmentOfBytes('unsealed', comm_d), noLongerNeeded: [] };
  },
};

/** A task with one more number of 64 bits, which JSON.stringify would cut: its digits as they are. */
export function withNumber(task: object, key: string, digits: string): string {
  return `${JSON.stringify(task).slice(0, -1)},${JSON.stringify(key)}:${BigInt(digits)}}`;
}
