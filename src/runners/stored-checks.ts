/** Reads stored files against their hashes in the background, one sector after another and no faster than it was told. */
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StoredFile } from '../schema/stage.ts';
import type { StoredCheck, StoredCheckAnswer } from '../schema/stored-check.ts';
import { StageFailure, errnoOf } from './failure.ts';
import { readThrough } from './file-hash.ts';
import type { StorageRoot } from './options.ts';
import { findStored, namedRoot } from './storage-roots.ts';
import type { StorageWatch } from './storage-paths.ts';

/** Checks of one agent. Their answers are kept until the control plane has taken them. */
export class StoredChecks {
  readonly #roots: readonly StorageRoot[];
  readonly #watch: StorageWatch;
  readonly #onAnswer: () => void;
  readonly #stopping = new AbortController();
  readonly #answers: StoredCheckAnswer[] = [];
  #last: Promise<void> = Promise.resolve();

  constructor(roots: readonly StorageRoot[], watch: StorageWatch, onAnswer: () => void) {
    this.#roots = roots;
    this.#watch = watch;
    this.#onAnswer = onAnswer;
  }

  begin(checks: readonly StoredCheck[]): void {
    for (const check of checks) this.#last = this.#last.then(() => this.#run(check));
  }

  /** Answers that the control plane has not taken yet. */
  unsent(): StoredCheckAnswer[] {
    return this.#answers.slice(0, 64);
  }

  sent(answers: readonly StoredCheckAnswer[]): void {
    for (const answer of answers) {
      const at = this.#answers.indexOf(answer);
      if (at >= 0) this.#answers.splice(at, 1);
    }
  }

  /** Ends what is read; there is no answer to it. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the runner is stopping'));
    await this.#last;
  }

  async #run({ storage, miner, number, files, bytesPerS }: StoredCheck): Promise<void> {
    const { signal } = this.#stopping;
    if (signal.aborted) return;
    const answer = await checkFiles({ roots: this.#roots, watch: this.#watch, storage, files, bytesPerS, signal }).catch(
      () => 'away' as const,
    );
    if (signal.aborted) return;
    const about = { storage, miner, number };
    this.#answers.push(answer === 'away' ? { ...about, outcome: 'away', bad: [] } : { ...about, outcome: 'checked', bad: answer });
    this.#onAnswer();
  }
}

type Checked = {
  readonly roots: readonly StorageRoot[];
  readonly watch: StorageWatch;
  readonly storage: string;
  readonly files: readonly StoredFile[];
  readonly bytesPerS: number;
  readonly signal: AbortSignal;
};

/** The files that are not as they were stored; `away` when the storage is not there, before or after. */
async function checkFiles({ roots, watch, storage, files, bytesPerS, signal }: Checked): Promise<StoredCheckAnswer['bad'] | 'away'> {
  const root = await namedRoot(roots, storage);
  const away = async (): Promise<boolean> => (await watch.look(root)).problem !== null;
  if (await away()) return 'away';
  const bad: StoredCheckAnswer['bad'] = [];
  for (const file of files) {
    const how = await wrongWith(root, file, bytesPerS, signal);
    if (how !== undefined) bad.push({ path: file.path.slice(0, 400), how: how.slice(0, 300) });
  }
  return bad.length > 0 && (await away()) ? 'away' : bad;
}

async function wrongWith(
  root: StorageRoot,
  { path, sizeBytes, hash }: StoredFile,
  bytesPerS: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  let handle: FileHandle | undefined;
  try {
    const stored = await findStored(root, path);
    if (stored === undefined) return 'it is not there';
    if (String(stored.sizeBytes) !== sizeBytes) return `it has ${stored.sizeBytes} bytes and not ${sizeBytes}`;
    handle = await open(stored.path, 'r');
    const startedMs = performance.now();
    let read = 0;
    const found = await readThrough(handle, signal, async ({ length }) => {
      read += length;
      const aheadMs = (read / bytesPerS) * 1_000 - (performance.now() - startedMs);
      if (aheadMs > 1) await sleep(aheadMs, undefined, { signal });
    });
    return found.hash === hash ? undefined : `it has hash ${found.hash} and not ${hash}`;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof StageFailure) return error.message;
    return `it cannot be read (${errnoOf(error) ?? String(error)})`;
  } finally {
    await handle?.close();
  }
}
