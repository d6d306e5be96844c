/** What one stage may use at most, and the failures that say it wanted more. */
import { lstat, readdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { StageFailure, errnoOf } from './failure.ts';

export type StageLimits = {
  readonly memoryBytes?: number | undefined;
  /** Processes and threads. */
  readonly processes: number;
  /** Of its work folder: inputs, outputs, and what it puts aside. */
  readonly workBytes?: number | undefined;
};

/** How often a running stage is looked at. */
const LOOK_MS = 1_000;
/** With less free than this a write of any use fails. */
const FULL_BYTES = 256 * 1024;

/** It met its limit of memory, or the machine's own. */
export function outOfMemory({ memoryBytes }: StageLimits): StageFailure {
  const what = memoryBytes === undefined ? 'more memory than the machine has' : `more than its ${memoryBytes} bytes of memory`;
  return new StageFailure(
    'out_of_memory',
    `the stage wanted ${what} and was ended; give it more (runner.stage_memory_bytes), or a machine that has more`,
  );
}

/** It met its limit of processes and threads. */
export function tooManyProcesses({ processes }: StageLimits): StageFailure {
  return new StageFailure(
    'too_many_processes',
    `the stage wanted more than its ${processes} processes and threads and was ended; give it more (runner.stage_processes) if it should have them`,
  );
}

/** Its work folder is larger than it may be. */
export function workFolderFull({ workBytes }: StageLimits): StageFailure {
  return new StageFailure(
    'out_of_disk',
    `the stage wrote more than the ${workBytes} bytes that its work folder may have and was ended; give it more (runner.stage_work_bytes) if it should have them`,
  );
}

/** `out_of_disk` when the disk that the folder is on has nothing left. */
export async function fullDisk(folder: string): Promise<StageFailure | undefined> {
  const { bavail, bsize } = await statfs(folder);
  if (bavail * bsize >= FULL_BYTES) return undefined;
  return new StageFailure('out_of_disk', "the disk of the runner's work folder is full; free space there, or give --data on a larger disk");
}

/** What is over its limit: by the size of the work folder, or by what `also` says. */
export async function overLimit(
  folder: string,
  limits: StageLimits,
  also: () => Promise<StageFailure | undefined>,
): Promise<StageFailure | undefined> {
  if (limits.workBytes !== undefined && (await folderBytes(folder)) > limits.workBytes) return workFolderFull(limits);
  return also();
}

/** Looks every second until something is found, tells it once, or until the answered function is called. */
export function watchStage(look: () => Promise<StageFailure | undefined>, onFound: (failure: StageFailure) => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  let ended = false;
  const again = (): void => {
    timer = setTimeout(() => void once(), LOOK_MS);
  };
  const once = async (): Promise<void> => {
    // What cannot be looked at now (it is ending, the engine is busy) is looked at again.
    const found = await look().catch(() => undefined);
    if (ended) return;
    if (found === undefined) again();
    else onFound(found);
  };
  again();
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}

/** Bytes on the disk of all files below a folder; links are not followed. What goes away meanwhile counts nothing. */
export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(ifGone(() => []))) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) bytes += await folderBytes(path);
    else
      bytes += await lstat(path).then(
        ({ blocks }) => blocks * 512,
        ifGone(() => 0),
      );
  }
  return bytes;
}

const ifGone =
  <T>(instead: () => T) =>
  (error: unknown): T => {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return instead();
    throw error;
  };
