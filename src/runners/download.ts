/**
 * Fetches an input by its URL in parts, several side by side, each checked against the manifest as it arrives; what broke is
 * fetched again, and nothing else. Beside the file stands a journal of its parts, with which a later call goes on.
 */
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { sumsOf } from '../schema/manifest.ts';
import type { InputFile } from '../schema/runner.ts';
import { DownloadJournal, type Subject, journaledParts, sumOnDisk } from './download-journal.ts';
import { StageFailure, errnoOf } from './failure.ts';
import { InputParts } from './input-parts.ts';
import { inLanes } from './lanes.ts';
import { LaneThread } from './lane-thread.ts';
import { type Lane, laneHere } from './range-sink.ts';
import { STALL_MS, type TransferOptions } from './transfer-errors.ts';

/** Parts under way at a time, each over a connection and with a buffer of its own. */
const LANES = 4;
/** Of files without a manifest. */
const PART_BYTES = 64 * 2 ** 20;
/**
 * Threads of lanes over TLS, which fills a core, and the least file that is worth starting them. Without TLS they gain nothing and
 * cost CPU (bench/transfer).
 */
const THREADS = 2;
const THREADS_FROM_BYTES = 256 * 2 ** 20;

/** What an earlier call that broke off may have left, and a later one goes on with. */
export function partialFiles(path: string): { readonly draft: string; readonly journal: string } {
  return { draft: `${path}.part`, journal: `${path}.journal` };
}

/**
 * Makes the file at `path`, which appears when it is whole, in place of an older one. Its hash is checked by whoever reads it, its
 * parts are here, where the input has a manifest. After a failure what was fetched stays beside it, and the next call for the same
 * input goes on from there; not for two calls at once. Throws `StageFailure`: `input_missing`, `input_differs`, `out_of_disk`,
 * `transfer_failed`.
 */
export async function download(input: InputFile, path: string, options: TransferOptions): Promise<void> {
  const sizeBytes = Number(input.sizeBytes);
  const sums = input.manifest === undefined ? undefined : sumsOf(input.manifest, sizeBytes);
  const partSizeBytes = (sums === undefined ? undefined : input.manifest?.partSizeBytes) ?? PART_BYTES;
  const subject: Subject = { sizeBytes: input.sizeBytes, hash: input.hash, partSizeBytes };
  const { draft, journal } = partialFiles(path);
  try {
    await mkdir(dirname(path), { recursive: true });
    const handle = await open(draft, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    try {
      const parts = new InputParts({ input, handle, sums, partSizeBytes, stallMs: STALL_MS });
      // Of a file of one part nothing is kept.
      if (parts.count === 1) {
        await handle.truncate(0);
        await fetchParts(input, parts, new Set(), options);
      } else {
        const resumed = await partsOnDisk(parts, handle, await journaledParts(journal, subject), options.signal);
        if (resumed === undefined) await handle.truncate(0);
        const kept = resumed === undefined ? await DownloadJournal.begin(journal, subject) : await DownloadJournal.reopen(journal);
        try {
          await fetchParts(input, parts, resumed ?? new Set(), options, kept);
        } finally {
          await kept.close();
        }
      }
    } finally {
      await handle.close();
    }
    await rename(draft, path);
    await rm(journal, { force: true });
  } catch (error) {
    if (errnoOf(error) === 'ENOSPC' || errnoOf(error) === 'EDQUOT') {
      throw new StageFailure('out_of_disk', `the runner's work disk is full while fetching ${input.name}; free space there`);
    }
    throw error;
  }
}

async function fetchParts(
  input: InputFile,
  parts: InputParts,
  have: ReadonlySet<number>,
  options: TransferOptions,
  journal?: DownloadJournal,
): Promise<void> {
  const missing = Array.from({ length: parts.count }, (_, at) => at).filter((at) => !have.has(at));
  if (missing.length === 0) return;
  const threads = Array.from({ length: options.threads ?? threadsFor(input) }, () => new LaneThread(STALL_MS));
  const idle = Array.from(
    { length: Math.min(LANES, missing.length) },
    (_, at) => threads[at % threads.length]?.lane() ?? laneHere(STALL_MS),
  );
  try {
    await inLanes(missing, LANES, options.signal, async (at, signal) => {
      const lane = idle.shift() as Lane;
      try {
        const sum = await parts.fetch(at, lane, { ...options, signal });
        await journal?.add(at, sum);
      } finally {
        idle.push(lane);
      }
    });
  } finally {
    for (const lane of idle) lane.close();
    await Promise.all(threads.map((thread) => thread.close()));
  }
}

function threadsFor({ url, sizeBytes }: InputFile): number {
  const worth = url.startsWith('https:') && Number(sizeBytes) >= THREADS_FROM_BYTES && availableParallelism() > 1;
  return worth ? THREADS : 0;
}

/** Parts of the journal that are on the disk as it says, and as the manifest says; undefined without a journal. */
async function partsOnDisk(
  parts: InputParts,
  handle: FileHandle,
  journaled: ReadonlyMap<number, number> | undefined,
  signal: AbortSignal,
): Promise<Set<number> | undefined> {
  if (journaled === undefined) return undefined;
  const have = new Set<number>();
  for (const [at, sum] of journaled) {
    const { from, sizeBytes, wanted } = parts.part(at);
    if (wanted !== undefined && wanted !== sum) continue;
    if ((await sumOnDisk(handle, from, sizeBytes, signal)) === sum) have.add(at);
  }
  return have;
}
