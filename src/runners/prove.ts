/** A prover stage by whoever does it on this runner: an external processor, or the prover. */
import { type MadeOutput, type ProverStageRun, runProverStage } from './prover-stage.ts';
import type { ProcessorPool } from './processors/pool.ts';
import { processorTask, runProcessorStage } from './processors/processor-stage.ts';
import type { Executor } from './executor.ts';
import type { Turnstile } from './lanes.ts';
import { HEAVY } from '../schema/stage.ts';

/** What it takes of its agent. */
export type Provers = {
  readonly prover: string;
  readonly executor: Executor;
  readonly heavy: Turnstile;
  /** External processors, where the runner has any. */
  readonly processors?: ProcessorPool | undefined;
};

export type Proved = {
  readonly outputs: MadeOutput[];
  readonly result: Record<string, unknown>;
  /** damocles' name of the stage when a processor did it. */
  readonly processor: string | undefined;
};

/** Runs it to its end. `begun`: it waits for no other stage any more. Throws `StageFailure`. */
export async function prove(
  provers: Provers,
  run: Omit<ProverStageRun, 'program' | 'executor'>,
  begun: () => void = () => undefined,
): Promise<Proved> {
  const { prover: program, executor, heavy, processors } = provers;
  const { grant, work, progress, signal } = run;
  const task = processorTask(processors, run);
  const stage = async (): Promise<Proved> => {
    begun();
    progress.note(`running ${work.stage}${task === undefined ? '' : ' by an external processor'}`);
    if (processors === undefined || task === undefined)
      return { ...(await runProverStage({ ...run, program, executor })), processor: undefined };
    return { ...(await runProcessorStage(processors, task, run)), processor: task.stage };
  };
  // Processors have limits and locks of their own.
  if (!HEAVY.has(grant.stage) || task !== undefined) return stage();
  if (heavy.busy) progress.note('waiting for another heavy stage to end');
  return heavy.pass(signal, stage);
}
