/** What a command is: words, options, and a function of a client. */
import type { ParseArgsOptionsConfig } from 'node:util';
import type { Client } from '../api/client.ts';
import type { Completions } from './completion.ts';

export type Values = Readonly<Record<string, string | boolean | undefined>>;

/** What a command gets to work with. */
export type Session = {
  readonly client: Client;
  readonly values: Values;
  readonly positionals: readonly string[];
  /** The worker that a configuration of damocles' worker names (`worker -c FILE`), if one was given. */
  readonly worker: string | undefined;
  /** Prints the answer as it came with --json, else as `text` makes it. */
  readonly show: <T>(answer: T, text: (answer: T) => string) => void;
  /** Prints one line at once, for what goes on. */
  readonly line: (text: string) => void;
  /** Prints one line beside the answer, on stderr. */
  readonly note: (text: string) => void;
  /** Draws over what it drew before; undefined where there is no terminal. */
  readonly redraw: ((text: string) => void) | undefined;
  readonly json: boolean;
  /** What a shell may complete. */
  readonly completions: () => Promise<Completions>;
};

export type Command = {
  /** `sectors list` */
  readonly words: string;
  /** What comes after the words. */
  readonly takes: string;
  readonly about: string;
  readonly options?: ParseArgsOptionsConfig;
  /** Fewest and most positional arguments. */
  readonly positionals?: readonly [number, number];
  /** It asks no control plane, so it works without a configuration too. */
  readonly alone?: boolean;
  run(session: Session): Promise<void>;
};

/** A command typed in a way that cannot be meant; says how it is typed. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** Somebody ended a command that waits for an end, before that came. */
export class Interrupted extends Error {
  constructor() {
    super('interrupted before the end that was waited for; the sector goes on');
    this.name = 'Interrupted';
  }
}

/** The job that was watched ended, and not as one watches for. */
export class EndedAborted extends Error {
  constructor(job: string) {
    super(`${job} ended in Aborted; \`sealpool sectors show ${job}\` has what led to it`);
    this.name = 'EndedAborted';
  }
}

/** A text option, or undefined. */
export function text(values: Values, name: string): string | undefined {
  const value = values[name];
  return typeof value === 'string' ? value : undefined;
}

/** A text option that must be given. */
export function needed(values: Values, name: string): string {
  const value = text(values, name);
  if (value === undefined) throw new UsageError(`--${name} is missing; give it a value`);
  return value;
}

/** A whole number of at least `least`. */
export function whole(value: string, what: string, least = 0): number {
  const number = Number(value);
  if (!/^[0-9]{1,16}$/.test(value) || !Number.isSafeInteger(number) || number < least)
    throw new UsageError(`${what} must be a whole number from ${least} on and not ${JSON.stringify(value)}; mend it`);
  return number;
}

/** The positional argument at `at`; the command's bounds have been checked. */
export function argument(positionals: readonly string[], at: number): string {
  return positionals[at] as string;
}
