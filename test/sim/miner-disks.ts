/**
 * Miner storage: disks that every own runner has mounted, as a network mount is. They outlive runners and control planes; faults fill
 * them, make them read-only or take them away. What is on one that is away is still on it.
 */
import type { StoragePath } from '../../src/schema/miner-storage.ts';
import type { MinerStorage } from './work.ts';

export type DiskSettings = { readonly weight: number; readonly totalBytes: number };

/** The one that stories without disks of their own have: with room for everything. */
export const FIRST_DISK = 'store';
const ROOMY: DiskSettings = { weight: 1, totalBytes: 2 ** 40 };

/** Told of what is done to a disk's files. */
export type DiskTold = {
  readonly wrote: (disk: MinerDisk, path: string) => void;
  readonly removes: (disk: MinerDisk, path: string, since: number) => void;
};

export class MinerDisk {
  readonly id: string;
  readonly root: string;
  readonly files: MinerStorage = new Map();
  /** Bytes that are not ours. */
  othersBytes = 0;
  readOnly = false;
  away = false;
  totalBytes: number;
  readonly weight: number;
  readonly #told: DiskTold;

  constructor(id: string, settings: DiskSettings, told: DiskTold) {
    this.id = id;
    this.root = id === FIRST_DISK ? '/storage' : `/storage-${id}`;
    this.totalBytes = settings.totalBytes;
    this.weight = settings.weight;
    this.#told = told;
  }

  get freeBytes(): number {
    let used = this.othersBytes;
    for (const content of this.files.values()) used += content.length;
    return Math.max(0, this.totalBytes - used);
  }

  /** Why nothing can be written there; undefined: it can. */
  get closed(): string | undefined {
    return this.away ? `${this.root} is not there` : this.readOnly ? 'it is read-only' : undefined;
  }

  /** What a runner finds under the path. */
  read(path: string): string | undefined {
    return this.away ? undefined : this.files.get(path);
  }

  write(path: string, content: string): void {
    this.files.set(path, content);
    this.#told.wrote(this, path);
  }

  /** `since`: how many databases had been lost when that was asked for. */
  remove(path: string, since: number): void {
    if (this.files.has(path)) this.#told.removes(this, path, since);
    this.files.delete(path);
  }

  /** As an agent tells of it. */
  told(): StoragePath {
    const { id, root, weight, totalBytes, readOnly, away } = this;
    const now = away
      ? { storeId: null, problem: `${root} is not there`, freeBytes: 0, totalBytes: 0 }
      : { storeId: `disk ${id}`, problem: null, freeBytes: this.freeBytes, totalBytes };
    return { id, path: root, weight, reserveBytes: 0, readOnly, allowMiners: [], denyMiners: [], ...now };
  }
}

export class MinerDisks {
  readonly all: readonly MinerDisk[];
  /** Whether runners tell of them; else they choose themselves, as older agents do. */
  readonly told: boolean;

  constructor(disks: readonly DiskSettings[] | undefined, told: DiskTold) {
    this.told = disks !== undefined;
    this.all = (disks ?? [ROOMY]).map((settings, at) => new MinerDisk(at === 0 ? FIRST_DISK : `store-${at}`, settings, told));
  }

  get first(): MinerDisk {
    return this.all[0] as MinerDisk;
  }

  find(id: string): MinerDisk | undefined {
    return this.all.find((disk) => disk.id === id);
  }

  /** They are mended: there, writable, and with much room. */
  mend(): void {
    for (const disk of this.all) Object.assign(disk, { away: false, readOnly: false, othersBytes: 0, totalBytes: 2 ** 40 });
  }
}
