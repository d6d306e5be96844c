/** A container that a stage runs in, held on to while its engine goes away, comes back or hangs: awaited, ended, removed. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { type CallLimit, type ContainerEngine, EngineError, NO_LIMIT } from './container-engine.ts';
import { pause } from './lanes.ts';

/** How long is borne with what an engine does not do. */
export type Patience = {
  /** With an engine that does not answer, while a container of ours may run in it. */
  readonly awayMs: number;
  /** With a container that does not end although it was killed; then it is removed by force. */
  readonly killMs: number;
  /** With the answer to a call that an engine does at once. */
  readonly answerMs: number;
};

export const PATIENCE: Patience = { awayMs: 5 * 60_000, killMs: 30_000, answerMs: 30_000 };

/** Between two tries of the same. */
const AGAIN_MS = 500;
/** Beyond its grace time, until a stop that is not answered becomes a kill. */
const STOP_ANSWER_MS = 2_000;
const REMOVE_TRIES = 5;

const Inspected = z.object({
  State: z.object({ Running: z.boolean(), Pid: z.number(), ExitCode: z.number(), OOMKilled: z.boolean().optional() }),
});

export type ContainerState = z.infer<typeof Inspected>['State'];

/** What the engine says of it now. */
export async function inspect(engine: ContainerEngine, id: string): Promise<ContainerState> {
  return Inspected.parse(await engine.call('GET', `/containers/${id}/json`)).State;
}

/** One container from its making to its removal. */
export class OwnContainer {
  readonly id: string;
  /** The engine went away while it ran: what it wrote meanwhile is lost. */
  wasAlone = false;
  readonly #engine: ContainerEngine;
  readonly #patience: Patience;
  /** Aborted when patience has run out; the reason says with what. */
  readonly #over = new AbortController();
  /** It is to be killed, or nothing is to be done to it any more. */
  readonly #hurry = new AbortController();
  readonly #timers = new Set<NodeJS.Timeout>();
  #away: NodeJS.Timeout | undefined;
  #killAtMs = Number.POSITIVE_INFINITY;
  #isEnding = false;
  #isClosed = false;

  constructor(engine: ContainerEngine, id: string, patience: Patience) {
    this.#engine = engine;
    this.id = id;
    this.#patience = patience;
  }

  /** Aborted when nothing more is to be waited for. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Has it end by itself within the grace time, then kills it. What the engine does not take is said again. */
  stop(graceMs: number): void {
    this.#end(graceMs);
  }

  /** Kills it; said again until it has ended. */
  kill(): void {
    this.#end(0);
    this.#hurry.abort();
  }

  /** Which an engine may need minutes for. */
  async start(): Promise<void> {
    await this.#ask('POST', '/start', { limitMs: this.#patience.awayMs, signal: this.over });
  }

  /**
   * How it ended, once it has. A connection that breaks says nothing of the container: the engine is asked again until it
   * answers or patience has run out, and while it says that the container runs, `onBack` is called and it is waited for anew.
   */
  async ended(onBack: () => Promise<void>): Promise<ContainerState> {
    for (;;) {
      const hasEnded = await this.#ask('POST', '/wait', { ...NO_LIMIT, signal: this.over }).then(() => true, unheard);
      this.wasAlone ||= hasEnded === undefined;
      const state = await this.#look();
      if (hasEnded === true || !state.Running) return state;
      await onBack();
      await pause(AGAIN_MS, this.over);
    }
  }

  /**
   * Removes it, which kills what runs in it; false when the engine did not do it in time. `mayRun`: an engine that does not
   * answer is waited for, since the machine is not free before.
   */
  async remove(mayRun: boolean): Promise<boolean> {
    for (let tries = 1; ; tries++) {
      try {
        await this.#ask('DELETE', '?force=1&v=1');
        return true;
      } catch (error) {
        if (error instanceof EngineError && error.status === 404) return true;
        const isPatient = mayRun && unanswered(error) && !this.over.aborted;
        const isSilent = !(error instanceof EngineError);
        if ((tries >= REMOVE_TRIES && !isPatient) || (isSilent && this.over.aborted)) return false;
      }
      await sleep(Math.min(tries * 200, 2_000));
    }
  }

  /** Nothing more is done to it. */
  close(): void {
    this.#isClosed = true;
    this.#hurry.abort();
    clearTimeout(this.#away);
    for (const timer of this.#timers) clearTimeout(timer);
  }

  #end(graceMs: number): void {
    this.#killAtMs = Math.min(this.#killAtMs, performance.now() + graceMs);
    this.#timers.add(setTimeout(() => this.#over.abort(new Error('it did not end the container')), graceMs + this.#patience.killMs));
    if (!this.#isEnding) void this.#insist();
    this.#isEnding = true;
  }

  async #insist(): Promise<void> {
    while (!this.#isClosed) {
      const leftMs = this.#killAtMs - performance.now();
      const said =
        leftMs > 0
          ? this.#ask('POST', `/stop?t=${Math.ceil(leftMs / 1000)}`, { limitMs: leftMs + STOP_ANSWER_MS, signal: this.#hurry.signal })
          : this.#ask('POST', '/kill?signal=SIGKILL', { signal: this.over });
      await said.catch(() => undefined);
      if (leftMs > 0) await pause(Math.min(AGAIN_MS, leftMs), this.#hurry.signal);
      else await sleep(AGAIN_MS);
    }
  }

  /** What the engine says of it, as soon as it says anything. */
  async #look(): Promise<ContainerState> {
    for (;;) {
      const told = await this.#ask('GET', '/json', { signal: this.over }).catch(unheard);
      if (told !== undefined) return Inspected.parse(told).State;
      await pause(AGAIN_MS, this.over);
      this.over.throwIfAborted();
    }
  }

  /** A call about it; from one that is not answered until one that is, the engine is away. */
  async #ask(method: 'GET' | 'POST' | 'DELETE', path: string, limit: CallLimit = {}): Promise<unknown> {
    try {
      const answer = await this.#engine.call(method, `/containers/${this.id}${path}`, undefined, limit);
      this.#heard();
      return answer;
    } catch (error) {
      if (!unanswered(error)) this.#heard();
      else if (!this.#isClosed && limit.signal?.aborted !== true) this.#missed();
      throw error;
    }
  }

  #heard(): void {
    clearTimeout(this.#away);
    this.#away = undefined;
  }

  #missed(): void {
    const { awayMs } = this.#patience;
    this.#away ??= setTimeout(() => this.#over.abort(new Error(`it did not answer for ${awayMs / 1000} s`)), awayMs);
  }
}

/** No answer, or one about the engine's own troubles. */
const unanswered = (error: unknown): boolean => !(error instanceof EngineError) || error.status >= 500;

/** Nothing is known after it. Throws what is an answer. */
function unheard(error: unknown): undefined {
  if (!unanswered(error)) throw error;
  return undefined;
}
