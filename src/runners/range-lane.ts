/**
 * GETs of byte ranges over one kept connection, straight into one reused buffer. `fetch` costs two to three times the CPU per
 * byte, which is what bounds a download. It reads answers with a Content-Length, as object stores give them to ranges; others
 * are `Unframed`, and are for `fetch`.
 */
import { type Socket, connect as connectTcp, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';

/** Read, checked and written at a time. */
const SLICE_BYTES = 2 ** 20;
/**
 * One that is being written, one that waits for that, and one that is filled. TLS hands over what it has decrypted (64 KiB at most)
 * even after it was told to stop: so there has to be a free one at any time.
 */
const SLICES = 3;
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
  readonly #slices = Array.from({ length: SLICES }, () => Buffer.allocUnsafe(SLICE_BYTES));
  readonly #headBytes = Buffer.allocUnsafe(MAX_HEAD_BYTES);
  #socket: Socket | undefined;
  #origin = '';
  /** Of the answer that comes now; undefined: not yet there. */
  #head: (Head & { readonly keeps: boolean }) | undefined;
  /** The slice that is filled now. */
  #at = 0;
  /** Bytes in it; while the head comes, of that. */
  #filled = 0;
  /** Bytes of the body that have not come yet. */
  #left = 0;
  /** Full slices that nobody has taken. */
  #ready: Buffer[] = [];
  /** Reading was stopped until one is taken. */
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
      this.#ready = [];
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
    while (this.#left > 0 || this.#ready.length > 0) {
      const slice = await this.#more();
      if (slice === undefined) throw new Error('the connection was closed before the answer was whole');
      await receiver.each(slice);
    }
    if (!head.keeps) this.close();
  }

  /** The beginning of a refusal's body. */
  async #text(early: Buffer): Promise<string> {
    let text = early.toString('utf8');
    while ((this.#left > 0 || this.#ready.length > 0) && text.length < MAX_REFUSAL_BYTES) {
      const more = await this.#more().catch(() => undefined);
      if (more === undefined) break;
      text += more.toString('utf8');
    }
    return text;
  }

  /**
   * What came with the head, then full slices and the last of the body; undefined when the other side has closed. The one before is
   * free from then on.
   */
  #more(): Promise<Buffer | undefined> {
    const ready = this.#ready.shift();
    if (ready !== undefined) {
      this.#goOn();
      return Promise.resolve(ready);
    }
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed) {
      const rest = this.#rest();
      if (rest !== undefined) return Promise.resolve(rest);
      return this.#failure === undefined ? Promise.resolve(undefined) : Promise.reject(this.#failure);
    }
    const come = new Promise<Buffer | undefined>((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
    this.#goOn();
    return come;
  }

  #goOn(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#socket?.resume();
  }

  /** What came of a slice before the connection broke. It counts: on a line that breaks often nothing else ever would. */
  #rest(): Buffer | undefined {
    if (this.#head === undefined || this.#filled === 0) return undefined;
    const rest = this.#slice().subarray(0, this.#filled);
    this.#filled = 0;
    return rest;
  }

  #slice(): Buffer {
    return this.#slices[this.#at] as Buffer;
  }

  /** Where the next bytes go. Asked right after each read, so what a head says is known by then. */
  #target(): Buffer {
    if (this.#head === undefined || this.#left === 0) return this.#headBytes.subarray(this.#filled);
    return this.#slice().subarray(this.#filled, this.#filled + Math.min(SLICE_BYTES - this.#filled, this.#left));
  }

  /** Bytes were put where `#target` said. False: read no more for now. */
  #came(count: number): boolean {
    if (this.#head !== undefined) return this.#bodyCame(count);
    this.#filled += count;
    const have = this.#headBytes.subarray(0, this.#filled);
    const end = have.indexOf(HEAD_END);
    if (end < 0 && this.#filled < MAX_HEAD_BYTES) return true;
    try {
      const { lengthBytes, ...head } = parseHead(have.toString('latin1', 0, end));
      const early = have.subarray(end + HEAD_END.length);
      if (early.length > lengthBytes) throw new Error('more came than the answer has');
      this.#head = head;
      this.#left = lengthBytes - early.length;
      this.#filled = 0;
      return this.#handOver(early);
    } catch (error) {
      this.#socket?.destroy(error as Error);
      return false;
    }
  }

  #bodyCame(count: number): boolean {
    if (count > this.#left || this.#ready.length === SLICES - 1) {
      this.#socket?.destroy(new Error('bytes came that nobody asked for'));
      return false;
    }
    this.#filled += count;
    this.#left -= count;
    if (this.#left > 0 && this.#filled < SLICE_BYTES) return !this.#held;
    const full = this.#slice().subarray(0, this.#filled);
    this.#at = (this.#at + 1) % SLICES;
    this.#filled = 0;
    return this.#handOver(full);
  }

  #handOver(bytes: Buffer): boolean {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) {
      waiting.resolve(bytes);
      return true;
    }
    this.#ready.push(bytes);
    this.#held = true;
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
      const rest = waiting === undefined ? undefined : this.#rest();
      if (rest !== undefined || error === undefined) waiting?.resolve(rest);
      else waiting?.reject(error);
    };
    // A connection that nobody uses any more may fail as well, and once more after that.
    socket.on('error', ended);
    socket.once('end', () => ended()).once('close', () => ended());
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
