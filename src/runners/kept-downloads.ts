/**
 * Large inputs are fetched into DATA/fetching, under the name of their hash: when an attempt breaks off, or the agent dies, the
 * next attempt with the same input goes on where it was. What nobody comes back for goes after some hours.
 */
import { copyFile, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { InputFile } from '../schema/runner.ts';
import { download } from './download.ts';
import { StageFailure, errnoOf } from './failure.ts';
import type { TransferOptions } from './transfer-errors.ts';

/** Smaller ones are fetched anew in no time. */
const WORTH_BYTES = 64 * 2 ** 20;
const KEPT_MS = 6 * 3_600_000;

export type KeptOptions = { readonly dataDir: string; readonly worthBytes?: number };

export class KeptDownloads {
  readonly #folder: string;
  readonly #worthBytes: number;
  readonly #busy = new Set<string>();

  constructor({ dataDir, worthBytes = WORTH_BYTES }: KeptOptions) {
    this.#folder = join(dataDir, 'fetching');
    this.#worthBytes = worthBytes;
  }

  /** As `download`, going on with what an earlier attempt left. */
  async fetch(input: InputFile, path: string, options: TransferOptions): Promise<void> {
    const name = input.hash.slice(input.hash.indexOf(':') + 1);
    // Two attempts at a time with one input: the second has its own.
    if (Number(input.sizeBytes) < this.#worthBytes || !/^[0-9a-f]{64}$/.test(name) || this.#busy.has(name)) {
      return download(input, path, options);
    }
    this.#busy.add(name);
    try {
      await this.sweep(Date.now() - KEPT_MS);
      const whole = join(this.#folder, name);
      await download(input, whole, options);
      await mkdir(dirname(path), { recursive: true });
      await move(whole, path);
    } catch (error) {
      if (error instanceof StageFailure && (error.code === 'input_differs' || error.code === 'input_missing')) await this.#drop(name);
      if (error instanceof StageFailure && error.code === 'out_of_disk') await this.sweep(Infinity);
      throw error;
    } finally {
      this.#busy.delete(name);
    }
  }

  /** Drops what no transfer uses and was last written to before then (Unix milliseconds). */
  async sweep(beforeMs: number): Promise<void> {
    for (const file of await readdir(this.#folder).catch(() => [])) {
      const name = file.replace(/\..*$/, '');
      if (this.#busy.has(name)) continue;
      const found = await stat(join(this.#folder, file)).catch(() => undefined);
      if (found !== undefined && found.mtimeMs < beforeMs) await rm(join(this.#folder, file), { force: true });
    }
  }

  async #drop(name: string): Promise<void> {
    for (const file of await readdir(this.#folder).catch(() => [])) {
      if (file.startsWith(name)) await rm(join(this.#folder, file), { force: true });
    }
  }
}

/** Also to another disk: work folders may have one of their own. */
async function move(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (errnoOf(error) !== 'EXDEV') throw error;
    await copyFile(from, to);
    await rm(from);
  }
}
