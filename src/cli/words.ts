/** From what was typed to a command, its options and arguments. */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { type Command, UsageError, type Values } from './command.ts';
import { plain } from './text.ts';

/** Options that every command takes. */
export const SHARED: ParseArgsOptionsConfig = {
  json: { type: 'boolean' },
  verbose: { type: 'boolean', short: 'v' },
  help: { type: 'boolean', short: 'h' },
  url: { type: 'string' },
  'token-file': { type: 'string' },
  data: { type: 'string' },
  config: { type: 'string', short: 'c' },
};

/** Options of damocles' manager that stand before its words and name its own folders and port: read over. */
const READ_OVER = new Set(['home', 'net', 'conf-dir', 'listen']);

type Option = { readonly name: string; readonly type: 'string' | 'boolean' };

/** The option a token begins, among all commands' options; undefined: none of them. */
function optionOf(token: string, commands: readonly Command[]): Option | undefined {
  const all = [SHARED, ...commands.map(({ options }) => options ?? {})].flatMap((options) => Object.entries(options));
  const long = /^--([a-z][a-z-]*)(=|$)/.exec(token)?.[1];
  if (long !== undefined && READ_OVER.has(long)) return { name: long, type: 'string' };
  const short = /^-([A-Za-z])/.exec(token)?.[1];
  const found = all.find(([name, option]) => (long === undefined ? option.short === short : name === long));
  return found === undefined ? undefined : { name: found[0], type: found[1].type };
}

/** Whether an option's value is the next token and not in its own. */
function valueFollows(token: string, { type }: Option): boolean {
  return type === 'string' && !token.includes('=') && (token.startsWith('--') || token.length === 2);
}

/**
 * The command's words first, what stood between them after them: `worker -c FILE resume -i 0` becomes
 * `worker resume -c FILE -i 0`.
 */
export function wordsFirst(argv: readonly string[], commands: readonly Command[]): string[] {
  const words: string[] = [];
  const between: string[] = [];
  let at = 0;
  while (at < argv.length) {
    const token = argv[at] as string;
    if (token.startsWith('-')) {
      const option = optionOf(token, commands);
      if (option === undefined) break;
      const taken = argv.slice(at, at + (valueFollows(token, option) ? 2 : 1));
      if (!READ_OVER.has(option.name)) between.push(...taken);
      at += taken.length;
      continue;
    }
    const typed = [...words, token].join(' ');
    if (!commands.some(({ words: known }) => known === typed || known.startsWith(`${typed} `))) break;
    words.push(token);
    at += 1;
  }
  return [...words, ...between, ...argv.slice(at)];
}

/** The command whose words `argv` begins with; the longest, where one's words begin another's. */
export function findCommand(argv: readonly string[], commands: readonly Command[]): Command {
  const typed = argv.join(' ');
  const [found] = commands
    .filter(({ words }) => typed === words || typed.startsWith(`${words} `))
    .sort((one, other) => other.words.length - one.words.length);
  if (found !== undefined) return found;
  const words = argv.slice(0, argv.findIndex((word) => word.startsWith('-')) >>> 0).slice(0, 4);
  const near = commands.filter(({ words: known }) => known.split(' ')[0] === argv[0]).map(({ words: known }) => known);
  throw new UsageError(
    `there is no command \`sealpool ${plain(words.join(' '))}\`; ${near.length === 0 ? '`sealpool help` lists them' : `there are: ${near.join(', ')}`}`,
  );
}

/** Options and arguments of the command. Throws how it is typed. */
export function parseCommand(command: Command, args: readonly string[]): { values: Values; positionals: string[] } {
  const options = { ...SHARED, ...command.options };
  const flags = new Set(Object.entries(options).flatMap(([name, { type }]) => (type === 'boolean' ? [name] : [])));
  // Go programs take `--flag=false` as well.
  const plainArgs = args.map((arg) => {
    const [, name, value] = /^--([a-z-]+)=(true|false)$/.exec(arg) ?? [];
    return name === undefined || !flags.has(name) ? arg : value === 'true' ? `--${name}` : `--no-${name}`;
  });
  let parsed: { values: Values; positionals: string[] };
  try {
    parsed = parseArgs({ args: plainArgs, options, allowPositionals: true, strict: true, allowNegative: true }) as typeof parsed;
  } catch (error) {
    throw new UsageError(`${(error as Error).message.replace(/\.? ?$/, '')}; type: sealpool ${command.words} ${command.takes}`);
  }
  const { values, positionals } = parsed;
  const [least, most] = command.positionals ?? [0, 0];
  if (values['help'] !== true && (positionals.length < least || positionals.length > most))
    throw new UsageError(
      `it takes ${least === most ? least : `${least} to ${most}`} arguments and got ${positionals.length}; type: sealpool ${command.words} ${command.takes}`,
    );
  return { values, positionals };
}
