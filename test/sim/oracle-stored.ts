/**
 * What must hold of stored files at any moment: the path that a sector's record names holds them; nothing is dropped that a record or
 * a live job still reads, nor before the copy is whole and whoever does Window PoSt knows of it; no room is promised twice; and what
 * was declared is so. It reads the disks themselves, the index of whoever was told, and rows; no code of the engine.
 */
import type { FakePoster } from './fake-poster.ts';
import type { MinerDisk, MinerDisks } from './miner-disks.ts';
import { ended } from './oracle-end.ts';
import type { Reader, RecordLine } from './reader.ts';
import { hashOf } from './replica.ts';

type Files = { readonly storage: string; readonly files: { readonly path: string; readonly hash: string }[] | null } | null | undefined;
type Data = { readonly stored?: Files; readonly record?: { readonly files?: Files } };
type Parts = {
  readonly disks: MinerDisks;
  readonly poster: FakePoster;
  readonly declares: boolean;
  readonly spoilt: Set<string>;
  readonly broken: (promise: string, what: string) => void;
};

const filesOf = ({ data }: RecordLine): Files => (JSON.parse(data) as { files: Files }).files;
const whose = ({ miner, number }: RecordLine): string => `s-${miner}-${number}`;
/** Jobs write it anew beside the files. */
const isRewritten = (path: string): boolean => path.endsWith('sector.json');
export const spoiltKey = (disk: MinerDisk, path: string): string => `${disk.id}:${path}`;

export class StoredOracle {
  readonly #parts: Parts;
  readonly #data = new Map<string, string>();
  readonly #promised = new Set<string>();
  /** What each storage was last told to have room for. */
  #room = new Map<string, number>();
  #restored = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** After every commit. */
  look(reader: Reader): void {
    for (const row of reader.records()) {
      if (this.#data.get(whose(row)) === row.data) continue;
      this.#data.set(whose(row), row.data);
      this.#whole(row);
    }
    if (this.#parts.disks.told) this.#promises(reader);
  }

  /** The database is an older one: what became of files since it does not know. */
  restored(reader: Reader): void {
    this.#restored = true;
    for (const row of reader.records()) this.excuse(row);
    // What a job stored may have been moved since: the record that it writes yet names the old path.
    for (const job of reader.jobs()) {
      const { stored, record } = reader.dataOf<Data>(job);
      for (const files of [stored, record?.files]) this.#spoil(files);
    }
  }

  /** What is not there, or bad, when the record comes up is nobody's fault but the script's. */
  excuse(row: RecordLine): void {
    this.#data.set(whose(row), row.data);
    this.#spoil(filesOf(row));
  }

  #spoil(files: Files): void {
    for (const [disk, path] of this.#wrong(files)) this.#parts.spoilt.add(spoiltKey(disk, path));
  }

  #wrong(named: Files): (readonly [MinerDisk, string])[] {
    const disk = this.#parts.disks.find(named?.storage ?? '');
    if (disk === undefined) return [];
    return (named?.files ?? []).flatMap(({ path, hash }) => {
      const content = disk.files.get(path);
      return content !== undefined && (isRewritten(path) || hashOf(content) === hash) ? [] : [[disk, path] as const];
    });
  }

  #whole(row: RecordLine): void {
    for (const [disk, path] of this.#wrong(filesOf(row))) {
      if (!this.#parts.spoilt.has(spoiltKey(disk, path)))
        this.#parts.broken('stored files', `the record of ${whose(row)} names ${disk.id}, and ${path} is not whole there`);
    }
  }

  /** A runner is about to remove a file. `lostSince`: the database was lost after that was asked for. */
  removing(disk: MinerDisk, path: string, reader: Reader, lostSince: boolean): void {
    const { broken, spoilt } = this.#parts;
    const named = (files: Files): boolean => files?.storage === disk.id && (files.files ?? []).some((file) => file.path === path);
    for (const row of reader.records()) {
      const files = filesOf(row);
      if (named(files)) {
        if (lostSince) spoilt.add(spoiltKey(disk, path));
        else broken('stored files', `${path} is removed from ${disk.id}, which the record of ${whose(row)} names`);
      } else if (files?.files?.some((file) => file.path === path) === true) this.#movedTo(files.storage, disk, path, row);
    }
    for (const job of reader.jobs()) {
      const { id, state } = job;
      if (ended(state)) continue;
      const { stored, record } = reader.dataOf<Data>(job);
      if (!named(stored) && (stored !== undefined || !named(record?.files))) continue;
      if (lostSince) spoilt.add(spoiltKey(disk, path));
      else broken('stored files', `${path} is removed from ${disk.id}, where ${id} in ${state} reads it`);
    }
  }

  #movedTo(storage: string, from: MinerDisk, path: string, row: RecordLine): void {
    const { disks, poster, declares, spoilt, broken } = this.#parts;
    const to = disks.find(storage);
    if (to === undefined || spoilt.has(spoiltKey(to, path))) return;
    const { hash = '' } = filesOf(row)?.files?.find((file) => file.path === path) ?? {};
    const content = to.files.get(path);
    if (content === undefined || (!isRewritten(path) && hashOf(content) !== hash))
      broken('stored files', `${path} is removed from ${from.id}, and is not whole in ${storage}, which the record of ${whose(row)} names`);
    if (declares && poster.sees(path, from.id) && !poster.sees(path, storage))
      broken('declarations', `${path} is removed from ${from.id} before whoever does Window PoSt was told that it is in ${storage}`);
  }

  /** What is newly promised has room beside all that was promised before, by what runners told of their paths. */
  #promises(reader: Reader): void {
    const told = new Map<string, number>();
    for (const { id, data } of reader.storagePaths()) {
      const { freeBytes, reserveBytes, problem } = JSON.parse(data) as { freeBytes: number; reserveBytes: number; problem: string | null };
      if (problem === null) told.set(id, Math.max(told.get(id) ?? 0, freeBytes - reserveBytes));
    }
    const promises = reader.promisedRoom();
    for (const { id, storage } of promises) {
      if (this.#promised.has(id)) continue;
      this.#promised.add(id);
      const sum = promises.reduce((bytes, one) => bytes + (one.storage === storage ? one.size_bytes : 0), 0);
      // A path may have got smaller in the same moment.
      const room = Math.max(told.get(storage) ?? 0, this.#room.get(storage) ?? 0);
      if (told.has(storage) && sum > room) this.#parts.broken('room', `${sum} bytes of ${storage} are promised, it has ${room} (${id})`);
    }
    this.#room = told;
  }

  /** Of drains: why one is not over though everything rests; undefined: all are. */
  undrained(reader: Reader): string | undefined {
    const [move] = reader.moves();
    if (move !== undefined)
      return `the move of ${move.number} from ${move.from_storage} to ${move.to_storage} is at ${move.phase} for ever`;
    const draining = new Set(reader.draining());
    for (const row of reader.records()) {
      const files = filesOf(row);
      const known = (files?.files ?? []).length > 0 && row.damage === null;
      if (known && draining.has(row.storage ?? '')) return `${whose(row)} stays in ${row.storage}, which is drained`;
    }
    return undefined;
  }

  /** At the end every record is true, and so is what was told. */
  end(reader: Reader): void {
    const { disks, poster, declares, spoilt, broken } = this.#parts;
    for (const row of reader.records()) {
      this.#whole(row);
      const files = filesOf(row);
      const there = disks.find(row.storage ?? '')?.files;
      const all = (files?.files ?? []).every(({ path }) => there?.has(path) === true);
      if (row.declared === 2 && all) broken('declarations', `${whose(row)} is being declared for ever`);
      const disk = disks.find(row.storage ?? '');
      for (const { path } of (row.declared === 1 ? files?.files : null) ?? []) {
        // A move that a lost database made told of where they went.
        if (disk !== undefined && spoilt.has(spoiltKey(disk, path))) continue;
        if (!poster.sees(path, row.storage ?? ''))
          broken('declarations', `${path} counts as declared, and nobody was told that it is in ${row.storage}`);
      }
    }
    if (!declares || this.#restored) return;
    for (const [path, storages] of poster.index) {
      for (const disk of disks.all) {
        if (storages.has(disk.id) && !disk.files.has(path) && !spoilt.has(spoiltKey(disk, path)))
          broken('declarations', `${path} is still looked for in ${disk.id}, where it is not any more`);
      }
    }
  }
}
