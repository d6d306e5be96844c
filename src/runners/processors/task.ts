/** What a stage of ours is in damocles' words: its task, and what its output says. */
import { link, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { z } from 'zod';
import type { ProcessorStage } from '../../schema/processor.ts';
import type { Grant } from '../../schema/runner.ts';
import { sealProofInfo } from '../../schema/seal-proof.ts';
import type { ProverWork } from '../../schema/stage.ts';
import { StageFailure } from '../failure.ts';

/** A prover stage with its files: `in/` has the inputs, `out/` takes the outputs under their artifact names. */
export type TaskRun = { readonly grant: Grant; readonly work: z.infer<typeof ProverWork>; readonly workDir: string };

export type StageTask = {
  readonly stage: ProcessorStage;
  /** Whether damocles' task can do this very work; else the prover does it. */
  readonly suits: (run: TaskRun) => boolean;
  /** Lays the files out as the task wants them; answers the task as JSON in one line. */
  readonly prepare: (run: TaskRun) => Promise<string>;
  /** Brings the files into place; answers the stage's result. Throws for an output that is not what was asked for. */
  readonly finish: (run: TaskRun, output: unknown) => Promise<Record<string, unknown>>;
};

export const inputPath = ({ workDir }: TaskRun, name: string): string => join(workDir, 'in', name);
export const outputPath = ({ workDir }: TaskRun, name: string): string => join(workDir, 'out', name);
export const hasInput = ({ grant }: TaskRun, name: string): boolean => grant.inputs.some((input) => input.name === name);
export const sectorBytes = ({ work }: TaskRun): number => sealProofInfo(work.sector.sealProof).sectorSizeBytes;

/** The name without the feature: synthetic sectors share parameters and labels with the usual ones. */
export const updateProofName = ({ work }: TaskRun): string => work.sector.sealProof.replace(/_1(?:_Feat_SyntheticPoRep)?$/, '');

/** Puts an input where an output of its name would be, without a copy. */
export async function linkInput(run: TaskRun, name: string): Promise<void> {
  await mkdir(dirname(outputPath(run, name)), { recursive: true });
  await link(inputPath(run, name), outputPath(run, name));
}

/** A file of zeros that takes no room. */
export async function zeros(path: string, sizeBytes: number): Promise<void> {
  const file = await open(path, 'w');
  await file.truncate(sizeBytes);
  await file.close();
}

/** The output in its shape. Throws when a processor answered something else. */
export function outputOf<T>(schema: z.ZodType<T>, output: unknown): T {
  const parsed = schema.safeParse(output);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new StageFailure(
    'internal',
    `the processor's output is not what damocles has for this stage (${issue?.path.join('.') || 'at the top'}: ${issue?.message}); correct the processor`,
  );
}
