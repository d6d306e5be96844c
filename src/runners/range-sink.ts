/** Where the bytes of one answer go: into a file at their place, while their sum is computed. */
import { write } from 'node:fs';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { type Head, RangeLane, type Receiver } from './range-lane.ts';

const writeAt = promisify(write);

/** An open file, the place in it, and how many bytes of the answer are skipped and then wanted at most; `sum`: CRC-32 of those before. */
export type Sink = {
  readonly fd: number;
  readonly at: number;
  readonly skipBytes: number;
  readonly mostBytes: number;
  readonly sum: number;
};

/** What becomes of an answer. `begin` may throw to refuse it; `moved` is told of bytes that were written, and the sum with them. */
export type Target = {
  readonly begin: (head: Head) => Sink;
  readonly moved: (bytes: number, sum: number) => void;
  /** A status that is neither 200 nor 206, with the beginning of its body. */
  readonly refuse: (status: number, body: string) => Error;
};

/** A connection that can be asked again and again, though not twice at once; here or in a thread. */
export type Lane = {
  /** Resolves when all is written. Rejects like `RangeLane.get`, or with `Enough`; nothing is written any more then. */
  get(url: string, headers: Readonly<Record<string, string>>, signal: AbortSignal, target: Target): Promise<void>;
  close(): void;
};

/** More came than was wanted: what was wanted is written. */
export class Enough extends Error {}

/** Writes what a lane gives to where `target` says. */
export function intoSink(target: Target): Receiver {
  let sink: Sink | undefined;
  let skipBytes = 0;
  let sum = 0;
  let have = 0;
  return {
    refuse: target.refuse,
    begin: (head) => {
      sink = target.begin(head);
      ({ skipBytes, sum } = sink);
    },
    each: async (bytes) => {
      if (sink === undefined) throw new Error('bytes came before a head');
      const skipped = bytes.subarray(skipBytes);
      skipBytes -= Math.min(skipBytes, bytes.length);
      const mine = skipped.subarray(0, sink.mostBytes - have);
      // Written while its sum is computed; neither counts before both are done.
      const written = writeAll(sink.fd, mine, sink.at + have);
      const next = crc32(mine, sum);
      await written;
      sum = next;
      have += mine.length;
      if (mine.length > 0) target.moved(mine.length, sum);
      if (mine.length < skipped.length) throw new Enough();
    },
  };
}

/** A lane in this thread; a connection that gives no byte for `stallMs` is broken off. */
export function laneHere(stallMs: number): Lane {
  const lane = new RangeLane(stallMs);
  return {
    get: (url, headers, signal, target) => lane.get(url, headers, signal, intoSink(target)),
    close: () => lane.close(),
  };
}

async function writeAll(fd: number, bytes: Buffer, from: number): Promise<void> {
  for (let at = 0; at < bytes.length;) at += (await writeAt(fd, bytes, at, bytes.length - at, from + at)).bytesWritten;
}
