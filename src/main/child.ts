/** One supervised child process: started, restarted with back-off when it crashes, ended with the parent. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { ReadyLine } from './ready.ts';
import { sleep } from './machine.ts';

export type ChildOptions = {
  readonly name: string;
  /** Arguments after the program, made anew for each start. */
  readonly arguments: () => Promise<readonly string[]> | readonly string[];
  /** Added to the environment; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Its stderr, and what it prints besides its ready line, is appended here. */
  readonly logFile: string;
  /** One sentence about a start or an end. */
  readonly say: (sentence: string) => void;
};

const FIRST_WAIT_MS = 250;
const MOST_WAIT_MS = 10_000;
/** A child that served this long starts its back-off anew. */
const STEADY_MS = 30_000;
/** After SIGTERM a child has this long, then it is killed: longer than a runner takes for its last uploads, its stages' ends and its reports. */
const END_MS = 45_000;

/** Starts a child and keeps it running until `end`. */
export class SupervisedChild {
  readonly #options: ChildOptions;
  readonly #ending = new AbortController();
  readonly #running: Promise<void>;
  #process: ChildProcess | undefined;
  #markReady: (line: ReadyLine) => void = () => undefined;
  #markFailed: (error: Error) => void = () => undefined;
  /** The first ready line; rejects when the very first start fails. */
  readonly ready: Promise<ReadyLine>;

  constructor(options: ChildOptions) {
    this.#options = options;
    this.ready = new Promise((resolve, reject) => {
      this.#markReady = resolve;
      this.#markFailed = reject;
    });
    this.ready.catch(() => undefined);
    this.#running = this.#run();
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Asks it to end, and kills it when it does not. */
  async end(): Promise<void> {
    this.#ending.abort();
    const child = this.#process;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      const kill = setTimeout(() => child.kill('SIGKILL'), END_MS);
      await this.#running;
      clearTimeout(kill);
    }
    await this.#running;
  }

  async #run(): Promise<void> {
    let waitMs = FIRST_WAIT_MS;
    let served = false;
    while (!this.#ending.signal.aborted) {
      const startedMs = Date.now();
      const { why, wasReady } = await this.#once().catch((error: Error) => ({ why: error.message, wasReady: false }));
      served ||= wasReady;
      if (this.#ending.signal.aborted) return;
      if (!served) {
        this.#markFailed(new Error(`${this.#options.name} did not start (${why}); read ${this.#options.logFile}`));
        return;
      }
      if (Date.now() - startedMs > STEADY_MS) waitMs = FIRST_WAIT_MS;
      this.#options.say(`${this.#options.name} ended (${why}); it starts again in ${waitMs} ms`);
      await sleep(waitMs, this.#ending.signal);
      waitMs = Math.min(waitMs * 2, MOST_WAIT_MS);
    }
  }

  async #once(): Promise<{ why: string; wasReady: boolean }> {
    const args = await this.#options.arguments();
    if (this.#ending.signal.aborted) return { why: 'asked to', wasReady: false };
    const log = createWriteStream(this.#options.logFile, { flags: 'a', mode: 0o600 });
    // The channel makes a child notice that its parent is gone, even after a kill -9.
    const child = spawn(process.execPath, [...process.execArgv, ...args], {
      env: { ...process.env, ...this.#options.env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#process = child;
    let wasReady = false;
    child.stderr?.pipe(log, { end: false });
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on('line', (line) => {
        const ready = readyLine(line);
        if (ready === undefined) {
          log.write(`${line}\n`);
          return;
        }
        wasReady = true;
        this.#markReady(ready);
      });
    }
    const why = await new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('close', (code, signal) => resolve(signal === null ? `exit code ${code}` : signal));
    });
    log.end();
    return { why, wasReady };
  }
}

function readyLine(line: string): ReadyLine | undefined {
  if (!line.startsWith('{"ready":true')) return undefined;
  return JSON.parse(line) as ReadyLine;
}
