/** The processors of a runner: which there are for its labels, and which of them takes a request when. */
import { join, resolve } from 'node:path';
import { type Processor, ProcessorStage, type Processors } from '../../schema/processor.ts';
import { StageFailure } from '../failure.ts';
import { ExternalProcessor, type ProcessorHome } from './external-processor.ts';
import { Locks } from './locks.ts';

export type PoolOptions = Omit<ProcessorHome, 'name' | 'folder' | 'onChange'> & { readonly dataDir: string };

export type ProcessorRequest = {
  readonly stage: ProcessorStage;
  /** The task as JSON in one line. */
  readonly task: string;
  readonly signal: AbortSignal;
  /** Lines of the processor's stderr meanwhile. */
  readonly onLine: (line: string) => void;
};

type Queued = {
  readonly request: ProcessorRequest;
  readonly take: (answer: Promise<unknown>) => void;
  readonly refuse: (reason: unknown) => void;
};

export class ProcessorPool {
  readonly #all: readonly ExternalProcessor[];
  readonly #locks: Locks;
  /** Requests that wait for a place or a lock, in the order of asking. */
  readonly #queue = new Set<Queued>();

  /** Starts the processors that this runner's labels allow. */
  constructor(table: Processors, labels: readonly string[], options: PoolOptions) {
    this.#locks = new Locks(table.ext_locks);
    const mine = ({ label }: Processor): boolean => label === undefined || labels.includes(label);
    this.#all = ProcessorStage.options.flatMap((stage) =>
      table[stage].filter(mine).map((spec, at) => {
        const home = {
          ...options,
          name: `${stage} processor ${at + 1}`,
          folder: resolve(join(options.dataDir, 'work', `processor-${stage}-${at + 1}`)),
          onChange: (failed?: StageFailure) => this.#changed(stage, failed),
        };
        return new ExternalProcessor(stage, spec, home);
      }),
    );
    for (const processor of this.#all) processor.start();
  }

  /** Whether a processor of this runner does the stage. */
  has(stage: ProcessorStage): boolean {
    return this.#of(stage).length > 0;
  }

  /** The output of the request. Throws `StageFailure`, or the signal's reason. */
  async run(request: ProcessorRequest): Promise<unknown> {
    request.signal.throwIfAborted();
    return new Promise((resolveAnswer, reject) => {
      const leave = (): void => {
        this.#queue.delete(queued);
        reject(request.signal.reason);
      };
      const over = (): void => {
        this.#queue.delete(queued);
        request.signal.removeEventListener('abort', leave);
      };
      const queued: Queued = {
        request,
        take: (answer) => {
          over();
          resolveAnswer(answer);
        },
        refuse: (reason) => {
          over();
          reject(reason);
        },
      };
      request.signal.addEventListener('abort', leave, { once: true });
      this.#queue.add(queued);
      this.#hand();
    });
  }

  /** Ends all of them. */
  async stop(): Promise<void> {
    await Promise.all(this.#all.map((processor) => processor.stop()));
  }

  #of(stage: ProcessorStage): ExternalProcessor[] {
    return this.#all.filter((processor) => processor.stage === stage);
  }

  /** One became ready; or could not start: who waits for its stage is told, unless another one does it, or may in a moment. */
  #changed(stage: ProcessorStage, failed: StageFailure | undefined): void {
    const others = this.#of(stage).some(({ ready, starting }) => ready || starting);
    if (failed !== undefined && !others) {
      for (const { request, refuse } of this.#queue) if (request.stage === stage) refuse(failed);
    }
    this.#hand();
  }

  /** Hands out whatever has its place and its locks, in the order of asking. */
  #hand(): void {
    for (const queued of this.#queue) {
      const { stage, task, signal, onLine } = queued.request;
      const all = this.#of(stage);
      if (all.every(({ ended }) => ended)) {
        queued.refuse(new StageFailure('program_missing', `no ${stage} processor runs any more; see the runner's log and start it again`));
        continue;
      }
      const able = all.filter(
        ({ ready, inFlight, spec }) => ready && inFlight < (spec.concurrent ?? Number.POSITIVE_INFINITY) && this.#locks.areFree(spec.locks),
      );
      const chosen = byWeight(able);
      if (chosen === undefined) continue;
      const giveBack = this.#locks.take(chosen.spec.locks);
      const { answer, settled } = chosen.send(task, signal, onLine);
      void settled.then(() => {
        giveBack();
        this.#hand();
      });
      queued.take(answer);
    }
  }
}

/** One of them at random, each as often as its weight says. */
function byWeight(able: readonly ExternalProcessor[]): ExternalProcessor | undefined {
  let left = Math.random() * able.reduce((sum, { spec }) => sum + spec.weight, 0);
  return able.find(({ spec }) => (left -= spec.weight) < 0) ?? able.at(-1);
}
