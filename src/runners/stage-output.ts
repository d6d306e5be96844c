/** What a stage writes: its answer on stdout, which is collected, and lines on stderr, which are passed on. */
import { StringDecoder } from 'node:string_decoder';

const MAX_ANSWER_CHARS = 8 * 2 ** 20;
const MAX_LINE_CHARS = 64 * 1024;

/** Collects stdout; `onTooMuch` is called once when it is more than an answer can have. */
export class AnswerText {
  /** Null when there was more than an answer can have. */
  text: string | null = '';
  readonly #decoder = new StringDecoder('utf8');
  readonly #onTooMuch: () => void;

  constructor(onTooMuch: () => void) {
    this.#onTooMuch = onTooMuch;
  }

  add(bytes: Buffer): void {
    if (this.text === null) return;
    this.text += this.#decoder.write(bytes);
    if (this.text.length <= MAX_ANSWER_CHARS) return;
    this.text = null;
    this.#onTooMuch();
  }
}

/** Calls `onLine` per line; what is longer than a line may be is cut. */
export function lineSplitter(onLine: (line: string) => void): (bytes: Buffer) => void {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  return (bytes) => {
    const lines = (rest + decoder.write(bytes)).split('\n');
    rest = (lines.pop() as string).slice(0, MAX_LINE_CHARS);
    for (const line of lines) onLine(line.slice(0, MAX_LINE_CHARS));
  };
}
