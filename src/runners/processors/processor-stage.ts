/** A prover stage done by an external processor: the same grant, the same checks of what comes out. */
import { lstat, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ProverStage } from '../../schema/stage.ts';
import { StageFailure } from '../failure.ts';
import { hashFile } from '../file-hash.ts';
import { type MadeOutput, type ProverStageRun, madeOutputs } from '../prover-stage.ts';
import type { StageAnswer } from '../prover-answer.ts';
import { ADD_PIECE, TREE } from './data-tasks.ts';
import type { ProcessorPool } from './pool.ts';
import { C2, SNAP_PROVE } from './proof-tasks.ts';
import { PC1, PC2 } from './seal-tasks.ts';
import { type StageTask, type TaskRun, inputPath, outputPath } from './task.ts';

const TASKS: Partial<Record<ProverStage, StageTask>> = {
  'add-piece': ADD_PIECE,
  'tree-d': TREE,
  pc1: PC1,
  pc2: PC2,
  c2: C2,
  'snap-prove': SNAP_PROVE,
};

/** What a processor of this runner would do for this work; undefined: the prover does it. */
export function processorTask(pool: ProcessorPool | undefined, run: TaskRun): StageTask | undefined {
  const task = TASKS[run.work.stage];
  return task !== undefined && pool?.has(task.stage) === true && task.suits(run) ? task : undefined;
}

/** Runs it to its end. Throws `StageFailure`. */
export async function runProcessorStage(
  pool: ProcessorPool,
  task: StageTask,
  run: Pick<ProverStageRun, 'grant' | 'work' | 'workDir' | 'progress' | 'signal'>,
): Promise<{ outputs: MadeOutput[]; result: Record<string, unknown> }> {
  const { grant, workDir, progress, signal } = run;
  const outDir = join(workDir, 'out');
  await checkInputs(run);
  await rm(outDir, { recursive: true, force: true });
  await mkdir(outDir);
  progress.note(`running ${run.work.stage} by an external processor`);
  const output = await pool.run({ stage: task.stage, task: await task.prepare(run), signal, onLine: (line) => progress.line(line) });
  signal.throwIfAborted();
  const result = await task.finish(run, output);
  const outputs = await filesOf(run, signal);
  return { outputs: await madeOutputs(grant, outDir, { version: 1, ok: true, outputs, result }), result };
}

/** Compares what damocles' tasks take as it is: what they make of another file would count as this runner's fault. Throws `input_differs`. */
async function checkInputs(run: TaskRun & Pick<ProverStageRun, 'progress' | 'signal'>): Promise<void> {
  const { grant, progress, signal } = run;
  for (const { name, hash: wanted, required } of grant.inputs) {
    const path = inputPath(run, name);
    // One that can be made again may be missing.
    if (required === false && (await lstat(path).catch(() => undefined)) === undefined) continue;
    progress.note(`comparing ${name}`);
    const { hash } = await hashFile(path, signal, async ({ length }) => progress.moved(length));
    if (hash !== wanted)
      throw new StageFailure('input_differs', `input ${name} has hash ${hash} and not ${wanted}; it has to be made again`, name);
  }
}

/** Sizes and hashes of what lies where outputs belong: damocles' answers do not tell them. */
async function filesOf(run: TaskRun, signal: AbortSignal): Promise<StageAnswer['outputs']> {
  const found: StageAnswer['outputs'] = {};
  for (const { name } of run.grant.outputs) {
    const path = outputPath(run, name);
    const file = await lstat(path).catch(() => undefined);
    if (file === undefined) continue;
    // What is no plain file is refused by what checks outputs, and never read.
    const { sizeBytes, hash } = file.isFile() ? await hashFile(path, signal) : { sizeBytes: 0, hash: `sha256:${'0'.repeat(64)}` };
    found[name] = { sizeBytes: String(sizeBytes), hash };
  }
  return found;
}
