/** What an agent does one after another beside its stages: each answer is kept until the control plane has taken it. */

/** Answers that go along with one call. */
const MOST_TOLD = 64;

/** Errands of one kind. */
export class Errands<Asked, Answer> {
  readonly #run: (asked: Asked, signal: AbortSignal) => Promise<Answer>;
  readonly #onAnswer: () => void;
  readonly #stopping = new AbortController();
  readonly #answers: Answer[] = [];
  #last: Promise<void> = Promise.resolve();

  /** `run` never rejects but when the signal has fired; `onAnswer`: something is there to be told. */
  constructor(run: (asked: Asked, signal: AbortSignal) => Promise<Answer>, onAnswer: () => void) {
    this.#run = run;
    this.#onAnswer = onAnswer;
  }

  begin(all: readonly Asked[]): void {
    for (const asked of all) this.#last = this.#last.then(() => this.#one(asked));
  }

  /** Answers that the control plane has not taken yet. */
  unsent(): Answer[] {
    return this.#answers.slice(0, MOST_TOLD);
  }

  sent(answers: readonly Answer[]): void {
    for (const answer of answers) {
      const at = this.#answers.indexOf(answer);
      if (at >= 0) this.#answers.splice(at, 1);
    }
  }

  /** Ends what runs; there is no answer to it, and the next process of this runner is asked for it again. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the runner is stopping'));
    await this.#last;
  }

  async #one(asked: Asked): Promise<void> {
    const { signal } = this.#stopping;
    if (signal.aborted) return;
    const answer = await this.#run(asked, signal);
    if (signal.aborted) return;
    this.#answers.push(answer);
    this.#onAnswer();
  }
}
