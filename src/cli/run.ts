/** The command line: finds the command, parses its options, runs it, and tells errors in a sentence with a stable exit code. */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util';
import { ApiError, type Sent, Unreachable, createClient } from '../api/client.ts';
import { type Command, type Session, UsageError, type Values } from './command.ts';
import { FLEET_COMMANDS } from './commands/fleet.ts';
import { INVENTORY_COMMANDS } from './commands/inventory.ts';
import { SECTOR_COMMANDS } from './commands/sectors.ts';
import { WORKER_COMMANDS } from './commands/workers.ts';
import { plain } from './text.ts';

const COMMANDS: readonly Command[] = [...SECTOR_COMMANDS, ...INVENTORY_COMMANDS, ...WORKER_COMMANDS, ...FLEET_COMMANDS];

/** Stable: scripts rely on them. */
export const EXIT = { done: 0, internal: 1, usage: 2, unreachable: 3, refused: 4, serverFailed: 5 } as const;

/** Where the control plane is, from flags, environment, file or data folder. */
export type Connect = (flags: Values) => { readonly url: string; readonly token: string | undefined };

export type Terminal = { readonly out: (text: string) => void; readonly err: (text: string) => void };

const SHARED: ParseArgsOptionsConfig = {
  json: { type: 'boolean' },
  verbose: { type: 'boolean', short: 'v' },
  help: { type: 'boolean', short: 'h' },
  url: { type: 'string' },
  'token-file': { type: 'string' },
  data: { type: 'string' },
  config: { type: 'string' },
};

/** The same request as a curl command; the token stays in the variable. */
export function asCurl({ method, url, body }: Sent): string {
  const quoted = (value: string): string => `'${value.replaceAll("'", "'\\''")}'`;
  const data = body === undefined ? '' : ` -H 'content-type: application/json' -d ${quoted(JSON.stringify(body))}`;
  const raw = method === 'POST' && body === undefined ? ' --data-binary @FILE' : '';
  return `curl -X ${method} -H "Authorization: Bearer $SEALPOOL_TOKEN"${data}${raw} ${quoted(url)}`;
}

/** Lines of help for the commands of the HTTP API. */
export function commandHelp(): string[] {
  return COMMANDS.map(({ words, takes, about }) => `  sealpool ${`${words} ${takes}`.trim()}\n      ${about}`);
}

/** Runs one command of the HTTP API; answers the exit code. */
export async function runCommand(argv: readonly string[], connect: Connect, terminal: Terminal): Promise<number> {
  try {
    const command = findCommand(argv);
    const { values, positionals } = parse(command, argv.slice(command.words.split(' ').length));
    if (values['help'] === true) {
      terminal.out(`sealpool ${`${command.words} ${command.takes}`.trim()}\n${command.about}`);
      return EXIT.done;
    }
    const [least, most] = command.positionals ?? [0, 0];
    if (positionals.length < least || positionals.length > most)
      throw new UsageError(
        `it takes ${least === most ? least : `${least} to ${most}`} arguments and got ${positionals.length}; type: sealpool ${command.words} ${command.takes}`,
      );
    await command.run(session(values, positionals, connect, terminal));
    return EXIT.done;
  } catch (error) {
    return tell(error, terminal);
  }
}

function findCommand(argv: readonly string[]): Command {
  const typed = argv.join(' ');
  const found = COMMANDS.find(({ words }) => typed === words || typed.startsWith(`${words} `));
  if (found !== undefined) return found;
  const words = argv.slice(0, argv.findIndex((word) => word.startsWith('-')) >>> 0).slice(0, 3);
  const near = COMMANDS.filter(({ words }) => words.split(' ')[0] === argv[0]).map(({ words }) => words);
  throw new UsageError(
    `there is no command \`sealpool ${plain(words.join(' '))}\`; ${near.length === 0 ? '`sealpool help` lists them' : `there are: ${near.join(', ')}`}`,
  );
}

function parse(command: Command, args: string[]): { values: Values; positionals: string[] } {
  try {
    const { values, positionals } = parseArgs({ args, options: { ...SHARED, ...command.options }, allowPositionals: true, strict: true });
    return { values: values as Values, positionals };
  } catch (error) {
    throw new UsageError(`${(error as Error).message.replace(/\.? ?$/, '')}; type: sealpool ${command.words} ${command.takes}`);
  }
}

function session(values: Values, positionals: string[], connect: Connect, terminal: Terminal): Session {
  const { url, token } = connect(values);
  const onSend = values['verbose'] === true ? { onSend: (sent: Sent) => terminal.err(asCurl(sent)) } : {};
  const json = values['json'] === true;
  return {
    client: createClient({ baseUrl: url, token, ...onSend }),
    values,
    positionals,
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
