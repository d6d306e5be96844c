/** Prover work: run the stage program over the fetched inputs and collect the outputs that were asked for. */
import { lstat, mkdir, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { z } from 'zod';
import type { Grant, OutputSlot } from '../schema/runner.ts';
import type { ProverWork } from '../schema/stage.ts';
import type { Executor } from './executor.ts';
import { StageFailure } from './failure.ts';
import type { Progress } from './progress.ts';
import { type StageAnswer, readAnswer } from './prover-answer.ts';

export type ProverStageRun = {
  readonly grant: Grant;
  readonly work: z.infer<typeof ProverWork>;
  /** Holds `in/` with the inputs; `out/` is made here. */
  readonly workDir: string;
  readonly program: string;
  readonly executor: Executor;
  readonly progress: Progress;
  readonly signal: AbortSignal;
};

/** An output that exists as it was answered and may be uploaded. */
export type MadeOutput = {
  readonly slot: OutputSlot;
  readonly path: string;
  readonly sizeBytes: number;
  readonly hash: string;
  /** `ctimeMs` of its status when the stage had ended. */
  readonly changedMs: number;
};

/** The request for the stage program: paths are relative to the work folder. */
export function proverRequest(grant: Grant, work: z.infer<typeof ProverWork>): object {
  return {
    version: 1,
    stage: work.stage,
    network: work.network,
    sector: work.sector,
    inputs: Object.fromEntries(grant.inputs.map(({ name, sizeBytes, hash }) => [name, { path: `in/${name}`, sizeBytes, hash }])),
    outputDir: 'out',
    params: work.params,
  };
}

/** Runs it to its end. Throws `StageFailure`. */
export async function runProverStage(run: ProverStageRun): Promise<{ outputs: MadeOutput[]; result: Record<string, unknown> }> {
  // Made anew where an input had to be fetched again.
  await rm(join(run.workDir, 'out'), { recursive: true, force: true });
  await mkdir(join(run.workDir, 'out'));
  const exit = await run.executor.run({
    program: run.program,
    args: ['run'],
    workDir: run.workDir,
    request: `${JSON.stringify(proverRequest(run.grant, run.work))}\n`,
    signal: run.signal,
    onLine: (line) => run.progress.line(line),
  });
  run.signal.throwIfAborted();
  const answer = readAnswer(exit, run.progress.lastWords(500));
  return { outputs: await madeOutputs(run.grant, join(run.workDir, 'out'), answer), result: answer.result };
}

/** Exactly the files of the grant's slots; what a program made besides is left where it is. */
export async function madeOutputs(grant: Grant, outDir: string, answer: StageAnswer): Promise<MadeOutput[]> {
  const made: MadeOutput[] = [];
  for (const slot of grant.outputs) {
    const answered = answer.outputs[slot.name];
    if (answered !== undefined) {
      made.push(await madeOutput(slot, outDir, answered));
    } else if (slot.required) {
      throw new StageFailure(
        'internal',
        `the stage ended well but its output ${slot.name} is missing from the answer; the stage program is broken`,
      );
    }
  }
  return made;
}

/** One file as the stage program answered it. Throws `StageFailure` where it is none that may be sent. */
export async function madeOutput(
  slot: OutputSlot,
  outDir: string,
  answered: { readonly sizeBytes: string; readonly hash: string },
): Promise<MadeOutput> {
  const path = join(outDir, slot.name);
  const found = await lstat(path).catch(() => undefined);
  // A link, also of a folder on the way, could make us upload any file of this machine.
  if (!found?.isFile() || (await realpath(path)) !== join(await realpath(outDir), slot.name)) {
    throw new StageFailure(
      'internal',
      `the stage ended well but its output ${slot.name} is no plain file in its folder; the stage program is broken`,
    );
  }
  if (String(found.size) !== answered.sizeBytes) {
    throw new StageFailure(
      'internal',
      `output ${slot.name} has ${found.size} bytes and the answer says ${answered.sizeBytes}; the stage program is broken`,
    );
  }
  if (found.size > Number(slot.maxSizeBytes)) {
    throw new StageFailure(
      'internal',
      `output ${slot.name} has ${found.size} bytes and may have ${slot.maxSizeBytes}; the stage program is broken`,
    );
  }
  return { slot, path, sizeBytes: found.size, hash: answered.hash, changedMs: found.ctimeMs };
}
