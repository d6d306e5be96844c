/** Runs a vendor's tool for what it prints, for no longer than it is given, whatever it does. */
import { spawn } from 'node:child_process';
import { signalGroup } from './processes.ts';

/** More than any of the tools has to say. */
const MAX_CHARS = 256 * 1024;

export type ToolOptions = {
  /** Where it is looked for. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs: number;
};

/** What it wrote to stdout when it ended well; undefined: it is not installed, failed, or took too long. */
export function toolOutput(program: string, args: readonly string[], options: ToolOptions): Promise<string | undefined> {
  return new Promise((resolve) => {
    // A group of its own: a tool that hangs may have started others, which hold its pipe open.
    const child = spawn(program, args, { env: options.environment, detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
    let out = '';
    const end = (answer: string | undefined): void => {
      clearTimeout(timer);
      if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL');
      child.stdout.destroy();
      resolve(answer);
    };
    // A tool that waits for a broken driver cannot even be killed: nobody waits for its end.
    const timer = setTimeout(() => {
      child.unref();
      end(undefined);
    }, options.timeoutMs);
    child.once('error', () => end(undefined));
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
      if (out.length > MAX_CHARS) end(undefined);
    });
    child.once('close', (code) => end(code === 0 ? out : undefined));
  });
}
