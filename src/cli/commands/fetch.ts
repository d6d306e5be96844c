/** `sealpool sectors fetch`: the data of an unsealed sector into a file. */
import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { type FileHandle, access, open, rename, rm } from 'node:fs/promises';
import { Unreachable } from '../../api/client.ts';
import { type Command, type Session, UsageError, argument, text } from '../command.ts';

/** How often in a row a transfer may break without one more byte. */
const MAX_TRIES = 3;

type Piece = Awaited<ReturnType<Session['client']['pieceData']>>;

/** The object store gives nothing any more; what came is kept. */
class BrokenOff extends Unreachable {
  constructor(url: string, error: unknown, have: string) {
    const why = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    super(url, why);
    this.message = `${new URL(url).origin} gives no more of the data (${why}); ${have}, the same command goes on from there`;
  }
}

/** Fetches into FILE.part, compares size and hash, renames. A FILE.part that a broken run left is gone on with. */
async function fetchPiece({ client, values, positionals, show }: Session): Promise<void> {
  const ref = argument(positionals, 0);
  const piece = await client.pieceData(ref);
  const file = text(values, 'out') ?? `${piece.sector ?? piece.job}.piece`;
  if (await exists(file)) throw new UsageError(`${file} is there already; move it away, or name another file with --out`);
  const part = `${file}.part`;
  const handle = await open(part, constants.O_RDWR | constants.O_CREAT, 0o600).catch((error: NodeJS.ErrnoException) => {
    throw new UsageError(`${part} cannot be written (${error.code}); name another file with --out`);
  });
  let sound = false;
  try {
    await complete(handle, part, piece, () => client.pieceData(ref));
    sound = await holds(part, piece);
    if (sound) await handle.sync();
  } finally {
    await handle.close();
  }
  if (!sound) {
    await rm(part, { force: true });
    throw new Error(`what came is not the data that was unsealed (its hash differs from ${piece.hash}); fetch it again`);
  }
  await rename(part, file);
  show({ ...piece, file }, ({ sizeBytes, hash }) => `${file}: ${sizeBytes} bytes, ${hash}`);
}

/** Appends what the file lacks; asks for a fresh URL after each break. */
async function complete(handle: FileHandle, part: string, first: Piece, again: () => Promise<Piece>): Promise<void> {
  const sizeBytes = Number(first.sizeBytes);
  let have = (await handle.stat()).size;
  if (have > sizeBytes) {
    await handle.truncate(0);
    have = 0;
  }
  let piece = first;
  for (let tries = 0; have < sizeBytes;) {
    const before = have;
    try {
      have = await receive(handle, piece, have);
    } catch (error) {
      have = (await handle.stat()).size;
      tries = have > before ? 0 : tries + 1;
      if (tries === MAX_TRIES) throw new BrokenOff(piece.url, error, `${part} has ${have} of ${sizeBytes} bytes`);
      piece = await again();
      if (piece.hash !== first.hash) throw new Error('the sector was unsealed again meanwhile; fetch it again', { cause: error });
    }
  }
}

/** Appends the rest from byte `have` on; answers how many bytes there are now. */
async function receive(handle: FileHandle, piece: Piece, have: number): Promise<number> {
  const answer = await fetch(piece.url, { headers: have === 0 ? {} : { range: `bytes=${have}-` } });
  if (answer.status !== (have === 0 ? 200 : 206)) {
    await answer.body?.cancel();
    throw new Error(`the object store answered ${answer.status}`);
  }
  let at = have;
  for await (const bytes of answer.body ?? []) {
    if (at + bytes.length > Number(piece.sizeBytes)) throw new Error('the object store sent more than the data has');
    for (let from = 0; from < bytes.length;) from += (await handle.write(bytes, from, bytes.length - from, at + from)).bytesWritten;
    at += bytes.length;
  }
  if (at < Number(piece.sizeBytes)) throw new Error('the connection ended early');
  return at;
}

async function holds(path: string, { hash }: Piece): Promise<boolean> {
  const read = createHash('sha256');
  for await (const bytes of createReadStream(path, { highWaterMark: 2 ** 20 })) read.update(bytes as Buffer);
  return `sha256:${read.digest('hex')}` === hash;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

export const FETCH_COMMANDS: readonly Command[] = [
  {
    words: 'sectors fetch',
    takes: 'SECTOR (s-t01000-7 or j-…) [--out FILE]',
    about: 'the data that an unseal job gave back, into a file',
    options: { out: { type: 'string', short: 'o' } },
    positionals: [1, 1],
    run: fetchPiece,
  },
];
