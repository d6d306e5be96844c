/**
 * Large inputs are fetched into DATA/fetching, under the name of their hash: when an attempt breaks off, or the agent dies, the
 * next attempt with the same input goes on where it was. What nobody comes back for goes after some hours, and before that when a
 * stage needs the room.
 */
import { copyFile, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { InputFile } from '../schema/runner.ts';
import { download } from './download.ts';
import { StageFailure, errnoOf } from './failure.ts';
import { freeBytes } from './resources.ts';
import type { TransferOptions } from './transfer-errors.ts';

/** Smaller ones are fetched anew in no time. */
const WORTH_BYTES = 64 * 2 ** 20;
const KEPT_MS = 6 * 3_600_000;
/** What `stat` counts in. */
const BLOCK_BYTES = 512;

type Found = { readonly name: string; readonly path: string; readonly mtimeMs: number; readonly diskBytes: number };

export type KeptOptions = { readonly dataDir: string; readonly worthBytes?: number };

export class KeptDownloads {
  readonly #folder: string;
  readonly #worthBytes: number;
  readonly #busy = new Set<string>();
  /** Removals go one after another. */
  #removing: Promise<void> = Promise.resolve();

  constructor({ dataDir, worthBytes = WORTH_BYTES }: KeptOptions) {
    this.#folder = join(dataDir, 'fetching');
    this.#worthBytes = worthBytes;
  }

  /** As `download`, going on with what an earlier attempt left. */
  async fetch(input: InputFile, path: string, options: TransferOptions): Promise<void> {
    const name = nameOf(input);
    // Two attempts at a time with one input: the second has its own.
    if (Number(input.sizeBytes) < this.#worthBytes || !/^[0-9a-f]{64}$/.test(name) || this.#busy.has(name)) {
      return download(input, path, options);
    }
    this.#busy.add(name);
    try {
      // One that began before this transfer did may be at its file.
      await this.#removing;
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

  /** Drops what no transfer uses and nobody came back for until `nowMs` (Unix milliseconds). */
  async sweep(nowMs: number): Promise<void> {
    await this.#remove(({ mtimeMs }) => mtimeMs < nowMs - KEPT_MS);
  }

  /** What `makeRoom` can free: the space on the disk of what no transfer uses. */
  async freeableBytes(): Promise<number> {
    return (await this.#idle()).reduce((sum, { diskBytes }) => sum + diskBytes, 0);
  }

  /** Drops what no transfer uses until so many bytes of the disk are free, but for the inputs that `goingOn` names. Never throws: what stays leaves less room. */
  async makeRoom(neededBytes: number, goingOn: readonly InputFile[]): Promise<void> {
    const kept = new Set(goingOn.map(nameOf));
    await this.#remove(async ({ name }) => !kept.has(name) && (await freeBytes(this.#folder)) < neededBytes).catch(() => undefined);
  }

  /** What no transfer uses, first what was written to longest ago. */
  async #idle(): Promise<Found[]> {
    const found: Found[] = [];
    for (const file of await readdir(this.#folder).catch(() => [])) {
      const path = join(this.#folder, file);
      const name = file.replace(/\..*$/, '');
      const stats = this.#busy.has(name) ? undefined : await stat(path).catch(() => undefined);
      // Parts are written where they belong, so a file may be longer than what is there of it.
      if (stats !== undefined) found.push({ name, path, mtimeMs: stats.mtimeMs, diskBytes: stats.blocks * BLOCK_BYTES });
    }
    return found.sort((one, other) => one.mtimeMs - other.mtimeMs);
  }

  #remove(goes: (found: Found) => boolean | Promise<boolean>): Promise<void> {
    const removed = this.#removing.then(async () => {
      for (const found of await this.#idle()) {
        // A transfer may have begun with it meanwhile.
        if ((await goes(found)) && !this.#busy.has(found.name)) await rm(found.path, { force: true });
      }
    });
    this.#removing = removed.catch(() => undefined);
    return removed;
  }

  async #drop(name: string): Promise<void> {
    for (const file of await readdir(this.#folder).catch(() => [])) {
      if (file.startsWith(name)) await rm(join(this.#folder, file), { force: true });
    }
  }
}

function nameOf({ hash }: InputFile): string {
  return hash.slice(hash.indexOf(':') + 1);
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
