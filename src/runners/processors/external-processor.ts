/**
 * One external processor (damocles' protocol): a child process that stays. It writes `<stage> processor ready`,
 * gets `{"id":1,"task":…}` lines and answers `{"id":1,"err_msg":null,"output":…}` lines in any order.
 *
 * starting ─ ready line ─► ready ─ ends, hangs, is ended ─► down ─ after a while ─► starting
 *     └──── ends before, or not in time ────► down, and who waits for it is told why
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { z } from 'zod';
import type { Processor, ProcessorStage } from '../../schema/processor.ts';
import { StageFailure } from '../failure.ts';
import { Backoff, pause } from '../lanes.ts';
import type { Log } from '../options.ts';
import { killMarked, signalGroup } from '../processes.ts';
import { processorCommand, processorEnvironment } from './command.ts';
import { byteLines } from './lines.ts';

const Response = z.object({ id: z.number().int(), err_msg: z.string().nullish(), output: z.unknown() });
const LAST_WORDS_CHARS = 2_000;
/** Longer than a stage of a 64 GiB sector takes on a slow machine; `deadline_ms` says better. */
const USUAL_DEADLINE_MS: Readonly<Record<ProcessorStage, number>> = {
  add_pieces: 4 * 3_600_000,
  tree_d: 4 * 3_600_000,
  pc1: 24 * 3_600_000,
  pc2: 8 * 3_600_000,
  c2: 8 * 3_600_000,
  snap_prove: 8 * 3_600_000,
};

export type ProcessorHome = {
  /** In the log and in failures: `pc2 processor 1`. */
  readonly name: string;
  /** Its working folder, made when it starts; what it starts is found by it. */
  readonly folder: string;
  readonly prover: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly graceMs: number;
  readonly log: Log;
  /** It became ready, or could not be started (then with the reason). */
  readonly onChange: (failed?: StageFailure) => void;
};

/** A request on its way: `answer` as it ends for the asker; `settled` when the processor no longer works on it. */
export type SentRequest = { readonly answer: Promise<unknown>; readonly settled: Promise<void> };

type State = 'starting' | 'ready' | 'down' | 'ended';

type Waiting = {
  readonly resolve: (output: unknown) => void;
  readonly reject: (reason: unknown) => void;
  readonly settle: () => void;
  readonly onLine: (line: string) => void;
  readonly timer: NodeJS.Timeout;
  abandoned: { readonly reason: unknown } | undefined;
};

export class ExternalProcessor {
  readonly stage: ProcessorStage;
  readonly spec: Processor;
  readonly #home: ProcessorHome;
  readonly #stopping = new AbortController();
  readonly #waiting = new Map<number, Waiting>();
  #state: State = 'down';
  #child: ChildProcess | undefined;
  #lastId = 0;
  #answered = false;
  #lastWords = '';
  /** Why we ended it ourselves. */
  #endedFor: StageFailure | undefined;
  #life: Promise<void> = Promise.resolve();

  constructor(stage: ProcessorStage, spec: Processor, home: ProcessorHome) {
    this.stage = stage;
    this.spec = spec;
    this.#home = home;
  }

  get ready(): boolean {
    return this.#state === 'ready' && this.#endedFor === undefined;
  }

  get starting(): boolean {
    return this.#state === 'starting' && this.#endedFor === undefined;
  }

  /** It ended and is not to be started again. */
  get ended(): boolean {
    return this.#state === 'ended';
  }

  get inFlight(): number {
    return this.#waiting.size;
  }

  /** Starts it, and again whenever it ends. */
  start(): void {
    this.#life = this.#live();
  }

  /** Asks it to end, then ends it; resolves when nothing of it is left. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const { pid } = this.#child ?? {};
    if (pid !== undefined) {
      this.#child?.stdin?.end();
      signalGroup(pid, 'SIGTERM');
      const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), this.#home.graceMs);
      await this.#life;
      clearTimeout(timer);
    }
    await this.#life;
    await rm(this.#home.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Sends a task (JSON, in one line). Only to be called when it is ready. */
  send(task: string, signal: AbortSignal, onLine: (line: string) => void): SentRequest {
    const id = ++this.#lastId;
    let settle: () => void = () => undefined;
    const settled = new Promise<void>((resolve) => (settle = resolve));
    const deadlineMs = this.spec.deadline_ms ?? USUAL_DEADLINE_MS[this.stage];
    const late = (): void =>
      this.#end(
        new StageFailure('internal', `${this.#home.name} did not answer within ${deadlineMs / 1_000} s and was ended; look into its log`),
      );
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, settle, onLine, timer: setTimeout(late, deadlineMs), abandoned: undefined });
    });
    const abandon = (): void => this.#abandon(id, signal.reason);
    signal.addEventListener('abort', abandon, { once: true });
    void settled.then(() => signal.removeEventListener('abort', abandon));
    this.#child?.stdin?.write(`{"id":${id},"task":${task}}\n`);
    return { answer, settled };
  }

  async #live(): Promise<void> {
    const backoff = new Backoff(250, 30_000);
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      this.#answered = false;
      const { failure, wasReady } = await this.#oneLife();
      if (signal.aborted) break;
      if (!this.spec.auto_restart) {
        this.#state = 'ended';
        this.#home.onChange(new StageFailure(failure.code, `${failure.message}; it is not started again, since its auto_restart is off`));
        return;
      }
      if (!wasReady) this.#home.onChange(failure);
      if (this.#answered) backoff.reset();
      await pause(backoff.nextMs(), signal);
    }
    this.#state = 'ended';
  }

  /** From its start to its end. Everything in flight has failed when it resolves, with what it resolves with. */
  async #oneLife(): Promise<{ failure: StageFailure; wasReady: boolean }> {
    const { folder, log, name } = this.#home;
    this.#state = 'starting';
    this.#lastWords = '';
    this.#endedFor = undefined;
    const failure = await this.#run().catch((error: unknown) => cannotStart(name, error));
    const wasReady = (this.#state as State) === 'ready';
    this.#state = 'down';
    this.#child = undefined;
    for (const [id, { reject, abandoned }] of this.#waiting) {
      reject(abandoned === undefined ? failure : abandoned.reason);
      this.#forget(id);
    }
    await killMarked(folder);
    if (!this.#stopping.signal.aborted) log('error', failure.message, { processor: name });
    return { failure, wasReady };
  }

  async #run(): Promise<StageFailure> {
    const { folder, environment, prover } = this.#home;
    await mkdir(folder, { recursive: true });
    const [program, ...args] = processorCommand(this.spec, this.stage, prover, environment['PATH']);
    const env = processorEnvironment(this.spec, environment, folder);
    const child = spawn(program, args, { cwd: folder, env, detached: true, stdio: 'pipe' });
    this.#child = child;
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    const tooLate = setTimeout(() => {
      const seconds = this.spec.stable_wait / 1_000;
      this.#end(
        new StageFailure(
          'program_missing',
          `${this.#home.name} did not say within ${seconds} s that it is ready; raise its stable_wait if it needs longer`,
        ),
      );
    }, this.spec.stable_wait);
    const stray = (): void =>
      this.#end(new StageFailure('internal', `${this.#home.name} wrote a line without end and was ended; look into its log`));
    child.stdout?.on(
      'data',
      byteLines((line) => this.#said(line, tooLate), stray),
    );
    child.stdout?.once('end', () => signalGroup(child.pid as number, 'SIGKILL'));
    child.stderr?.on(
      'data',
      byteLines(
        (line) => this.#heard(line),
        () => undefined,
      ),
    );
    // One that ends without reading its request is judged by how it ended.
    child.stdin?.on('error', () => undefined);
    if (this.#stopping.signal.aborted) signalGroup(child.pid as number, 'SIGKILL');
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
      child.once('exit', (exitCode, exitSignal) => resolve([exitCode, exitSignal])),
    );
    clearTimeout(tooLate);
    signalGroup(child.pid as number, 'SIGKILL');
    for (const pipe of [child.stdin, child.stdout, child.stderr]) pipe?.destroy();
    return this.#endedFor ?? this.#howItEnded(code, signal);
  }

  #howItEnded(code: number | null, signal: NodeJS.Signals | null): StageFailure {
    const { name } = this.#home;
    const words = this.#lastWords.trim().slice(-500);
    const said = words === '' ? '' : `; its last words: ${words}`;
    const how = signal === null ? `code ${code}` : `${signal}`;
    if (this.#state !== 'ready')
      return new StageFailure('program_missing', `${name} ended with ${how} before it was ready; correct its bin, args and envs${said}`);
    // The kernel's answer to too much memory is SIGKILL.
    const memory = signal === 'SIGKILL';
    const why = memory ? ', most likely by the kernel because memory ran out' : '';
    return new StageFailure(memory ? 'out_of_memory' : 'internal', `${name} ended with ${how}${why}; all its requests failed${said}`);
  }

  #said(line: string, tooLate: NodeJS.Timeout): void {
    if (this.#state === 'starting' && line.trim() === `${this.stage} processor ready`) {
      clearTimeout(tooLate);
      this.#state = 'ready';
      this.#home.log('info', `${this.#home.name} is ready`);
      this.#home.onChange();
      return;
    }
    const parsed = Response.safeParse(json(line));
    const waiting = parsed.success ? this.#waiting.get(parsed.data.id) : undefined;
    if (!parsed.success || waiting === undefined) {
      if (line.trim() !== '')
        this.#home.log('warn', `${this.#home.name} wrote what is no answer to a request`, { line: line.slice(0, 200) });
      return;
    }
    const { id, err_msg, output } = parsed.data;
    this.#answered = true;
    if (typeof err_msg === 'string') {
      waiting.reject(waiting.abandoned?.reason ?? new StageFailure('internal', `${this.#home.name} refused: ${err_msg}`));
    } else {
      waiting.resolve(output);
    }
    this.#forget(id);
    this.#endIfAbandoned();
  }

  #heard(line: string): void {
    this.#lastWords = `${this.#lastWords}${line}\n`.slice(-LAST_WORDS_CHARS);
    for (const { onLine } of this.#waiting.values()) onLine(line);
  }

  #forget(id: number): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(waiting?.timer);
    waiting?.settle();
  }

  /**
   * Nobody waits for this answer any more. The protocol cannot take a request back: as soon as nobody waits for any
   * other either, the process is ended; until then it goes on for the others and the place stays taken.
   */
  #abandon(id: number, reason: unknown): void {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    waiting.abandoned = { reason };
    if (!this.#endIfAbandoned()) waiting.reject(reason);
  }

  #endIfAbandoned(): boolean {
    const left = [...this.#waiting.values()];
    if (left.length === 0 || left.some(({ abandoned }) => abandoned === undefined)) return false;
    this.#end(new StageFailure('interrupted', `${this.#home.name} was ended, since its requests were taken back`));
    return true;
  }

  /** Ends the whole group; what is in flight fails with this. */
  #end(failure: StageFailure): void {
    this.#endedFor ??= failure;
    if (this.#child?.pid !== undefined) signalGroup(this.#child.pid, 'SIGKILL');
  }
}

function cannotStart(name: string, error: unknown): StageFailure {
  if (error instanceof StageFailure) return new StageFailure(error.code, `${name}: ${error.message}`);
  const { code, message } = error as NodeJS.ErrnoException;
  return new StageFailure('program_missing', `${name} cannot be started (${code ?? message}); install its program, or correct its bin`);
}

function json(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
