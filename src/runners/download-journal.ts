/**
 * Which parts of a half-fetched file are on the disk: `FILE.journal` beside `FILE.part`, a line of JSON that says of what, then one
 * line per part with its CRC-32. Nothing in it is believed before the part was read again, so it need not be durable.
 */
import { type FileHandle, open, readFile, rm } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { partCount } from '../schema/manifest.ts';

const READ_BYTES = 2 ** 20;

/** What the file is to become. */
const Subject = z.strictObject({ sizeBytes: z.string(), hash: z.string(), partSizeBytes: z.number().int().positive() });
export type Subject = z.infer<typeof Subject>;

export class DownloadJournal {
  readonly #handle: FileHandle;
  readonly #path: string;

  private constructor(handle: FileHandle, path: string) {
    this.#handle = handle;
    this.#path = path;
  }

  /** A new journal at `path`, in place of an older one. */
  static async begin(path: string, subject: Subject): Promise<DownloadJournal> {
    await rm(path, { force: true });
    const handle = await open(path, 'ax', 0o600);
    await handle.appendFile(`${JSON.stringify(subject)}\n`);
    return new DownloadJournal(handle, path);
  }

  /** Goes on with a journal. */
  static async reopen(path: string): Promise<DownloadJournal> {
    return new DownloadJournal(await open(path, 'a', 0o600), path);
  }

  /** The part (from 0 on) is written. */
  async add(part: number, sum: number): Promise<void> {
    await this.#handle.appendFile(`${part} ${sum}\n`);
  }

  /** The file is whole, or given up. */
  async remove(): Promise<void> {
    await this.close();
    await rm(this.#path, { force: true });
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/** The parts that the journal names; undefined when there is none, or one of another file. A line that a crash cut off says nothing. */
export async function journaledParts(path: string, subject: Subject): Promise<Map<number, number> | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '');
  const [first = '', ...lines] = text.split('\n').slice(0, -1);
  const known = Subject.safeParse(parsed(first));
  if (!known.success || JSON.stringify(known.data) !== JSON.stringify(subject)) return undefined;
  const count = partCount(Number(subject.sizeBytes), subject.partSizeBytes);
  const parts = new Map<number, number>();
  for (const line of lines) {
    const match = /^([0-9]{1,6}) ([0-9]{1,10})$/.exec(line);
    if (match !== null && Number(match[1]) < count) parts.set(Number(match[1]), Number(match[2]));
  }
  return parts;
}

/** CRC-32 of `sizeBytes` bytes from `from` on; undefined when the file is shorter. */
export async function sumOnDisk(handle: FileHandle, from: number, sizeBytes: number, signal: AbortSignal): Promise<number | undefined> {
  const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, Math.max(1, sizeBytes)));
  let sum = 0;
  for (let have = 0; have < sizeBytes;) {
    signal.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, sizeBytes - have), from + have);
    if (bytesRead === 0) return undefined;
    sum = crc32(buffer.subarray(0, bytesRead), sum);
    have += bytesRead;
  }
  return sum;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
