/** The parts of one input: asks for a range, writes what comes where it belongs, and checks it. */
import type { FileHandle } from 'node:fs/promises';
import { partCount } from '../schema/manifest.ts';
import type { InputFile } from '../schema/runner.ts';
import { StageFailure } from './failure.ts';
import { type Head, Unframed, getByFetch } from './range-lane.ts';
import { Enough, type Lane, type Target, intoSink } from './range-sink.ts';
import { type TransferOptions, refusal, saysMissing, withRetries, withUrl } from './transfer-errors.ts';

/** A part that arrives damaged so often, differently each time, comes over a way that damages everything. */
const MOST_DAMAGED = 5;

export type InputPartsOptions = {
  readonly input: InputFile;
  readonly handle: FileHandle;
  /** CRC-32 by part, where there is a manifest. */
  readonly sums: readonly number[] | undefined;
  readonly partSizeBytes: number;
  readonly stallMs: number;
};

export class InputParts {
  readonly count: number;
  readonly #options: InputPartsOptions;
  readonly #sizeBytes: number;
  /** Of the first answer: all others have to be of the same object. */
  #etag: string | undefined;
  #unframed = false;

  constructor(options: InputPartsOptions) {
    this.#options = options;
    this.#sizeBytes = Number(options.input.sizeBytes);
    this.count = partCount(this.#sizeBytes, options.partSizeBytes);
  }

  /** Where part `at` (from 0 on) is, and the sum it should have. */
  part(at: number): { readonly from: number; readonly sizeBytes: number; readonly wanted: number | undefined } {
    const { partSizeBytes, sums } = this.#options;
    const from = at * partSizeBytes;
    return { from, sizeBytes: Math.min(partSizeBytes, this.#sizeBytes - from), wanted: sums?.[at] };
  }

  /** Fetches part `at`, going on inside it after a break; answers its CRC-32. */
  async fetch(at: number, lane: Lane, options: TransferOptions): Promise<number> {
    const { input } = this.#options;
    const { sizeBytes, wanted } = this.part(at);
    const got = { bytes: 0, sum: 0 };
    let damaged = 0;
    let wrong: number | undefined;
    return withRetries(options, `fetching ${input.name}`, async (progress) => {
      const place = { name: input.name };
      const moved = (bytes: number): void => {
        progress();
        options.onMoved?.(bytes);
      };
      do {
        const before = got.bytes;
        await withUrl(options, place, input.url, (url) => this.#get(url, at, got, { lane, signal: options.signal, moved }));
        if (got.bytes === before && sizeBytes > 0) throw new Error(`fetching ${input.name}: an answer without a byte`);
      } while (got.bytes < sizeBytes);
      if (wanted === undefined || got.sum === wanted) return got.sum;
      damaged += 1;
      if (got.sum === wrong) throw this.#differs(`its part ${at + 1} has another checksum than its manifest says`);
      if (damaged === MOST_DAMAGED) {
        throw new StageFailure(
          'transfer_failed',
          `part ${at + 1} of input ${input.name} arrived damaged ${damaged} times, each time differently; check the network of this runner`,
        );
      }
      wrong = got.sum;
      got.bytes = 0;
      got.sum = 0;
      throw new Error(`part ${at + 1} of input ${input.name} arrived damaged`);
    });
  }

  /** One request for what is missing of the part. */
  async #get(
    url: string,
    at: number,
    got: { bytes: number; sum: number },
    by: { lane: Lane; signal: AbortSignal; moved: (bytes: number) => void },
  ): Promise<void> {
    const { from, sizeBytes } = this.part(at);
    const begin = from + got.bytes;
    const headers = {
      ...(sizeBytes === 0 ? {} : { range: `bytes=${begin}-${from + sizeBytes - 1}` }),
      ...(this.#etag === undefined ? {} : { 'if-match': this.#etag }),
    };
    const target: Target = {
      refuse: (status, body) => this.#refusal(status, body),
      begin: (head) => ({
        fd: this.#options.handle.fd,
        at: begin,
        skipBytes: this.#begins(head, begin) ? 0 : begin,
        mostBytes: sizeBytes - got.bytes,
        sum: got.sum,
      }),
      moved: (bytes, sum) => {
        got.sum = sum;
        got.bytes += bytes;
        by.moved(bytes);
      },
    };
    try {
      if (this.#unframed) await getByFetch(url, headers, by.signal, intoSink(target), this.#options.stallMs);
      else await by.lane.get(url, headers, by.signal, target);
    } catch (error) {
      if (error instanceof Enough) {
        // A server without ranges sends on after what was asked for; after the last part there should be nothing.
        if (from + sizeBytes === this.#sizeBytes) throw this.#differs('it is longer');
        return;
      }
      if (error instanceof Unframed) this.#unframed = true;
      throw error;
    }
  }

  /** Looks at the head of an answer. False: it begins at the file's beginning, whatever was asked for. */
  #begins({ status, headers }: Head, from: number): boolean {
    const etag = headers.get('etag');
    if (etag !== undefined) {
      if (this.#etag !== undefined && this.#etag !== etag) throw this.#differs('it changed while it was fetched');
      this.#etag = etag;
    }
    if (status === 200) {
      const length = headers.get('content-length');
      if (length !== undefined && Number(length) !== this.#sizeBytes) throw this.#differs(`it has ${length} bytes`);
      return false;
    }
    const match = /^bytes ([0-9]+)-[0-9]+\/([0-9]+)$/.exec(headers.get('content-range') ?? '');
    if (match === null || Number(match[1]) !== from) throw new Error('the object store answered with another range than was asked for');
    if (Number(match[2]) !== this.#sizeBytes) throw this.#differs(`it has ${match[2]} bytes`);
    return true;
  }

  #refusal(status: number, body: string): Error {
    const { name } = this.#options.input;
    if (status === 412 || status === 416) return this.#differs('it changed or is shorter than promised');
    if (!saysMissing(status, body)) return refusal(status, body, `fetching ${name}`);
    const message = `input ${name} is not in the object store (status ${status}); it has to be made again`;
    return new StageFailure('input_missing', message, name);
  }

  #differs(how: string): StageFailure {
    const { name, sizeBytes } = this.#options.input;
    return new StageFailure(
      'input_differs',
      `input ${name} is not the file of ${sizeBytes} bytes that was granted: ${how}; it has to be made again`,
      name,
    );
  }
}
