/**
 * What an own runner does beside its stages: steps of moves of stored files, and reading them against their hashes. One after
 * another; an answer goes along with every question until the control plane has taken it. A process that dies takes its answers along.
 */
import type { StoredCheck, StoredCheckAnswer } from '../../src/schema/stored-check.ts';
import type { StoredFile } from '../../src/schema/stage.ts';
import type { StoredMove, StoredMoveAnswer } from '../../src/schema/stored-move.ts';
import type { VirtualClock } from './clock.ts';
import type { MinerDisk, MinerDisks } from './miner-disks.ts';
import type { Rng } from './prng.ts';
import { hashOf } from './replica.ts';
import type { ErrandFault } from './script.ts';

export type ErrandParts = {
  readonly clock: VirtualClock;
  readonly rng: Rng;
  readonly disks: MinerDisks;
  /** The fault that the next step is to suffer, if a script says so. */
  readonly fault: () => ErrandFault | undefined;
  readonly alive: () => boolean;
  readonly thaw: () => Promise<void>;
  readonly die: () => void;
  /** Something is there to be told. */
  readonly onAnswer: () => void;
};

type Bad = StoredMoveAnswer['bad'];
/** What stands against a step. */
class Against extends Error {}
/** The process is gone. */
class Gone extends Error {}

const LEAST_STEP_MS = 20;
const MOST_STEP_MS = 4_000;
const MOST_LATE_MS = 60_000;
const MOST_HELD_UP_MS = 15_000;

export class FakeErrands {
  readonly moved: StoredMoveAnswer[] = [];
  readonly checked: StoredCheckAnswer[] = [];
  readonly #parts: ErrandParts;
  #last: Promise<void> = Promise.resolve();
  #under = 0;

  constructor(parts: ErrandParts) {
    this.#parts = parts;
  }

  /** Steps that are under way or wait. */
  get holds(): number {
    return this.#under;
  }

  /** Whether answers wait to be taken. */
  get unsent(): boolean {
    return this.moved.length + this.checked.length > 0;
  }

  /** `since`: how many databases had been lost when the question was asked that this answers. */
  begin(moves: readonly StoredMove[], checks: readonly StoredCheck[], since: number): void {
    for (const move of moves) this.#queue(() => this.#move(move, since));
    for (const check of checks) this.#queue(() => this.#check(check));
  }

  sent(moved: readonly StoredMoveAnswer[], checked: readonly StoredCheckAnswer[]): void {
    for (const answer of moved) if (this.moved.includes(answer)) this.moved.splice(this.moved.indexOf(answer), 1);
    for (const answer of checked) if (this.checked.includes(answer)) this.checked.splice(this.checked.indexOf(answer), 1);
  }

  #queue(work: () => Promise<void>): void {
    this.#under += 1;
    this.#last = this.#last
      .then(work)
      .catch((error: unknown) => {
        if (!(error instanceof Gone)) throw error;
      })
      .finally(() => (this.#under -= 1));
  }

  /** Time passes, and the process may end meanwhile. */
  async #step(): Promise<void> {
    const { clock, rng, alive, thaw } = this.#parts;
    await clock.sleep(rng.between(LEAST_STEP_MS, MOST_STEP_MS));
    await thaw();
    if (!alive()) throw new Gone();
  }

  async #move({ files, ...about }: StoredMove, since: number): Promise<void> {
    const { clock, rng, alive, onAnswer } = this.#parts;
    await this.#step();
    const fault = this.#parts.fault();
    if (fault === 'silent') return;
    const answer: StoredMoveAnswer = { ...about, outcome: 'done', bad: [], message: null };
    try {
      if (fault === 'fails') throw new Against('simulated: the disk does not answer');
      const bad = await this.#perform({ files, ...about }, since, fault === 'dies');
      Object.assign(answer, { outcome: bad.length === 0 ? 'done' : 'bad', bad });
    } catch (error) {
      if (!(error instanceof Against)) throw error;
      Object.assign(answer, { outcome: 'failed', message: error.message });
    }
    if (fault === 'late') await clock.sleep(rng.between(MOST_STEP_MS, MOST_LATE_MS));
    if (!alive()) throw new Gone();
    if (fault === 'lost') return;
    // An answer to what nobody asked for says nothing, and the true one is still to come.
    if (fault === 'mixed_up') this.moved.push({ ...answer, step: about.step === 'copy' ? 'drop' : 'copy' }, { ...answer, from: about.to });
    this.moved.push(answer);
    if (fault === 'twice') this.moved.push({ ...answer });
    onAnswer();
    if (fault !== 'again') return;
    clock.at(rng.between(1_000, MOST_HELD_UP_MS), () => {
      if (!alive()) return;
      this.moved.push({ ...answer });
      onAnswer();
    });
  }

  async #perform({ step, files, from, to }: StoredMove, since: number, dies: boolean): Promise<Bad> {
    const [there, before] = [this.#disk(to), this.#disk(from)];
    const changes = step === 'drop' ? before : there;
    const against = changes.closed ?? (there.away || before.away ? 'the other path is not there' : undefined);
    if (against !== undefined) throw new Against(`storage ${changes.id}: ${against}`);
    let left = dies ? Math.floor(files.length / 2) : Number.POSITIVE_INFINITY;
    const next = async (): Promise<void> => {
      if (left <= 0) this.#parts.die();
      left -= 1;
      await this.#step();
      if (changes.closed !== undefined) throw new Against(`storage ${changes.id}: ${changes.closed}`);
    };
    if (step === 'copy') return this.#copy(before, there, files, next);
    const gone = step === 'drop' ? before : there;
    const stays = step === 'drop' ? there : before;
    // What is dropped is whole elsewhere, all of it; of what is undone only that goes which the old path has.
    const bad = differing(stays, files);
    if (step === 'drop' && bad.length > 0) return bad;
    const spared = new Set(bad.map(({ path }) => path));
    for (const { path } of files) {
      if (spared.has(path)) continue;
      await next();
      gone.remove(path, since);
    }
    return [];
  }

  async #copy(from: MinerDisk, to: MinerDisk, files: readonly StoredFile[], next: () => Promise<void>): Promise<Bad> {
    const missing = files.filter((file) => differing(to, [file]).length > 0);
    const bad = differing(from, missing);
    if (bad.length > 0) return bad;
    // Drafts are whole before the first gets its name: what the old files are like later is nothing to them.
    const drafts = missing.map(({ path }) => [path, from.files.get(path) as string] as const);
    if (drafts.reduce((sum, [, content]) => sum + content.length, 0) > to.freeBytes) throw new Against(`storage ${to.id} is full`);
    for (const [path, content] of drafts) {
      await next();
      to.write(path, content);
    }
    return [];
  }

  #disk(id: string): MinerDisk {
    const found = this.#parts.disks.find(id);
    if (found === undefined) throw new Against(`this runner has no storage ${id}`);
    return found;
  }

  async #check({ storage, miner, number, files }: StoredCheck): Promise<void> {
    await this.#step();
    const fault = this.#parts.fault();
    if (fault === 'silent' || fault === 'lost') return;
    const disk = this.#parts.disks.find(storage);
    const away = disk === undefined || disk.away || fault === 'fails';
    const answer: StoredCheckAnswer = {
      storage,
      miner,
      number,
      outcome: away ? 'away' : 'checked',
      bad: away ? [] : differing(disk, files),
    };
    if (fault === 'dies') this.#parts.die();
    if (fault === 'late') await this.#parts.clock.sleep(this.#parts.rng.between(MOST_STEP_MS, MOST_LATE_MS));
    if (!this.#parts.alive()) throw new Gone();
    this.checked.push(answer);
    if (fault === 'twice') this.checked.push({ ...answer });
    this.#parts.onAnswer();
  }
}

/** Files that are not as they were stored. */
function differing(disk: MinerDisk, files: readonly StoredFile[]): Bad {
  return files.flatMap(({ path, hash }) => {
    const content = disk.read(path);
    if (content === undefined) return [{ path, how: 'it is not there' }];
    return hashOf(content) === hash ? [] : [{ path, how: 'it has another hash' }];
  });
}
