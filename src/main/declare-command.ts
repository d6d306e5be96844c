/** A command of the operator's that is told of stored files: JSON on its standard input, exit code 0 once they are seen. */
import { spawn } from 'node:child_process';
import type { Declare } from '../effects/declare.ts';
import { SealpoolError } from '../schema/problem.ts';
import { redacted } from '../schema/redacted.ts';

/** Kept of what it says. */
const SAID_CHARS = 4_096;
const TOLD_CHARS = 300;
/** Of our environment it gets no more: there may be keys in it. */
const PASSED_ON = ['PATH', 'HOME', 'LANG', 'TZ'];

const failed = (message: string): SealpoolError => new SealpoolError('unavailable', 'declare_command', message);

/** Runs `command` for each declaration, for `timeoutMs` at most; then it is killed and the declaration tried again. */
export function declareByCommand(
  command: readonly string[],
  timeoutMs: number,
  environment: Readonly<Record<string, string | undefined>>,
): Declare {
  const [program = '', ...args] = command;
  const env = Object.fromEntries(PASSED_ON.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])));
  return (declaration) =>
    new Promise((resolve, reject) => {
      const child = spawn(program, args, { env, stdio: ['pipe', 'ignore', 'pipe'], detached: true });
      let said = '';
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        // With whatever it started: its group.
        if (child.pid !== undefined) killGroup(child.pid);
      }, timeoutMs);
      child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-SAID_CHARS)));
      // One that ends without reading has its exit code looked at.
      child.stdin.on('error', () => undefined).end(`${JSON.stringify(declaration)}\n`);
      child.on('error', (error) => {
        clearTimeout(timer);
        reject(failed(`storage.command ${program} cannot be run (${error.message}); mend the key or the program`));
      });
      child.on('close', (code, signal) => {
        clearTimeout(timer);
        if (code === 0 && !late) return resolve();
        const how = late ? `took longer than ${timeoutMs} ms` : code === null ? `was ended by ${signal}` : `ended with code ${code}`;
        const last = redacted(said.trim().split('\n').at(-1) ?? '').slice(-TOLD_CHARS);
        return reject(failed(`storage.command ${program} ${how}${last === '' ? '' : `: ${last}`}; it is run again by itself`));
      });
    });
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}
