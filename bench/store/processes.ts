/** The programs as they are: `sealpool devnet` and `sealpool serve`, on free ports of this machine. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const SEALPOOL = join(import.meta.dirname, '../../bin/sealpool');

export interface Running {
  readonly url: string;
  readonly tokenFile: string;
  /** From the start of the process to its ready line. */
  readonly readyMs: number;
  /** SIGTERM: it ends in order. SIGKILL: as at a power cut. */
  stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

/** Starts a command of ours with its data in a folder, and waits for its ready line. */
export function start(command: 'serve' | 'devnet', data: string, env: Record<string, string>): Promise<Running> {
  return startProgram(SEALPOOL, [command, '--data', data, '--port', '0'], env);
}

/** Starts a program that prints a ready line once it serves. */
export function startProgram(program: string, args: readonly string[], env: Record<string, string>): Promise<Running> {
  const startedMs = performance.now();
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.once('close', (code) => reject(new Error(`${program} ${args[0]} ended with ${code}; what it printed stands above`)));
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (!line.startsWith('{"ready":true')) return;
      const { url, tokenFile } = JSON.parse(line) as { url: string; tokenFile: string };
      resolve({ url, tokenFile, readyMs: performance.now() - startedMs, stop: (signal) => stop(child, signal) });
    });
  });
}

function stop(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  return new Promise((resolve) => {
    child.once('close', () => resolve());
    child.kill(signal);
  });
}
