/**
 * Lanes in a thread of their own. TLS, sums and copies of one download fill a core, and what else runs on the machine takes its share
 * of that core; in two threads a download has two. What to ask for, what an answer means and what is tried again is decided outside.
 */
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { errnoOf } from './failure.ts';
import { unlessAborted } from './lanes.ts';
import { type Head, RangeLane, Unframed } from './range-lane.ts';
import { Enough, type Lane, type Sink, type Target, intoSink } from './range-sink.ts';

/** What such a thread is told that it is. */
export const LANE_THREAD = 'sealpool-lanes';

type Order =
  | { readonly kind: 'get'; readonly lane: number; readonly url: string; readonly headers: Readonly<Record<string, string>> }
  | { readonly kind: 'begin'; readonly lane: number; readonly sink: Sink }
  | { readonly kind: 'abort' | 'close'; readonly lane: number };

type Word =
  | { readonly kind: 'head'; readonly lane: number; readonly head: Head }
  | { readonly kind: 'moved'; readonly lane: number; readonly bytes: number; readonly sum: number }
  | { readonly kind: 'refused'; readonly lane: number; readonly status: number; readonly body: string }
  | { readonly kind: 'whole'; readonly lane: number }
  | { readonly kind: 'failed'; readonly lane: number; readonly error: Failed };

/** An error on its way between threads. */
type Failed = { readonly is: 'enough' | 'unframed' | 'other'; readonly message: string; readonly code: string | undefined };

export class LaneThread {
  readonly #worker: Worker;
  readonly #listeners = new Map<number, (word: Word) => void>();
  #lanes = 0;
  #gone: string | undefined;

  /** Connections that give no byte for `stallMs` are broken off. `file`: this module, or what it was bundled into. */
  constructor(stallMs: number, file = new URL(import.meta.url)) {
    this.#worker = new Worker(file, { workerData: { role: LANE_THREAD, stallMs } });
    this.#worker.on('message', (word: Word) => this.#listeners.get(word.lane)?.(word));
    this.#worker.once('error', (error) => this.#end(String(error))).once('exit', () => this.#end('it ended'));
  }

  /** Another connection in this thread. */
  lane(): Lane {
    const lane = this.#lanes++;
    return {
      get: (url, headers, signal, target) => this.#get(lane, { url, headers }, signal, target),
      close: () => this.#order({ kind: 'close', lane }),
    };
  }

  /** Ends the thread; not while a lane is used. */
  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  async #get(
    lane: number,
    ask: { url: string; headers: Readonly<Record<string, string>> },
    signal: AbortSignal,
    target: Target,
  ): Promise<void> {
    signal.throwIfAborted();
    const abort = (): void => this.#order({ kind: 'abort', lane });
    try {
      await new Promise<void>((resolve, reject) => {
        let refused: { readonly error: unknown } | undefined;
        this.#listeners.set(lane, (word) => {
          if (word.kind === 'moved') target.moved(word.bytes, word.sum);
          else if (word.kind === 'whole' && refused === undefined) resolve();
          else if (word.kind === 'whole') reject(refused?.error);
          else if (word.kind === 'refused') reject(target.refuse(word.status, word.body));
          // The thread is told to end it, and says when it has: only then does it write no more.
          else if (word.kind === 'failed') reject(refused === undefined ? errorOf(word.error) : refused.error);
          else {
            try {
              this.#order({ kind: 'begin', lane, sink: target.begin(word.head) });
            } catch (error) {
              refused = { error };
              abort();
            }
          }
        });
        if (this.#gone !== undefined) this.#fail(lane);
        signal.addEventListener('abort', abort, { once: true });
        this.#order({ kind: 'get', lane, ...ask });
      });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
      this.#listeners.delete(lane);
    }
  }

  #order(order: Order): void {
    this.#worker.postMessage(order);
  }

  #end(why: string): void {
    this.#gone ??= why;
    for (const lane of this.#listeners.keys()) this.#fail(lane);
  }

  #fail(lane: number): void {
    const error = { is: 'other', message: `the thread of the download is gone: ${this.#gone}`, code: undefined } as const;
    this.#listeners.get(lane)?.({ kind: 'failed', lane, error });
  }
}

function failedOf(error: unknown): Failed {
  const is = error instanceof Enough ? 'enough' : error instanceof Unframed ? 'unframed' : 'other';
  return { is, message: error instanceof Error ? error.message : String(error), code: errnoOf(error) };
}

function errorOf({ is, message, code }: Failed): Error {
  if (is === 'enough') return new Enough();
  return is === 'unframed' ? new Unframed(message) : Object.assign(new Error(message), code === undefined ? {} : { code });
}

/** A refusal that its reader makes an error of. */
class Refusal extends Error {
  readonly status: number;
  readonly body: string;

  constructor(status: number, body: string) {
    super(`status ${status}`);
    this.status = status;
    this.body = body;
  }
}

/** One lane inside the thread. */
class Inside {
  readonly #lane: RangeLane;
  readonly #number: number;
  readonly #say: (word: Word) => void;
  #ending = new AbortController();
  #begin: (sink: Sink) => void = () => undefined;

  constructor(number: number, stallMs: number, say: (word: Word) => void) {
    this.#number = number;
    this.#lane = new RangeLane(stallMs);
    this.#say = say;
  }

  async get(url: string, headers: Readonly<Record<string, string>>): Promise<void> {
    const lane = this.#number;
    const { signal } = (this.#ending = new AbortController());
    const begun = new Promise<Sink>((resolve) => (this.#begin = resolve));
    const moved = (bytes: number, sum: number): void => this.#say({ kind: 'moved', lane, bytes, sum });
    let head: Head | undefined;
    let receiver: ReturnType<typeof intoSink> | undefined;
    const refuse = (status: number, body: string): Error => new Refusal(status, body);
    try {
      await this.#lane.get(url, headers, signal, {
        refuse,
        begin: (came) => {
          head = came;
          this.#say({ kind: 'head', lane, head });
        },
        each: async (bytes) => {
          if (receiver === undefined) {
            const sink = await unlessAborted(begun, signal);
            receiver = intoSink({ begin: () => sink, moved, refuse });
            receiver.begin(head as Head);
          }
          await receiver.each(bytes);
        },
      });
      this.#say({ kind: 'whole', lane });
    } catch (error) {
      if (error instanceof Refusal) this.#say({ kind: 'refused', lane, status: error.status, body: error.body });
      else this.#say({ kind: 'failed', lane, error: failedOf(error) });
    }
  }

  take(order: Order): void {
    if (order.kind === 'get') void this.get(order.url, order.headers);
    else if (order.kind === 'begin') this.#begin(order.sink);
    else if (order.kind === 'abort') this.#ending.abort(new Error('it was broken off'));
    else this.#lane.close();
  }
}

/** Whether this is such a thread: then it does what it is told, and whoever started it as a program of its own must not. */
export function isLaneThread(): boolean {
  return !isMainThread && (workerData as { role?: unknown } | null)?.role === LANE_THREAD;
}

if (isLaneThread() && parentPort !== null) {
  const port = parentPort;
  const { stallMs } = workerData as { stallMs: number };
  const lanes = new Map<number, Inside>();
  port.on('message', (order: Order) => {
    const inside = lanes.get(order.lane) ?? new Inside(order.lane, stallMs, (word) => port.postMessage(word));
    lanes.set(order.lane, inside);
    inside.take(order);
  });
}
