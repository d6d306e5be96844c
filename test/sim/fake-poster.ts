/** Whoever does Window PoSt: an index of which storage has which file, as lotus keeps one. Telling it something twice is harmless. */
import type { Declaration } from '../../src/effects/declare.ts';
import { SealpoolError } from '../../src/schema/problem.ts';
import type { MinerDisks } from './miner-disks.ts';

export class FakePoster {
  /** Storages by path of a file. */
  readonly index = new Map<string, Set<string>>();
  readonly #disks: MinerDisks;

  constructor(disks: MinerDisks) {
    this.#disks = disks;
  }

  /** It knows what is there before anybody tells it. */
  begin(): void {
    for (const { id, files } of this.#disks.all) for (const path of files.keys()) this.#add(path, id);
  }

  sees(path: string, storage: string): boolean {
    return this.index.get(path)?.has(storage) ?? false;
  }

  /** It looks for the files before it says that it sees them. */
  readonly declare = async ({ storage, files, dropped }: Omit<Declaration, 'id'>): Promise<void> => {
    const disk = this.#disks.find(storage);
    for (const path of files) {
      if (disk?.read(path) === undefined)
        throw new SealpoolError('unavailable', 'not_seen', `${path} is not seen in storage ${storage}; it is asked again`);
    }
    for (const path of files) {
      this.#add(path, storage);
      if (dropped !== null) this.index.get(path)?.delete(dropped.storage);
    }
  };

  #add(path: string, storage: string): void {
    const known = this.index.get(path) ?? new Set<string>();
    known.add(storage);
    this.index.set(path, known);
  }
}
