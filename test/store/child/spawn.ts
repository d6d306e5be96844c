/** Starts the writer and waits for what it prints. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';

const WRITER = join(import.meta.dirname, 'writer.ts');

export type Writer = {
  readonly process: ChildProcessWithoutNullStreams;
  /** Numbers whose commit was reported durable. */
  readonly durable: number[];
  /** Resolves when this line was printed; rejects when the process ended before. */
  printed(line: string): Promise<void>;
  /** Exit code (null when killed) and what it wrote to stderr. */
  ended(): Promise<{ code: number | null; stderr: string }>;
};

/** Runs the writer, under `prefix` (strace and its arguments) when given; it is killed with the test. */
export function startWriter(
  args: readonly [path: string, count: number, how: 'together' | 'one-by-one'],
  prefix: readonly string[] = [],
): Writer {
  const [command = '', ...rest] = [...prefix, process.execPath, WRITER, args[0], String(args[1]), args[2]];
  // A process group of its own: killing strace alone would leave what it traces running.
  const child = spawn(command, rest, { detached: true });
  const exit = once(child, 'close') as Promise<[number | null]>;
  onTestFinished(() => {
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const lines = new Set<string>();
  const durable: number[] = [];
  const heard: (() => void)[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.add(line);
    if (line.startsWith('durable ')) durable.push(Number(line.slice('durable '.length)));
    for (const wake of heard.splice(0)) wake();
  });
  return {
    process: child,
    durable,
    async printed(line) {
      let over = false;
      const gone = exit.then(() => {
        over = true;
      });
      while (!lines.has(line)) {
        if (over) throw new Error(`the writer ended without “${line}”: ${stderr}`);
        await Promise.race([new Promise<void>((resolve) => heard.push(resolve)), gone]);
      }
    },
    async ended() {
      const [code] = await exit;
      return { code, stderr };
    },
  };
}
