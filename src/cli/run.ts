/** The command line: finds the command, parses its options, runs it, and tells errors in a sentence with a stable exit code. */
import { ApiError, type Sent, Unreachable, createClient } from '../api/client.ts';
import { type Command, EndedAborted, Interrupted, type Session, UsageError, type Values } from './command.ts';
import { COMMANDS, COMMAND_GROUPS } from './command-table.ts';
import { completions } from './completion.ts';
import { asCurl } from './curl.ts';
import { plain } from './text.ts';
import { findCommand, parseCommand, wordsFirst } from './words.ts';

/** Stable: scripts rely on them. */
export const EXIT = { done: 0, internal: 1, usage: 2, unreachable: 3, refused: 4, serverFailed: 5, aborted: 7, interrupted: 130 } as const;

/** Where the control plane is, from flags, environment, file or data folder. */
export type Connect = (flags: Values) => {
  readonly url: string;
  readonly token: string | undefined;
  /** The worker that the configuration file names, where that is one of damocles' worker. */
  readonly worker?: string | undefined;
  /** Why a token that is there was not sent, and what to do. */
  readonly withheld?: string | undefined;
};

export type Terminal = {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Draws over what it drew before; left out where stdout is no terminal. */
  readonly redraw?: ((text: string) => void) | undefined;
};

/** Help on the commands of the HTTP API: one line each; with words, in full those that begin with them. */
export function commandHelp(words: readonly string[] = []): string[] {
  const typed = words.join(' ');
  if (typed !== '') {
    const asked = COMMANDS.filter(({ words: known }) => known === typed || known.startsWith(`${typed} `));
    if (asked.length === 0) findCommand(words, COMMANDS);
    return asked.flatMap(usage);
  }
  const width = Math.max(...COMMANDS.map((command) => command.words.length)) + 2;
  return COMMAND_GROUPS.flatMap(([title, commands]) => [
    title,
    ...commands.map(({ words: known, about }) => `  ${known.padEnd(width)}${about}`),
    '',
  ]);
}

function usage({ words, takes, about }: Command): string[] {
  return [`sealpool ${`${words} ${takes}`.trim()}`, `    ${about}`];
}

/** The states of all plans, which the command line cannot know by itself. */
export type States = () => Promise<readonly string[]>;

/** Runs one command of the HTTP API; answers the exit code. */
export async function runCommand(
  argv: readonly string[],
  connect: Connect,
  terminal: Terminal,
  states: States = async () => [],
): Promise<number> {
  let withheld: string | undefined;
  try {
    const typed = wordsFirst(argv, COMMANDS);
    const flags = typed.findIndex((word) => word === '--help' || word === '-h');
    const words = typed.slice(0, Math.max(0, flags)).join(' ');
    // The first words of commands, as in `sealpool worker --help`.
    if (COMMANDS.some((command) => command.words.startsWith(`${words} `))) {
      terminal.out(commandHelp(words.split(' ')).join('\n'));
      return EXIT.done;
    }
    const command = findCommand(typed, COMMANDS);
    const { values, positionals } = parseCommand(command, typed.slice(command.words.split(' ').length));
    if (values['help'] === true) terminal.out(usage(command).join('\n'));
    else {
      const connected: ReturnType<Connect> = command.alone === true ? { url: 'http://localhost', token: undefined } : connect(values);
      ({ withheld } = connected);
      await command.run(session(values, positionals, connected, terminal, states));
    }
    return EXIT.done;
  } catch (error) {
    const json = argv.includes('--json');
    const code = tell(error, terminal, json);
    if (withheld !== undefined && !json && error instanceof ApiError && error.problem.status === 401) terminal.err(withheld);
    return code;
  }
}

function session(
  values: Values,
  positionals: string[],
  { url, token, worker }: ReturnType<Connect>,
  terminal: Terminal,
  states: States,
): Session {
  const onSend = values['verbose'] === true ? { onSend: (sent: Sent) => terminal.err(asCurl(sent, positionals[0])) } : {};
  const json = values['json'] === true;
  return {
    client: createClient({ baseUrl: url, token, ...onSend }),
    values,
    positionals,
    worker,
    json,
    show: (answer, text) => terminal.out(json ? JSON.stringify(answer, null, 2) : text(answer)),
    line: terminal.out,
    note: terminal.err,
    redraw: terminal.redraw,
    completions: async () => completions(COMMANDS, await states()),
  };
}

/** Errors whose message says it all. */
const TOLD = [UsageError, Unreachable, Interrupted, EndedAborted];

/** Tells an error on stderr, a refusal with `json` as its problem document; answers its exit code. */
export function tell(error: unknown, terminal: Terminal, json = false): number {
  if (error instanceof ApiError) {
    const { detail, code, requestId, status } = error.problem;
    if (json) terminal.err(JSON.stringify(error.problem));
    else terminal.err(`refused (${code}): ${plain(detail)}${requestId === undefined ? '' : ` [request ${requestId}]`}`);
    return status >= 500 ? EXIT.serverFailed : EXIT.refused;
  }
  if (TOLD.some((kind) => error instanceof kind)) terminal.err((error as Error).message);
  else terminal.err(`sealpool failed: ${error instanceof Error ? error.message : String(error)}`);
  if (error instanceof UsageError) return EXIT.usage;
  if (error instanceof Interrupted) return EXIT.interrupted;
  if (error instanceof EndedAborted) return EXIT.aborted;
  return error instanceof Unreachable ? EXIT.unreachable : EXIT.internal;
}
