/**
 * Scripts for the shell that complete commands, options and values. They are made from the table that help and parser
 * read, hold everything themselves, and ask nobody while somebody types.
 */
import type { Command } from './command.ts';
import { EventType } from '../schema/event.ts';
import { PlanName } from '../schema/job.ts';
import { SealProof } from '../schema/seal-proof.ts';
import { SOURCES } from '../import/detect.ts';
import { FORMATS } from '../import/write.ts';
import { SHARED } from './words.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** What starts a process or help, beside the commands of the API: completed as a first word. */
const OTHER_WORDS = ['dev', 'serve', 'devnet', 'runner', 'restore', 'help'];

/** Values that can be told. `states`: of all plans, which the caller knows. */
function valuesOf(states: readonly string[]): Readonly<Record<string, readonly string[]>> {
  return {
    state: states,
    plan: PlanName.options,
    role: ['viewer', 'operator', 'admin'],
    trust: ['own', 'rented'],
    type: EventType.options,
    types: EventType.options,
    from: SOURCES,
    format: FORMATS,
    'seal-proof': SealProof.options,
    prefix: ['t', 'f'],
  };
}

/** Options whose value is a file or folder, and commands whose argument is a file. */
const FILE_OPTIONS = ['token-file', 'data', 'config', 'out', 'root'];
const FILE_COMMANDS = ['import', 'backup', 'pieces add', 'storage attach'];

export type Completions = {
  /** What may come after these words: the next words of commands. */
  readonly words: ReadonlyMap<string, readonly string[]>;
  /** Options by the words of their command, as typed: `--state`. */
  readonly options: ReadonlyMap<string, readonly string[]>;
  /** Options that take a value, as typed, with the values that can be told. */
  readonly values: ReadonlyMap<string, readonly string[]>;
  /** Letters of options: `--state` is `s`. */
  readonly letters: ReadonlyMap<string, string>;
  readonly fileOptions: readonly string[];
  readonly fileCommands: readonly string[];
};

/** What can be completed. */
export function completions(commands: readonly Command[], states: readonly string[]): Completions {
  const words = new Map<string, Set<string>>([['', new Set(OTHER_WORDS)]]);
  const values = new Map<string, readonly string[]>();
  const known = valuesOf(states);
  const letters = new Map<string, string>();
  const fileOptions: string[] = [];
  for (const command of commands) {
    const parts = command.words.split(' ');
    for (const [at, part] of parts.entries()) {
      const before = parts.slice(0, at).join(' ');
      words.set(before, (words.get(before) ?? new Set()).add(part));
    }
    for (const [name, { type, short }] of Object.entries({ ...command.options, ...SHARED })) {
      if (short !== undefined) letters.set(`--${name}`, short);
      if (type !== 'string') continue;
      for (const typed of [`--${name}`, ...(short === undefined ? [] : [`-${short}`])]) {
        values.set(typed, known[name] ?? []);
        if (FILE_OPTIONS.includes(name) && !fileOptions.includes(typed)) fileOptions.push(typed);
      }
    }
  }
  words.set('completion', new Set(SHELLS)).set('help', new Set([...(words.get('') ?? [])].filter((word) => word !== 'help')));
  const optionsOf = ({ options }: Command): string[] => Object.keys({ ...options, ...SHARED }).map((name) => `--${name}`);
  return {
    words: new Map([...words].map(([before, next]) => [before, [...next]])),
    options: new Map(commands.map((command) => [command.words, optionsOf(command)])),
    values,
    letters,
    fileOptions,
    fileCommands: FILE_COMMANDS,
  };
}
