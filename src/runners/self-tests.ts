/** Self-tests that the control plane asks for: run one after another like stages, in folders of their own, without a transfer. */
import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Grant, Speeds } from '../schema/runner.ts';
import type { SelfTest, SelfTestAnswer } from '../schema/self-test.ts';
import type { AttemptContext } from './attempt.ts';
import { StageFailure, asFailure } from './failure.ts';
import { processorTask } from './processors/processor-stage.ts';
import { Progress } from './progress.ts';
import { prove } from './prove.ts';
import { measureSpeeds } from './speeds.ts';
import { dropWorkFolder, makeWorkFolder, workFolder } from './work-folders.ts';

/** Of a 2 KiB sector nothing is larger. */
const MAX_OUTPUT_BYTES = 2 ** 20;

export class SelfTests {
  readonly #context: () => AttemptContext;
  /** An answer is there. */
  readonly #onAnswer: () => void;
  readonly #answers = new Map<string, SelfTestAnswer>();
  readonly #stopping = new AbortController();
  #last: Promise<void> = Promise.resolve();
  /** Measured with the first test, before it: what is fast while nothing else runs. */
  #speeds: Speeds | undefined;

  constructor(context: () => AttemptContext, onAnswer: () => void) {
    this.#context = context;
    this.#onAnswer = onAnswer;
  }

  get speeds(): Speeds | undefined {
    return this.#speeds;
  }

  begin(tests: readonly SelfTest[]): void {
    for (const test of tests) this.#last = this.#last.then(() => this.#run(test));
  }

  /** Answers that the control plane has not taken yet. */
  unsent(): SelfTestAnswer[] {
    return [...this.#answers.values()].slice(0, 16);
  }

  sent(answers: readonly SelfTestAnswer[]): void {
    for (const { id } of answers) this.#answers.delete(id);
  }

  /** Ends what runs; there is no answer to it. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the runner is stopping'));
    await this.#last;
  }

  async #run(test: SelfTest): Promise<void> {
    const { signal } = this.#stopping;
    if (signal.aborted) return;
    const { dataDir, log } = this.#context();
    this.#speeds ??= await measureSpeeds(dataDir, Date.now());
    let startedMs = performance.now();
    // What it waits for real work that takes the whole machine says nothing of how fast that is.
    const begun = (): void => void (startedMs = performance.now());
    const answer = await this.#answer(test, begun).catch((error: unknown): SelfTestAnswer => {
      const { code, message } = asFailure(error, 'out_of_disk');
      return { outcome: 'failed', id: test.id, durationMs: 0, code, message: message.slice(0, 1_900) };
    });
    if (signal.aborted) return;
    const durationMs = Math.round(performance.now() - startedMs);
    this.#answers.set(test.id, { ...answer, durationMs });
    log('info', 'self-test ended', { attempt: test.id, stage: test.stage, durationMs, outcome: answer.outcome });
    this.#onAnswer();
  }

  async #answer(test: SelfTest, begun: () => void): Promise<SelfTestAnswer> {
    const context = this.#context();
    const workDir = workFolder(context.dataDir, test.id);
    let differs = false;
    try {
      await makeWorkFolder(workDir);
      for (const { name, content, hash } of test.inputs) {
        const path = join(workDir, 'in', name);
        await mkdir(dirname(path), { recursive: true });
        const bytes = Buffer.from(content, 'base64');
        differs ||= `sha256:${createHash('sha256').update(bytes).digest('hex')}` !== hash;
        await writeFile(path, bytes);
      }
      const run = { grant: grantOf(test), work: test.work, workDir, progress: new Progress(), signal: this.#stopping.signal };
      // The prover compares inputs with their hashes, processors are not told of them.
      if (differs && processorTask(context.processors, run) !== undefined) {
        throw new StageFailure('input_differs', 'an input of the self-test has another hash than the test says');
      }
      const { outputs, result } = await prove(context, run, begun);
      const made = outputs.map(({ slot, sizeBytes, hash }) => ({ name: slot.name, sizeBytes: String(sizeBytes), hash }));
      return { outcome: 'done', id: test.id, durationMs: 0, outputs: made, result };
    } finally {
      await dropWorkFolder(workDir).catch((error: unknown) => context.log('error', `cannot remove ${workDir}: ${String(error)}`));
    }
  }
}

/** The test as a grant: nothing is fetched, and nothing is sent. */
function grantOf({ id, stage, work, inputs, outputs }: SelfTest): Grant {
  return {
    attempt: id,
    epoch: 1,
    stage,
    work,
    inputs: inputs.map(({ name, sizeBytes, hash }) => ({ name, sizeBytes, hash, url: '' })),
    outputs: outputs.map((name) => ({ name, maxSizeBytes: String(MAX_OUTPUT_BYTES), partSizeBytes: 1, partUrls: [], required: true })),
    leaseMs: 0,
  };
}
