/** What an attempt says of itself in heartbeats, gathered from the stage's stderr. */
import { z } from 'zod';

const MAX_TAIL_CHARS = 8_000;
const MAX_NOTE_CHARS = 200;

const Line = z.discriminatedUnion('t', [
  z.object({ t: z.literal('progress'), fraction: z.number().min(0).max(1).optional(), secondsLeft: z.number().nonnegative().optional() }),
  z.object({ t: z.literal('log'), level: z.string(), msg: z.string() }),
  z.object({ t: z.literal('output'), name: z.string(), sizeBytes: z.string().optional(), hash: z.string().optional() }),
  z.object({ t: z.literal('skipped'), name: z.string() }),
]);

/** What a stage says of an output that is whole. */
export type WholeOutput = { readonly name: string; readonly sizeBytes: string; readonly hash: string };

/** One attempt's progress: how far, what it does, and the end of its log. */
export class Progress {
  #fraction: number | undefined;
  #secondsLeft: number | undefined;
  #note: string | undefined;
  #movedBytes = 0;
  #tail = '';
  /** Told of each output that is whole. */
  onOutput: ((output: WholeOutput) => void) | undefined;

  /** What the agent itself is doing for the attempt: fetching, waiting, running, sending. */
  note(text: string): void {
    this.#note = text;
    this.#movedBytes = 0;
  }

  /** Bytes that a transfer moved: in the note, so that one that goes on is seen to go on. */
  moved(bytes: number): void {
    this.#movedBytes += bytes;
  }

  /** A line of stderr: a JSON line of the protocol, or anything else, which is kept as it is. */
  line(line: string): void {
    const parsed = Line.safeParse(json(line));
    if (!parsed.success) {
      if (line.trim() !== '') this.#append(line);
      return;
    }
    const said = parsed.data;
    if (said.t === 'progress') {
      this.#fraction = said.fraction ?? this.#fraction;
      this.#secondsLeft = said.secondsLeft;
    } else {
      this.#append(said.t === 'log' ? `${said.level}: ${said.msg}` : `${said.t} ${said.name}`);
      if (said.t === 'output' && said.sizeBytes !== undefined && said.hash !== undefined)
        this.onOutput?.({ name: said.name, sizeBytes: said.sizeBytes, hash: said.hash });
    }
  }

  /** The fields of a heartbeat. */
  beat(): { fraction?: number; secondsLeft?: number; note?: string; logTail?: string } {
    return {
      ...(this.#fraction === undefined ? {} : { fraction: this.#fraction }),
      ...(this.#secondsLeft === undefined ? {} : { secondsLeft: this.#secondsLeft }),
      ...(this.#note === undefined ? {} : { note: this.#noteNow(this.#note) }),
      ...(this.#tail === '' ? {} : { logTail: this.#tail }),
    };
  }

  /** The last `chars` characters of the log, for a failure's message. */
  lastWords(chars: number): string {
    return this.#tail.slice(-chars).trim();
  }

  #noteNow(note: string): string {
    const mib = Math.floor(this.#movedBytes / 2 ** 20);
    const moved = mib === 0 ? '' : `, ${mib} MiB so far`;
    return note.slice(0, MAX_NOTE_CHARS - moved.length) + moved;
  }

  #append(text: string): void {
    this.#tail = `${this.#tail}${text}\n`.slice(-MAX_TAIL_CHARS);
  }
}

function json(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
