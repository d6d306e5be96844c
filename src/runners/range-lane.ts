/**
 * GETs of byte ranges over one kept connection, straight into one reused buffer. `fetch` costs two to three times the CPU per
 * byte, which is what bounds a download. It reads answers with a Content-Length, as object stores give them to ranges; others
 * are `Unframed`, and are for `fetch`.
 */
import { type Socket, connect as connectTcp, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** Read, checked and written at a time. */
const SLICE_BYTES = 2 ** 20;
const MAX_HEAD_BYTES = 32 * 1024;
const MAX_REFUSAL_BYTES = 16 * 1024;
const HEAD_END = Buffer.from('\r\n\r\n');

/** The head of an answer; names of headers in lower case. */
export type Head = { readonly status: number; readonly headers: ReadonlyMap<string, string> };

/** What becomes of an answer. `begin` may throw to refuse it; `each` gets its bytes, which are overwritten once it has resolved. */
export type Receiver = {
  readonly begin: (head: Head) => void;
  readonly each: (bytes: Buffer) => Promise<void>;
  /** A status that is neither 200 nor 206, with the beginning of its body. */
  readonly refuse: (status: number, body: string) => Error;
};

/** The answer's length is not in its head. */
export class Unframed extends Error {}

type Waiting = { resolve(bytes: Buffer | undefined): void; reject(error: Error): void };

/** One connection, to one origin at a time; kept from one `get` to the next. Not for two at once. */
export class RangeLane {
  readonly #stallMs: number;
  readonly #slice = Buffer.allocUnsafe(SLICE_BYTES);
  readonly #headBytes = Buffer.allocUnsafe(MAX_HEAD_BYTES);
  #socket: Socket | undefined;
  #origin = '';
  /** Of the answer that comes now; undefined: not yet there. */
  #head: (Head & { readonly keeps: boolean }) | undefined;
  #filled = 0;
  /** Bytes of the body that have not come yet. */
  #left = 0;
  #held = false;
  #waiting: Waiting | undefined;
  #failure: Error | undefined;

  /** A connection that gives no byte for `stallMs` is broken off. */
  constructor(stallMs: number) {
    this.#stallMs = stallMs;
  }

  /** Rejects when the connection breaks, with what `begin` or `each` throws, or with the signal's reason; then the connection is closed. */
  async get(url: string, headers: Readonly<Record<string, string>>, signal: AbortSignal, receiver: Receiver): Promise<void> {
    signal.throwIfAborted();
    const abort = (): void => void this.#socket?.destroy(signal.reason as Error);
    signal.addEventListener('abort', abort, { once: true });
    try {
      const target = new URL(url);
      // Before the connection is made, which asks for its first buffer at once.
      this.#head = undefined;
      this.#filled = 0;
      this.#left = 0;
      const socket = this.#connection(target);
      socket.write(request(target, headers));
      await this.#answer(receiver);
    } catch (error) {
      this.close();
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  async #answer(receiver: Receiver): Promise<void> {
    const early = await this.#more();
    const head = this.#head;
    if (early === undefined || head === undefined) throw new Error('the connection was closed before an answer came');
    if (head.status !== 200 && head.status !== 206) throw receiver.refuse(head.status, await this.#text(early));
    receiver.begin(head);
    if (early.length > 0) await receiver.each(early);
    while (this.#left > 0) {
      const slice = await this.#more();
      if (slice === undefined) throw new Error('the connection was closed before the answer was whole');
      await receiver.each(slice);
    }
    if (!head.keeps) this.close();
  }

  /** The beginning of a refusal's body. */
  async #text(early: Buffer): Promise<string> {
    let text = early.toString('utf8');
    while (this.#left > 0 && text.length < MAX_REFUSAL_BYTES) {
      const more = await this.#more().catch(() => undefined);
      if (more === undefined) break;
      text += more.toString('utf8');
    }
    return text;
  }

  /** What came with the head, a full slice, or the last of the body; undefined when the other side has closed. */
  #more(): Promise<Buffer | undefined> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure);
      const socket = this.#socket;
      if (socket === undefined || socket.destroyed) return resolve(undefined);
      this.#waiting = { resolve, reject };
      if (!this.#held) return;
      this.#held = false;
      socket.resume();
    });
  }

  /** Where the next bytes go. Asked right after each read, also when the next one waits: so what a head says is known by then. */
  #target(): Buffer {
    if (this.#head === undefined || this.#left === 0) return this.#headBytes.subarray(this.#filled);
    return this.#slice.subarray(this.#filled, this.#filled + Math.min(SLICE_BYTES - this.#filled, this.#left));
  }

  /** False: read no more for now. What came is handed over, and the next read begins at the buffer's start. */
  #came(count: number): boolean {
    this.#filled += count;
    if (this.#head !== undefined) {
      this.#left -= count;
      if (this.#left > 0 && this.#filled < SLICE_BYTES) return true;
      return this.#handOver(this.#slice.subarray(0, this.#filled));
    }
    const have = this.#headBytes.subarray(0, this.#filled);
    const end = have.indexOf(HEAD_END);
    if (end < 0 && this.#filled < MAX_HEAD_BYTES) return true;
    try {
      const { lengthBytes, ...head } = parseHead(have.toString('latin1', 0, end));
      const early = have.subarray(end + HEAD_END.length);
      if (early.length > lengthBytes) throw new Error('more came than the answer has');
      this.#head = head;
      this.#left = lengthBytes - early.length;
      return this.#handOver(early);
    } catch (error) {
      this.#socket?.destroy(error as Error);
      return false;
    }
  }

  #handOver(bytes: Buffer): false {
    this.#filled = 0;
    this.#held = true;
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#socket?.destroy(new Error('bytes came that nobody asked for'));
    else waiting.resolve(bytes);
    return false;
  }

  #connection(target: URL): Socket {
    if (this.#socket !== undefined && !this.#socket.destroyed && this.#origin === target.origin) return this.#socket;
    this.close();
    this.#origin = target.origin;
    this.#held = false;
    this.#failure = undefined;
    const host = target.hostname.replace(/^\[|\]$/g, '');
    const tls = target.protocol === 'https:';
    const options = {
      host,
      port: target.port === '' ? (tls ? 443 : 80) : Number(target.port),
      onread: { buffer: () => this.#target(), callback: (count: number) => this.#came(count) },
    };
    const socket = tls
      ? connectTls({ ...options, ...(isIP(host) === 0 ? { servername: host } : {}), ALPNProtocols: ['http/1.1'] })
      : connectTcp(options);
    socket.setNoDelay(true);
    // Time in which we are busy writing is not the other side's.
    socket.setTimeout(this.#stallMs, () => {
      if (!this.#held) socket.destroy(new Error(`no byte for ${this.#stallMs / 1000} s`));
    });
    const ended = (error?: Error): void => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      if (error !== undefined) this.#failure = error;
      const waiting = this.#waiting;
      this.#waiting = undefined;
      // What came before the break counts: on a line that breaks often nothing else ever would.
      if (this.#head !== undefined && this.#filled > 0) waiting?.resolve(this.#slice.subarray(0, this.#filled));
      else if (error === undefined) waiting?.resolve(undefined);
      else waiting?.reject(error);
    };
    socket
      .once('error', ended)
      .once('end', () => ended())
      .once('close', () => ended());
    this.#socket = socket;
    return socket;
  }
}

function request(target: URL, headers: Readonly<Record<string, string>>): string {
  const all = { host: target.host, accept: '*/*', 'user-agent': 'sealpool', ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value.replaceAll(/[\r\n]/g, '')}\r\n`);
  return `GET ${target.pathname}${target.search} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

function parseHead(text: string): Head & { readonly keeps: boolean; readonly lengthBytes: number } {
  const [first = '', ...lines] = text.split('\r\n');
  const match = /^HTTP\/1\.([01]) ([0-9]{3})/.exec(first);
  if (match === null) throw new Error('the answer is not HTTP/1.1');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon > 0) headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim());
  }
  const length = headers.get('content-length') ?? '';
  if (!/^[0-9]{1,15}$/.test(length) || headers.has('transfer-encoding')) throw new Unframed('the answer has no length');
  const keeps = match[1] === '1' && headers.get('connection')?.toLowerCase() !== 'close';
  return { status: Number(match[2]), headers, keeps, lengthBytes: Number(length) };
}

/** The same over `fetch`, for answers without a length. */
export async function getByFetch(
  url: string,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
  receiver: Receiver,
  stallMs: number,
): Promise<void> {
  const stall = new AbortController();
  const timer = setTimeout(() => stall.abort(new Error(`no byte for ${stallMs / 1000} s`)), stallMs);
  try {
    const answer = await fetch(url, { redirect: 'error', headers, signal: AbortSignal.any([signal, stall.signal]) });
    if (answer.status !== 200 && answer.status !== 206) throw receiver.refuse(answer.status, await answer.text().catch(() => ''));
    receiver.begin({ status: answer.status, headers: new Map(answer.headers) });
    for await (const bytes of answer.body ?? []) {
      timer.refresh();
      await receiver.each(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    }
  } finally {
    clearTimeout(timer);
  }
}
