/** The command line: finds the command, parses its options, runs it, and tells errors in a sentence with a stable exit code. */
import { ApiError, type Sent, Unreachable, createClient } from '../api/client.ts';
import { type Command, type Session, UsageError, type Values } from './command.ts';
import { BACKUP_COMMANDS } from './commands/backup.ts';
import { DAMOCLES_COMMANDS } from './commands/damocles.ts';
import { FETCH_COMMANDS } from './commands/fetch.ts';
import { PIECE_COMMANDS, RUNNER_COMMANDS, TOKEN_COMMANDS } from './commands/fleet.ts';
import { INVENTORY_COMMANDS } from './commands/inventory.ts';
import { PLEDGE_COMMANDS } from './commands/pledge.ts';
import { SECTOR_COMMANDS } from './commands/sectors.ts';
import { LIMIT_COMMAND, SETTINGS_COMMANDS } from './commands/settings.ts';
import { WEBHOOK_COMMANDS } from './commands/webhooks.ts';
import { WORKER_COMMANDS } from './commands/workers.ts';
import { plain } from './text.ts';
import { findCommand, parseCommand, wordsFirst } from './words.ts';

/** The commands as help groups them. */
const GROUPS: readonly (readonly [title: string, commands: readonly Command[]])[] = [
  ['Sectors', [...PLEDGE_COMMANDS, ...SECTOR_COMMANDS, ...FETCH_COMMANDS]],
  ['Sectors of other systems', INVENTORY_COMMANDS],
  ['Pieces', PIECE_COMMANDS],
  ['Workers and their sealing_threads', [...WORKER_COMMANDS, LIMIT_COMMAND]],
  ['Runners', RUNNER_COMMANDS],
  ['Settings, tokens and backups', [...SETTINGS_COMMANDS, ...TOKEN_COMMANDS, ...BACKUP_COMMANDS]],
  ['Webhooks', WEBHOOK_COMMANDS],
  ["As damocles' manager spells it", DAMOCLES_COMMANDS],
];
const COMMANDS: readonly Command[] = GROUPS.flatMap(([, commands]) => commands);

/** Stable: scripts rely on them. */
export const EXIT = { done: 0, internal: 1, usage: 2, unreachable: 3, refused: 4, serverFailed: 5 } as const;

/** Where the control plane is, from flags, environment, file or data folder. */
export type Connect = (flags: Values) => {
  readonly url: string;
  readonly token: string | undefined;
  /** The worker that the configuration file names, where that is one of damocles' worker. */
  readonly worker?: string | undefined;
};

export type Terminal = { readonly out: (text: string) => void; readonly err: (text: string) => void };

/** The same request as a curl command; the token stays in the variable. */
export function asCurl({ method, url, body }: Sent): string {
  const quoted = (value: string): string => `'${value.replaceAll("'", "'\\''")}'`;
  const data = body === undefined ? '' : ` -H 'content-type: application/json' -d ${quoted(JSON.stringify(body))}`;
  const raw = method === 'POST' && body === undefined ? ' --data-binary @FILE' : '';
  return `curl -X ${method} -H "Authorization: Bearer $SEALPOOL_TOKEN"${data}${raw} ${quoted(url)}`;
}

/** Help on the commands of the HTTP API: one line each; with words, in full those that begin with them. */
export function commandHelp(words: readonly string[] = []): string[] {
  const typed = words.join(' ');
  if (typed !== '') {
    const asked = COMMANDS.filter(({ words: known }) => known === typed || known.startsWith(`${typed} `));
    if (asked.length === 0) findCommand(words, COMMANDS);
    return asked.flatMap(usage);
  }
  const width = Math.max(...COMMANDS.map((command) => command.words.length)) + 2;
  return GROUPS.flatMap(([title, commands]) => [
    title,
    ...commands.map(({ words: known, about }) => `  ${known.padEnd(width)}${about}`),
    '',
  ]);
}

function usage({ words, takes, about }: Command): string[] {
  return [`sealpool ${`${words} ${takes}`.trim()}`, `    ${about}`];
}

/** Runs one command of the HTTP API; answers the exit code. */
export async function runCommand(argv: readonly string[], connect: Connect, terminal: Terminal): Promise<number> {
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
    else await command.run(session(values, positionals, connect, terminal));
    return EXIT.done;
  } catch (error) {
    return tell(error, terminal);
  }
}

function session(values: Values, positionals: string[], connect: Connect, terminal: Terminal): Session {
  const { url, token, worker } = connect(values);
  const onSend = values['verbose'] === true ? { onSend: (sent: Sent) => terminal.err(asCurl(sent)) } : {};
  const json = values['json'] === true;
  return {
    client: createClient({ baseUrl: url, token, ...onSend }),
    values,
    positionals,
    worker,
    json,
    show: (answer, text) => terminal.out(json ? JSON.stringify(answer, null, 2) : text(answer)),
    line: terminal.out,
  };
}

/** Tells an error on stderr; answers its exit code. */
export function tell(error: unknown, terminal: Terminal): number {
  if (error instanceof ApiError) {
    const { detail, code, requestId, status } = error.problem;
    terminal.err(`refused (${code}): ${plain(detail)}${requestId === undefined ? '' : ` [request ${requestId}]`}`);
    return status >= 500 ? EXIT.serverFailed : EXIT.refused;
  }
  if (error instanceof UsageError) terminal.err(error.message);
  else if (error instanceof Unreachable) terminal.err(error.message);
  else terminal.err(`sealpool failed: ${error instanceof Error ? error.message : String(error)}`);
  if (error instanceof UsageError) return EXIT.usage;
  return error instanceof Unreachable ? EXIT.unreachable : EXIT.internal;
}
