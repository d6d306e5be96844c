/** What stages leave behind: processes on this machine, also those in containers, and an agent that was killed beside one. */
import { spawn } from 'node:child_process';
import { mkdir, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { ExecutorWish } from './open-wish.ts';

let given = 0;

/** A number of seconds that no other test sleeps for, by which its processes are known. */
export function uniqueSeconds(): string {
  given += 1;
  return `${100_000 + (process.pid % 100_000)}.${Date.now()}${given}`;
}

/** Processes with these seconds in their command: what sleeps for so long, and the shells that are about to. */
export async function traces(seconds: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^[0-9]+$/.test(name));
  const commands = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return commands.filter((command) => command.includes(seconds));
}

/** Another process opens the executor and runs a script; answers once that has said `ready`. */
export async function runAsCrashingAgent(wish: ExecutorWish, workDir: string, script: string): Promise<{ kill(): Promise<void> }> {
  await mkdir(join(workDir, 'out'), { recursive: true });
  const program = join(import.meta.dirname, 'crashing-agent.ts');
  const child = spawn(process.execPath, [program, JSON.stringify(wish), workDir, script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const lines = createInterface({ input: child.stdout });
  const ready = new Promise<void>((resolve) => lines.on('line', (line) => line === 'ready' && resolve()));
  const early = ended.then(() => {
    throw new Error('the agent that was to be killed ended by itself');
  });
  await Promise.race([ready, early]);
  early.catch(() => undefined);
  return {
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
