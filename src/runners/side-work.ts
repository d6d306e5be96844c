/** What an agent does beside its stages when the control plane asks for it: self-tests, checks of stored files and their moves. */
import type { NextAnswer, NextRequest, Speeds } from '../schema/runner.ts';
import type { AttemptContext } from './attempt.ts';
import { DiskLimit } from './disk-limit.ts';
import { SelfTests } from './self-tests.ts';
import { StoredChecks } from './stored-checks.ts';
import { StoredMoves } from './stored-moves.ts';

/** Answers, as `next` takes them along. */
export type SideAnswers = Pick<NextRequest, 'tests' | 'checked' | 'moved'>;

export class SideWork {
  readonly #tests: SelfTests;
  readonly #checks: StoredChecks;
  readonly #moves: StoredMoves;

  /** `onAnswer`: something is there to be told; `storageBytesPerS`: most that checks and moves load a path, undefined: as they can. */
  constructor(context: () => AttemptContext, onAnswer: () => void, storageBytesPerS?: number) {
    const { storage, watch } = context();
    const limit = new DiskLimit(storageBytesPerS);
    this.#tests = new SelfTests(context, onAnswer);
    this.#checks = new StoredChecks(storage, watch, limit, onAnswer);
    this.#moves = new StoredMoves(storage, watch, limit, onAnswer);
  }

  /** What the machine does, measured with the first self-test. */
  get speeds(): Speeds | undefined {
    return this.#tests.speeds;
  }

  get untold(): boolean {
    return this.#tests.unsent().length + this.#checks.unsent().length + this.#moves.unsent().length > 0;
  }

  /** Answers that the control plane has not taken yet. */
  unsent(): SideAnswers {
    const tests = this.#tests.unsent();
    const checked = this.#checks.unsent();
    const moved = this.#moves.unsent();
    return {
      ...(tests.length === 0 ? {} : { tests }),
      ...(checked.length === 0 ? {} : { checked }),
      ...(moved.length === 0 ? {} : { moved }),
    };
  }

  /** The control plane took `answers`, and answered. */
  settle({ tests = [], checked = [], moved = [] }: SideAnswers, answer: NextAnswer): void {
    this.#tests.sent(tests);
    this.#checks.sent(checked);
    this.#moves.sent(moved);
    this.#checks.begin(answer.checks ?? []);
    this.#moves.begin(answer.moves ?? []);
    this.#tests.begin(answer.tests ?? []);
  }

  /** Ends what runs; there is no answer to it. */
  async stop(): Promise<void> {
    await this.#tests.stop();
    await this.#checks.stop();
    await this.#moves.stop();
  }
}
