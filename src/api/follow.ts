/**
 * Events as they happen, over connections that break: each new one asks from the last event seen on (`Last-Event-ID`),
 * after waits that grow while none of them brings a byte. It works wherever `fetch` does and owns its timers.
 */
import type { Event, EventType } from '../schema/event.ts';

/** What is followed, and for how long. */
export type FollowOptions = {
  /** Number of the last event that is known already; `now` begins with what happens next. 0, the first, without it. */
  readonly after?: number | 'now' | undefined;
  readonly type?: EventType | readonly EventType[] | undefined;
  /** A job, or a sector: its live job, else its last. */
  readonly sector?: string | undefined;
  readonly miner?: string | undefined;
  readonly runner?: string | undefined;
  /** Ends it, in order: the loop over it is left without an error. */
  readonly signal?: AbortSignal | undefined;
  /** So many connections in a row may bring nothing; then the last one's error is thrown. Without it there is no end. */
  readonly tries?: number | undefined;
  /** A connection broke, and the next one is made after so many milliseconds. */
  readonly onBreak?: ((why: Error, waitMs: number) => void) | undefined;
};

/** Opens the stream of what comes after this event. */
export type OpenStream = (lastSeen: number, signal: AbortSignal) => Promise<ReadableStream<Uint8Array> | null>;

const FIRST_WAIT_MS = 250;
const MAX_WAIT_MS = 15_000;
/** The server writes a comment every 15 seconds; one that is silent for three of them is not there any more. */
const SILENT_MS = 45_000;

/** Resolves after the time, or when the signal aborts. */
export function waited(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    if (signal?.aborted === true) done();
    else signal?.addEventListener('abort', done);
  });
}

/** Whole events of one connection until it ends or breaks. `onBytes`: something came, be it a comment. */
async function* eventsOf(body: ReadableStream<Uint8Array>, onBytes: () => void): AsyncGenerator<Event> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let text = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      onBytes();
      const blocks = (text + value).split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) {
        const lines = block.split('\n').filter((line) => line.startsWith('data:'));
        if (lines.length > 0) yield JSON.parse(lines.map((line) => line.slice(5).trimStart()).join('\n')) as Event;
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** Aborts a connection that has been silent for too long; `heard` is told of every byte. */
function watchdog(connection: AbortController) {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const rest = (): void => clearTimeout(timer);
  const heard = (): void => {
    rest();
    timer = setTimeout(() => connection.abort(new Error(`nothing came for ${SILENT_MS / 1000} seconds`)), SILENT_MS);
  };
  heard();
  return { heard, rest };
}

/**
 * Events from `start` on until the signal aborts. A first connection that fails is an error at once; later ones are
 * made again unless `final` says that another would be refused too (a token that was revoked).
 */
export async function* followed(
  open: OpenStream,
  start: number,
  { signal, tries, onBreak }: FollowOptions,
  final: (error: unknown) => boolean,
): AsyncGenerator<Event> {
  let [last, failed, connected] = [start, 0, false];
  const over = (): boolean => signal?.aborted === true;
  while (!over()) {
    const connection = new AbortController();
    const { heard, rest } = watchdog(connection);
    let why: unknown = new Error('the stream ended');
    try {
      const body = await open(last, signal === undefined ? connection.signal : AbortSignal.any([signal, connection.signal]));
      connected = true;
      const onBytes = (): void => {
        failed = 0;
        heard();
      };
      for await (const event of eventsOf(body ?? new ReadableStream({ start: (end) => end.close() }), onBytes)) {
        // Nobody reads while the event is worked on: that is no silence of the server's.
        rest();
        last = event.seq;
        yield event;
        heard();
      }
    } catch (error) {
      if (over()) return;
      if (!connected || final(error)) throw error;
      why = error;
    } finally {
      rest();
      connection.abort();
    }
    if (over()) return;
    failed += 1;
    if (tries !== undefined && failed > tries) throw why;
    const waitMs = Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** (failed - 1));
    onBreak?.(why instanceof Error ? why : new Error(String(why)), waitMs);
    await waited(waitMs, signal);
  }
}
