/** How the paths of miner storage stand: what the control plane is told with every question, and what Persist looks at before it writes. */
import { access, constants, mkdir, open, readFile, readdir, rename, stat, statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { StoragePath } from '../schema/miner-storage.ts';
import { SealpoolError } from '../schema/problem.ts';
import { META_FILE, storeRefusal } from '../schema/sector-store.ts';
import type { Bucket } from './bucket.ts';
import { errnoOf } from './failure.ts';
import type { AgentOptions, StorageRoot } from './options.ts';
import { parsedSectorStore, readSectorStore } from './sectorstore.ts';

/** A disk that does not answer for so long (a dead network mount) counts as away. */
const ANSWERS_WITHIN_MS = 5_000;
/** Adding up a whole path is dear: it is done this often, where sectorstore.json has a limit. */
const USED_EVERY_MS = 60_000;
/** What a bucket without a limit counts as: 1 PiB. */
const UNLIMITED_BYTES = 2 ** 50;
/** A sectorstore.json is shorter. */
const META_BYTES = 64 * 1024;
const NO_POST =
  'lotus-miner does no Window PoSt from it by itself; mount it there as well, or let damocles or your own software prove (see Miner storage in docs/operating.md)';
/** In DATA: the sectorstore.json ID that each path was first seen with. */
const SEEN_FILE = 'storage-seen.json';

const Seen = z.record(z.string(), z.string());

/** One path that is away is told of and waited for; with none there at all the configuration is wrong. */
export async function checkStorage({ storage, log }: Pick<AgentOptions, 'storage' | 'log'>): Promise<void> {
  const away = [];
  for (const root of storage)
    if (root.bucket === undefined && !(await stat(root.path).catch(() => undefined))?.isDirectory()) away.push(root);
  for (const { id, path, bucket } of storage) {
    if (bucket !== undefined) log('warn', `storage ${id} is a bucket (${path}): ${NO_POST}`);
  }
  for (const { id, path } of away) {
    const message = `storage ${id}: ${path} is not a folder; make or mount it`;
    if (away.length === storage.length) throw new Error(`${message}, then start the runner again`);
    log('warn', `${message}; until then nothing is stored there`);
  }
}

/** Looks at paths of miner storage; one for each agent. */
export class StorageWatch {
  readonly #roots: readonly StorageRoot[];
  readonly #dataDir: string;
  readonly #usedEveryMs: number;
  #reading: Promise<z.infer<typeof Seen>> | undefined;
  #keeping: Promise<void> = Promise.resolve();
  readonly #pending = new Map<string, Promise<StoragePath>>();
  readonly #used = new Map<string, { atMs: number; bytes: number }>();
  readonly #adding = new Map<string, Promise<number>>();

  /** `usedEveryMs`: how old a count of what a path holds may be. */
  constructor(roots: readonly StorageRoot[], dataDir: string, usedEveryMs = USED_EVERY_MS) {
    this.#roots = roots;
    this.#dataDir = dataDir;
    this.#usedEveryMs = usedEveryMs;
  }

  /** All paths as they stand now; never rejects. */
  measure(): Promise<StoragePath[]> {
    return Promise.all(this.#roots.map((root) => this.look(root)));
  }

  /** One path as it stands now; never rejects, and answers within seconds. */
  async look(root: StorageRoot): Promise<StoragePath> {
    // A question that hangs is not asked a second time.
    const asked = this.#pending.get(root.id) ?? this.#look(root).finally(() => this.#pending.delete(root.id));
    this.#pending.set(root.id, asked);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<StoragePath>((resolve) => {
      timer = setTimeout(() => resolve(told(root, undefined, { problem: `${root.path} ${this.#whyLate(root)}` })), ANSWERS_WITHIN_MS);
    });
    return Promise.race([asked, late]).finally(() => clearTimeout(timer));
  }

  async #look(root: StorageRoot): Promise<StoragePath> {
    try {
      if (root.bucket !== undefined) return await this.#lookAt(root, root.bucket);
      if (!(await stat(root.path)).isDirectory()) return told(root, undefined, { problem: `${root.path} is no folder` });
      const store = await readSectorStore(root.path);
      const away = await this.#isAway(root, store?.ID);
      if (away !== undefined) return told(root, store, { problem: away });
      const disk = await statfs(root.path);
      const left = disk.bavail * disk.bsize;
      const most = store === undefined || store.MaxStorage === 0 ? left : store.MaxStorage - (await this.#usedIn(root));
      const space = { freeBytes: Math.max(0, Math.min(left, most)), totalBytes: disk.blocks * disk.bsize };
      const refusal = store && storeRefusal(store);
      if (refusal !== undefined) return told(root, store, { ...space, problem: refusal });
      const readOnly = root.readOnly === true || !(await isWritable(root.path));
      return told(root, store, { ...space, readOnly });
    } catch (error) {
      if (error instanceof SealpoolError) return told(root, undefined, { problem: error.message });
      const code = errnoOf(error);
      const how = code === 'ENOENT' ? 'is not there; mount it, or make the folder again' : `cannot be read (${code ?? String(error)})`;
      return told(root, undefined, { problem: `${root.path} ${how}` });
    }
  }

  /** A bucket has no end of its own: it counts as large unless somebody limits it. */
  async #lookAt(root: StorageRoot, bucket: Bucket): Promise<StoragePath> {
    const text = await bucket.readText(META_FILE, META_BYTES);
    const store = text === undefined ? undefined : parsedSectorStore(text);
    const away = await this.#isAway(root, store?.ID);
    if (away !== undefined) return told(root, store, { problem: away });
    const limits = [root.maxBytes, store?.MaxStorage].filter((most) => most !== undefined && most > 0) as number[];
    const totalBytes = limits.length === 0 ? UNLIMITED_BYTES : Math.min(...limits);
    const freeBytes = limits.length === 0 ? totalBytes : Math.max(0, totalBytes - (await this.#usedIn(root)));
    return told(root, store, { freeBytes, totalBytes, problem: store && storeRefusal(store) });
  }

  /** An empty mount point looks like a path with much room: one that had a sectorstore.json has to have it still. */
  async #isAway(root: StorageRoot, id: string | undefined): Promise<string | undefined> {
    const file = join(this.#dataDir, SEEN_FILE);
    this.#reading ??= readFile(file, 'utf8').then(
      (text) => Seen.parse(JSON.parse(text)),
      () => ({}),
    );
    const seen = await this.#reading;
    const key = `${root.id}=${root.path}`;
    const before = seen[key];
    if (id === before) return undefined;
    if (id === undefined)
      return `${root.path} has no ${META_FILE} any more; mount its disk (or remove it from ${file}, where it is another disk on purpose)`;
    if (before !== undefined)
      return `${root.path} has the ${META_FILE} of another disk (${id}, and not ${before}); mount the right one, or give this one an id of its own`;
    seen[key] = id;
    const text = JSON.stringify(seen);
    // One after another: paths are looked at side by side.
    this.#keeping = this.#keeping.catch(() => undefined).then(() => keep(file, text));
    await this.#keeping;
    return undefined;
  }

  #whyLate({ id, bucket }: StorageRoot): string {
    const counts = this.#adding.has(id) && !this.#used.has(id);
    return counts
      ? `is being added up, since ${bucket === undefined ? `its ${META_FILE} limits it (MaxStorage)` : 'it is limited'}; it is used once that is over`
      : `does not answer; look at its ${bucket === undefined ? 'disk or mount' : 'endpoint and the network to it'}`;
  }

  /** What was counted last; counting again, which may take minutes, goes on beside. */
  async #usedIn(root: StorageRoot): Promise<number> {
    const known = this.#used.get(root.id);
    if (known !== undefined && performance.now() - known.atMs < this.#usedEveryMs) return known.bytes;
    const adding = this.#adding.get(root.id) ?? this.#add(root);
    this.#adding.set(root.id, adding);
    if (known === undefined) return adding;
    // Its failure is met by the next look, which counts anew.
    adding.catch(() => undefined);
    return known.bytes;
  }

  async #add(root: StorageRoot): Promise<number> {
    try {
      const bytes = await (root.bucket === undefined ? usedBelow(root.path) : root.bucket.usedBytes());
      this.#used.set(root.id, { atMs: performance.now(), bytes });
      return bytes;
    } finally {
      this.#adding.delete(root.id);
    }
  }
}

/** What is told of a path: what the configuration says, else its sectorstore.json, else the usual. */
function told(
  root: StorageRoot,
  store: Awaited<ReturnType<typeof readSectorStore>>,
  now: { readonly problem?: string | undefined } & Partial<Pick<StoragePath, 'freeBytes' | 'totalBytes' | 'readOnly'>>,
): StoragePath {
  return {
    id: root.id,
    path: root.path.slice(0, 500),
    storeId: store?.ID ?? null,
    weight: root.weight ?? Math.min(store?.Weight ?? 1, 1_000_000),
    reserveBytes: root.reserveBytes ?? 0,
    readOnly: now.readOnly ?? root.readOnly ?? false,
    allowMiners: [...(root.allowMiners ?? store?.AllowMiners ?? [])],
    denyMiners: [...(root.denyMiners ?? store?.DenyMiners ?? [])],
    problem: now.problem?.slice(0, 300) ?? null,
    freeBytes: now.freeBytes ?? 0,
    totalBytes: now.totalBytes ?? 0,
  };
}

async function isWritable(path: string): Promise<boolean> {
  try {
    await access(path, constants.W_OK);
    return true;
  } catch (error) {
    if (['EROFS', 'EACCES', 'EPERM'].includes(errnoOf(error) ?? '')) return false;
    throw error;
  }
}

/** What is moved or removed meanwhile takes no space; throws where the folder itself cannot be read. */
async function usedBelow(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) bytes += await usedBelow(path).catch(ifGone);
    else if (entry.isFile()) bytes += await stat(path).then(({ blocks }) => blocks * 512, ifGone);
  }
  return bytes;
}

function ifGone(error: unknown): number {
  if (errnoOf(error) === 'ENOENT') return 0;
  throw error;
}

async function keep(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const draft = `${file}.${process.pid}`;
  const handle = await open(draft, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(draft, file);
}
