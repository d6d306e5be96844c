/** The inputs of an attempt: from the cache where they are there, else from the object store. */
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { exactSizeBytes } from '../schema/artifact.ts';
import type { Grant, InputFile } from '../schema/runner.ts';
import { sealProofInfo } from '../schema/seal-proof.ts';
import type { ArtifactCache } from './artifact-cache.ts';
import { StageFailure } from './failure.ts';
import type { KeptDownloads } from './kept-downloads.ts';
import { inLanes } from './lanes.ts';
import type { Log } from './options.ts';
import type { Progress } from './progress.ts';
import type { TransferOptions } from './transfer-errors.ts';

/** Inputs fetched at a time; large ones have lanes of their own. */
const INPUTS_AT_ONCE = 2;
/** A stage's trees and other files whose size nobody tells before, in sectors. */
const OTHER_OUTPUTS = 1.5;
/** Kept free beside that. */
const MARGIN_BYTES = 2 ** 30;

export type Fetching = {
  readonly grant: Grant;
  /** Holds `in/`. */
  readonly workDir: string;
  readonly downloads: KeptDownloads;
  readonly cache: ArtifactCache | undefined;
  readonly progress: Progress;
  readonly transfer: TransferOptions;
  readonly log: Log;
  readonly about: Record<string, unknown>;
};

/** Gets all inputs; answers the names of those that came from the cache. Throws `StageFailure`. */
export async function fetchInputs(fetching: Fetching): Promise<Set<string>> {
  const { grant, cache, downloads, transfer, log, about } = fetching;
  const cached = new Set<string>();
  for (const input of grant.inputs) {
    if (await takeCached(fetching, input)) cached.add(input.name);
  }
  const missing = grant.inputs.filter(({ name }) => !cached.has(name));
  const roomBytes = neededBytes(grant, cached) + MARGIN_BYTES;
  // A whole file may save a fetch, half a file only half of one.
  await downloads.makeRoom(roomBytes, missing);
  await cache?.makeRoom(roomBytes);
  await inLanes(missing, INPUTS_AT_ONCE, transfer.signal, async (input, signal) => fetchInput(fetching, input, signal));
  if (grant.inputs.length > 0)
    log('info', cached.size === 0 ? 'inputs fetched' : 'inputs are there', { ...about, files: missing.length, cached: cached.size });
  return cached;
}

/** Fetches one that was taken from the cache and is not what it should be. */
export async function fetchAnew(fetching: Fetching, name: string): Promise<void> {
  const input = fetching.grant.inputs.find((one) => one.name === name) as InputFile;
  fetching.log('warn', `${name} in the cache is damaged; it is fetched anew`, fetching.about);
  if (input.key !== undefined) await fetching.cache?.forget([input.key]);
  await rm(pathOf(fetching, input), { force: true });
  await fetchInput(fetching, input, fetching.transfer.signal);
}

const pathOf = ({ workDir }: Fetching, { name }: InputFile): string => join(workDir, 'in', name);

async function takeCached(fetching: Fetching, input: InputFile): Promise<boolean> {
  if (fetching.cache === undefined || input.key === undefined) return false;
  const path = pathOf(fetching, input);
  await mkdir(dirname(path), { recursive: true });
  return fetching.cache.take(input.key, Number(input.sizeBytes), path);
}

async function fetchInput(fetching: Fetching, input: InputFile, signal: AbortSignal): Promise<void> {
  const { downloads, progress, transfer, log, about } = fetching;
  const path = pathOf(fetching, input);
  progress.note(`fetching ${input.name}`);
  try {
    await downloads.fetch(input, path, { ...transfer, signal });
  } catch (error) {
    if (input.required !== false || !(error instanceof StageFailure) || error.code === 'out_of_disk') throw error;
    // Whoever made it, and whatever is wrong with it: the stage makes it again.
    log('warn', `${error.message}; the stage makes it again`, about);
    await rm(path, { force: true });
  }
}

/** About what the attempt needs of the disk. */
function neededBytes(grant: Grant, cached: ReadonlySet<string>): number {
  const fetched = grant.inputs.reduce((sum, { name, sizeBytes }) => sum + (cached.has(name) ? 0 : Number(sizeBytes)), 0);
  if (grant.work.kind !== 'prover' || grant.outputs.length === 0) return fetched;
  const { sealProof } = grant.work.sector;
  const made = grant.outputs.reduce((sum, { name, required }) => sum + (required ? (exactSizeBytes(name, sealProof) ?? 0) : 0), 0);
  return fetched + made + OTHER_OUTPUTS * sealProofInfo(sealProof).sectorSizeBytes;
}
