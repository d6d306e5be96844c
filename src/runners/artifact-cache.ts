/**
 * DATA/artifacts: artifacts that this machine made or fetched, so that a later stage here needs not fetch them. Files are hard
 * links of those that stages work on: keeping one costs no copy, and dropping one takes nothing from a stage that reads it.
 * Nobody trusts them: whoever reads an input compares its hash.
 */
import { link, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Log } from './options.ts';
import { freeBytes } from './resources.ts';

/** A request takes no more keys. */
const MOST_SAID = 500;

export class ArtifactCache {
  readonly #folder: string;
  readonly #limitBytes: number;
  readonly #log: Log;
  /** Sizes by key, first those that were used longest ago. */
  readonly #sizes = new Map<string, number>();
  #bytes = 0;
  readonly #tells: boolean;

  private constructor(folder: string, limitBytes: number, tells: boolean, log: Log) {
    this.#folder = folder;
    this.#limitBytes = limitBytes;
    this.#tells = tells;
    this.#log = log;
  }

  /** With what an agent before this one kept. `limitBytes` undefined: half of the disk that is free or in the cache; 0: nothing is kept. */
  static async open(dataDir: string, limitBytes: number | undefined, log: Log): Promise<ArtifactCache> {
    const folder = resolve(dataDir, 'artifacts');
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const files = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isFile());
    const found = await Promise.all(files.map(async ({ name }) => ({ key: keyOf(name), ...(await statOf(join(folder, name))) })));
    const bytes = found.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const limit = limitBytes ?? Math.floor(((await freeBytes(folder)) + bytes) / 2);
    const cache = new ArtifactCache(folder, limit, limit > 0 || found.length > 0, log);
    for (const { key, sizeBytes } of found.sort((one, other) => one.changedMs - other.changedMs)) cache.#add(key, sizeBytes);
    await cache.#evictTo(cache.#limitBytes);
    return cache;
  }

  /** Keys of what is here, last used first. */
  get keys(): string[] {
    return [...this.#sizes.keys()].reverse();
  }

  /** What the control plane is told with each call, also that nothing is here. Of a machine that keeps nothing there is nothing to say. */
  get told(): { cached?: string[] } {
    return this.#tells ? { cached: this.keys.slice(0, MOST_SAID) } : {};
  }

  /** What `makeRoom` can free: a file that a stage works on has another link, and its going frees nothing. */
  async freeableBytes(): Promise<number> {
    const files = await Promise.all([...this.#sizes.keys()].map((key) => statOf(this.#file(key)).catch(() => undefined)));
    return files.reduce((sum, file) => sum + (file?.links === 1 ? file.sizeBytes : 0), 0);
  }

  /** Puts the file at `path`, whose folder exists. False: it is not here, or has another size. */
  async take(key: string, sizeBytes: number, path: string): Promise<boolean> {
    if (this.#sizes.get(key) !== sizeBytes) return false;
    try {
      await link(this.#file(key), path);
    } catch {
      await this.forget([key]);
      return false;
    }
    this.#add(key, sizeBytes);
    return true;
  }

  /** Keeps the finished file at `path`, which nobody changes any more; older ones go where there is no room. Never throws. */
  async keep(key: string, path: string): Promise<void> {
    if (this.#sizes.has(key)) return;
    try {
      const { sizeBytes } = await statOf(path);
      if (sizeBytes > this.#limitBytes) return;
      await this.#evictTo(this.#limitBytes - sizeBytes);
      await link(path, this.#file(key));
      this.#add(key, sizeBytes);
    } catch (error) {
      this.#log('warn', `${key} is not kept in the cache: ${String(error)}`);
    }
  }

  /** Lets artifacts go until so many bytes of the disk are free. Those that a stage works on stay: their going frees nothing. */
  async makeRoom(neededBytes: number): Promise<void> {
    for (const key of this.#sizes.keys()) {
      if ((await freeBytes(this.#folder)) >= neededBytes) return;
      const { links } = await statOf(this.#file(key)).catch(() => ({ links: 1 }));
      if (links === 1) await this.forget([key]);
    }
  }

  /** Never throws: what cannot be removed is no longer told of, and found again by the next agent. */
  async forget(keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      if (!this.#sizes.has(key)) continue;
      this.#remove(key);
      await rm(this.#file(key), { force: true }).catch((error: unknown) =>
        this.#log('warn', `${key} cannot be removed from the cache: ${String(error)}`),
      );
    }
  }

  async #evictTo(bytes: number): Promise<void> {
    for (const key of this.#sizes.keys()) {
      if (this.#bytes <= bytes) return;
      await this.forget([key]);
    }
  }

  #add(key: string, sizeBytes: number): void {
    this.#remove(key);
    this.#sizes.set(key, sizeBytes);
    this.#bytes += sizeBytes;
  }

  #remove(key: string): void {
    this.#bytes -= this.#sizes.get(key) ?? 0;
    this.#sizes.delete(key);
  }

  #file(key: string): string {
    return join(this.#folder, encodeURIComponent(key));
  }
}

/** The key that a file's name stands for; a name that is none of ours stands for itself. */
function keyOf(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

async function statOf(path: string): Promise<{ sizeBytes: number; changedMs: number; links: number }> {
  const { size, ctimeMs, nlink } = await stat(path);
  return { sizeBytes: size, changedMs: ctimeMs, links: nlink };
}
