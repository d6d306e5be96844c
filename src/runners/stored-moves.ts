/** Moves of stored files that the control plane asks an agent for: one step after another, beside its stages. */
import type { StoredMove, StoredMoveAnswer } from '../schema/stored-move.ts';
import { moveFiles } from './move-files.ts';
import type { StorageRoot } from './options.ts';
import type { StorageWatch } from './storage-paths.ts';

/** Moves of one agent. Their answers are kept until the control plane has taken them. */
export class StoredMoves {
  readonly #roots: readonly StorageRoot[];
  readonly #watch: StorageWatch;
  readonly #onAnswer: () => void;
  readonly #stopping = new AbortController();
  readonly #answers: StoredMoveAnswer[] = [];
  #last: Promise<void> = Promise.resolve();

  constructor(roots: readonly StorageRoot[], watch: StorageWatch, onAnswer: () => void) {
    this.#roots = roots;
    this.#watch = watch;
    this.#onAnswer = onAnswer;
  }

  begin(moves: readonly StoredMove[]): void {
    for (const move of moves) this.#last = this.#last.then(() => this.#run(move));
  }

  /** Answers that the control plane has not taken yet. */
  unsent(): StoredMoveAnswer[] {
    return this.#answers.slice(0, 64);
  }

  sent(answers: readonly StoredMoveAnswer[]): void {
    for (const answer of answers) {
      const at = this.#answers.indexOf(answer);
      if (at >= 0) this.#answers.splice(at, 1);
    }
  }

  /** Ends what is copied; there is no answer to it, and the next process of this runner is asked for it again. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the runner is stopping'));
    await this.#last;
  }

  async #run({ files, ...about }: StoredMove): Promise<void> {
    const { signal } = this.#stopping;
    if (signal.aborted) return;
    const run = { move: { files, ...about }, roots: this.#roots, watch: this.#watch, signal };
    const came = (bad: StoredMoveAnswer['bad']): StoredMoveAnswer => ({
      ...about,
      outcome: bad.length === 0 ? 'done' : 'bad',
      bad,
      message: null,
    });
    const answer = await moveFiles(run)
      .then(came)
      .catch((error: unknown): StoredMoveAnswer => ({ ...about, outcome: 'failed', bad: [], message: messageOf(error) }));
    if (signal.aborted) return;
    this.#answers.push(answer);
    this.#onAnswer();
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).slice(0, 500);
