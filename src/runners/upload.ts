/** Sends a file to its slot's URLs, part by part, each with the checksum that the object store wants; what broke is sent again, and nothing else. */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Agent, type AgentOptions } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { crc32 } from 'node:zlib';
import { type Manifest, manifestOf, partCount } from '../schema/manifest.ts';
import type { OutputSlot, UploadedPart } from '../schema/runner.ts';
import { StageFailure } from './failure.ts';
import { inLanes } from './lanes.ts';
import { putPart } from './part-put.ts';
import { PartSum } from './part-sum.ts';
import { STALL_MS, type TransferOptions, refusal, withRetries, withUrl } from './transfer-errors.ts';

/** Parts under way at a time. */
const LANES = 4;
/** Each lane's buffer. A part is read once for its checksum, which goes before it, and again as it is sent: never is it whole in memory. */
const SLICE_BYTES = 4 * 2 ** 20;
/**
 * After a connection broke without an answer, the next try listens so long for a refusal before it sends most of its body: some
 * servers refuse and close at once (versitygw), which looks like a break, and a URL that ran out would be tried until patience ends.
 */
const HEAR_MS = 2_000;

/** What is sent. A link at `path` is not followed. */
export type UploadSource = {
  readonly path: string;
  readonly sizeBytes: number;
  /** Gets all bytes once and in order, as they are read. */
  readonly onBytes?: (bytes: Uint8Array) => void;
  /** When the file was last changed as its hash was computed (`ctimeMs` of its status): a later change ends the upload. */
  readonly changedMs?: number;
};

/** For the report: the parts in order, and what readers check them by. */
export type Uploaded = { readonly parts: UploadedPart[]; readonly manifest: Manifest };

/** Uploads a file. Throws `StageFailure`, or a plain error when the file cannot be read. */
export async function upload(slot: OutputSlot, source: UploadSource, options: TransferOptions): Promise<Uploaded> {
  const { sizeBytes } = source;
  if (sizeBytes > Number(slot.maxSizeBytes)) {
    throw new StageFailure(
      'internal',
      `output ${slot.name} has ${sizeBytes} bytes, more than its upload takes; it is not what the stage should make`,
    );
  }
  const count = partCount(sizeBytes, slot.partSizeBytes);
  const handle = await open(source.path, constants.O_RDONLY | constants.O_NOFOLLOW);
  const sending = new Sending(slot, source, handle);
  const sums: number[] = [];
  const parts: UploadedPart[] = [];
  // One part is read after the other, in the order in which lanes take them, so that `onBytes` sees the file as it is.
  let before = Promise.resolve();
  const buffers: Buffer[] = [];
  try {
    await sending.checkUnchanged();
    await inLanes(
      Array.from({ length: count }, (_, at) => at),
      LANES,
      options.signal,
      async (at, signal) => {
        const buffer = buffers.pop() ?? Buffer.allocUnsafe(Math.max(1, Math.min(SLICE_BYTES, sizeBytes)));
        const sum = new PartSum(slot.checksum ?? 'crc32');
        before = before.then(() => sending.sum(at, buffer, sum));
        await before;
        sums[at] = sum.crc32;
        const etag = await sending.put(at, buffer, { crc32: sum.crc32, headers: sum.header() }, { ...options, signal });
        parts[at] = { number: at + 1, etag };
        buffers.push(buffer);
      },
    );
    await sending.checkUnchanged();
  } finally {
    sending.close();
    await handle.close();
  }
  return { parts, manifest: manifestOf(slot.partSizeBytes, sums) };
}

class Sending {
  readonly #slot: OutputSlot;
  readonly #source: UploadSource;
  readonly #handle: FileHandle;
  readonly #agents = agents({ keepAlive: true, maxSockets: LANES });

  constructor(slot: OutputSlot, source: UploadSource, handle: FileHandle) {
    this.#slot = slot;
    this.#source = source;
    this.#handle = handle;
  }

  /** Throws when the file was changed after its hash was computed. */
  async checkUnchanged(): Promise<void> {
    const { changedMs } = this.#source;
    if (changedMs !== undefined && (await this.#handle.stat()).ctimeMs !== changedMs) throw this.#changed();
  }

  /** Reads part `at` for its checksums. */
  async sum(at: number, buffer: Buffer, sum: PartSum): Promise<void> {
    const { from, sizeBytes } = this.#part(at);
    for (let have = 0; have < sizeBytes;) {
      const bytes = await this.#read(buffer, from + have, sizeBytes - have);
      this.#source.onBytes?.(bytes);
      sum.update(bytes);
      have += bytes.length;
    }
  }

  /** Sends part `at` until it is there; answers its ETag. */
  async put(
    at: number,
    buffer: Buffer,
    sum: { readonly crc32: number; readonly headers: Record<string, string> },
    options: TransferOptions,
  ): Promise<string> {
    const { name, partUrls } = this.#slot;
    const { from, sizeBytes } = this.#part(at);
    const what = `sending part ${at + 1} of ${name}`;
    let broke = false;
    /** How far a try got. Bytes that go once more are no progress: a part that breaks again and again has an end. */
    let furthest = 0;
    const once = async (url: string, progress: () => void): Promise<string> => {
      let sent = 0;
      const next = async (have: number): Promise<Buffer> => {
        const bytes = await this.#read(buffer, from + have, sizeBytes - have);
        sent = crc32(bytes, sent);
        // Found before its last byte goes: a part that is not what its checksum says is never whole over there.
        if (have + bytes.length === sizeBytes && sent !== sum.crc32) throw this.#changed();
        return bytes;
      };
      const agent = url.startsWith('https:') ? this.#agents.tls : this.#agents.plain;
      let gone = 0;
      const onSent = (bytes: number): void => {
        gone += bytes;
        if (gone <= furthest) return;
        options.onMoved?.(gone - furthest);
        furthest = gone;
        progress();
      };
      const { signal, stallMs = STALL_MS } = options;
      const by = { agent, signal, stallMs, onSent, ...(broke ? { hearMs: HEAR_MS } : {}) };
      broke = true;
      const answer = await putPart(url, sum.headers, sizeBytes, next, by);
      broke = false;
      if (![200, 201, 204].includes(answer.status)) throw refusal(answer.status, answer.body, what);
      if (answer.etag === undefined) throw new Error(`${what}: the object store answered without an ETag`);
      return answer.etag;
    };
    const place = { name, part: at + 1 };
    return withRetries(options, what, (progress) => withUrl(options, place, partUrls[at], (url) => once(url, progress)));
  }

  close(): void {
    this.#agents.plain.destroy();
    this.#agents.tls.destroy();
  }

  #part(at: number): { readonly from: number; readonly sizeBytes: number } {
    const from = at * this.#slot.partSizeBytes;
    return { from, sizeBytes: Math.min(this.#slot.partSizeBytes, this.#source.sizeBytes - from) };
  }

  /** As many of the `most` bytes from `from` on as one read gives, at the buffer's beginning. */
  async #read(buffer: Buffer, from: number, most: number): Promise<Buffer> {
    const { bytesRead } = await this.#handle.read(buffer, 0, Math.min(buffer.length, most), from);
    if (bytesRead === 0) throw new Error(`${this.#slot.name} became shorter while it was sent; nothing else may write to it`);
    return buffer.subarray(0, bytesRead);
  }

  #changed(): StageFailure {
    return new StageFailure('internal', `output ${this.#slot.name} was changed after its hash was computed; nothing else may write to it`);
  }
}

function agents(options: AgentOptions): { readonly plain: Agent; readonly tls: TlsAgent } {
  return { plain: new Agent(options), tls: new TlsAgent(options) };
}
