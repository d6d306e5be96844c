/** `sealpool`: the long-running commands start here, all others are the command line on the HTTP API. */
import { parseArgs } from 'node:util';
import { EXIT, commandHelp, runCommand, tell } from '../cli/run.ts';
import { UsageError } from '../cli/command.ts';
import { SealpoolError } from '../schema/problem.ts';
import { type Config, loadConfig } from './config.ts';
import { connect } from './connect.ts';
import { VERSION } from './docs-files.ts';
import { lastingExit } from './runner-exit.ts';

const terminal = {
  out: (text: string): void => void process.stdout.write(`${text}\n`),
  err: (text: string): void => void process.stderr.write(`${text}\n`),
  // From the top left on; what is left of the drawing before is cleared.
  redraw: process.stdout.isTTY ? (text: string): void => void process.stdout.write(`\u001b[H\u001b[2J${text}\n`) : undefined,
};

/** Loaded when asked for: a short command starts without them. */
type Daemon = (config: Config) => Promise<void>;
const DAEMONS: Readonly<Record<string, { about: string; run: Daemon }>> = {
  dev: {
    about: 'control plane, dev chain and one local runner, supervised',
    run: async (config) => (await import('./dev.ts')).dev(config),
  },
  serve: { about: 'the control plane', run: async (config) => (await import('./serve.ts')).serve(config) },
  devnet: { about: 'the dev chain', run: async (config) => (await import('./devnet.ts')).devnet(config) },
  runner: { about: 'an agent that runs stages', run: async (config) => void (await (await import('./runner.ts')).runner(config)) },
};

function help(): string {
  return [
    'Sealpool seals Filecoin sectors on machines that are rented by the hour.',
    '',
    'Long-running (each with --data DIR, --port P, --config FILE; prints one JSON line when it serves)',
    ...Object.entries(DAEMONS).map(([name, { about }]) => `  ${name.padEnd(30)}${about}`),
    `  ${'restore FILE --data DIR'.padEnd(30)}puts a backup in the place of the database, while nothing runs on it`,
    '  dev and devnet also: --accept-replay (tests only) · runner also: --url URL --join-token-file FILE',
    '',
    ...commandHelp(),
    'What a command takes: `sealpool help sectors`, `sealpool sectors resume --help`. The version: `sealpool --version`.',
    'Every command also takes --url URL, --token-file FILE or --data DIR (which control plane), --config FILE,',
    '--json (the answer as it came) and --verbose (the same call for curl). A sector is s-t01000-7 or its job, j-….',
  ].join('\n');
}

function daemonConfig(name: string, args: string[]): Config {
  try {
    const { values } = parseArgs({
      args,
      strict: true,
      options: {
        data: { type: 'string' },
        port: { type: 'string' },
        config: { type: 'string' },
        url: { type: 'string' },
        'join-token-file': { type: 'string' },
        'accept-replay': { type: 'boolean' },
      },
    });
    const port = values.port === undefined ? undefined : Number(values.port);
    return loadConfig({
      flags: {
        data: values.data,
        config: values.config,
        url: values.url,
        'runner.join_token_file': values['join-token-file'],
        'devnet.accept_replay': values['accept-replay'],
        [name === 'devnet' ? 'devnet.port' : 'port']: port,
      },
    });
  } catch (error) {
    if (error instanceof SealpoolError) throw error;
    throw new UsageError(`${(error as Error).message}; \`sealpool help\` shows what ${name} takes`);
  }
}

async function states(): Promise<readonly string[]> {
  const { planTables } = await import('../scheduler/plans/all.ts');
  return [...new Set([...Object.values(planTables()).flatMap((table) => Object.keys(table)), 'Finished', 'Aborted'])];
}

/** All help, or with words that of the commands that begin with them. */
function tellHelp(words: readonly string[], code: number): number {
  try {
    terminal.out(words.length === 0 ? help() : commandHelp(words).join('\n'));
    return code;
  } catch (error) {
    return tell(error, terminal);
  }
}

async function main(argv: string[]): Promise<number> {
  const [first, ...rest] = argv;
  if (first === undefined || first === 'help' || first === '--help' || first === '-h') {
    return tellHelp(rest, first === undefined ? EXIT.usage : EXIT.done);
  }
  if (first === '--version' && rest.length === 0) {
    terminal.out(`sealpool ${VERSION}`);
    return EXIT.done;
  }
  const daemon = Object.hasOwn(DAEMONS, first) ? DAEMONS[first] : undefined;
  if (daemon === undefined && first !== 'restore') return runCommand(argv, connect, terminal, states);
  try {
    if (rest.includes('--help') || rest.includes('-h')) {
      terminal.out(help());
      return EXIT.done;
    }
    if (daemon === undefined) await (await import('./restore.ts')).restore(rest, terminal.out);
    else await daemon.run(daemonConfig(first, rest));
    return EXIT.done;
  } catch (error) {
    const code = tell(error, terminal);
    return (first === 'runner' ? lastingExit(error) : undefined) ?? code;
  }
}

process.exitCode = await main(process.argv.slice(2));
// A channel to a supervisor would keep the process alive after its work is done.
if (process.connected) process.disconnect();
