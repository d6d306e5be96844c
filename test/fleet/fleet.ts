/** Many simulated runners, what each holds, and what was promised of it. */
import type { Client } from '../../src/api/client.ts';
import { commDOfPieces } from '../../src/chain/comm-d.ts';
import type { Grant } from '../../src/schema/runner.ts';
import { Line, addressOf } from './line.ts';
import { type Held, SimulatedRunner, type Watcher } from './simulated-runner.ts';

const SECTOR_BYTES = 2048;
const ZEROS = {
  cid: 'baga6ea4seaqpy7usqklokfx2vxuynmupslkeutzexe2uqurdg5vhtebhxqmpqmy',
  hex: commDOfPieces([], SECTOR_BYTES),
};
const RESULT = {
  pieces: [{ cid: ZEROS.cid, paddedSizeBytes: String(SECTOR_BYTES), offsetBytes: '0', filler: true }],
  commD: ZEROS,
};
const REGISTER_LANES = 64;
const TRIES = 5;

export type FleetOptions = { readonly runners: number; readonly url: string; readonly workMs: () => number };

export class Fleet {
  readonly runners: readonly SimulatedRunner[];
  /** Every attempt that reached a runner. */
  readonly received = new Set<string>();
  /** Attempts that were held by a runner when it was killed. */
  readonly killed = new Set<string>();
  /** What must not happen, as sentences. */
  readonly broken: string[] = [];
  /** From a kill to the moment another runner had the stage. */
  readonly releasedMs: number[] = [];
  readonly took: Record<'heartbeat' | 'report' | 'poll', number[]> = { heartbeat: [], report: [], poll: [] };
  readonly refused = new Map<number, number>();
  readonly done = new Map<string, number>();
  /** Runners that got an answer since the last `forget`, and when. */
  readonly heardMs = new Map<SimulatedRunner, number>();
  readonly #lines = new Map<string, Line>();
  /** By sector: who works on its stage. */
  readonly #holders = new Map<string, { runner: SimulatedRunner; attempt: string }>();
  readonly #orphans = new Map<string, number>();

  constructor({ runners, url, workMs }: FleetOptions) {
    const watcher: Watcher = {
      answered: (runner, kind, tookMs) => {
        this.took[kind].push(tookMs);
        if (!this.heardMs.has(runner)) this.heardMs.set(runner, performance.now());
      },
      granted: (runner, grant) => this.#granted(runner, grant),
      settled: (runner, held, status) => this.#settled(runner, held, status),
      refused: (_runner, status) => void this.refused.set(status, (this.refused.get(status) ?? 0) + 1),
    };
    const work = { forMs: workMs, result: () => RESULT };
    this.runners = Array.from({ length: runners }, (_, at) => {
      const address = addressOf(at);
      const line = this.#lines.get(address) ?? new Line(url, address);
      this.#lines.set(address, line);
      return new SimulatedRunner(`simulated-${at}`, line, watcher, work);
    });
  }

  /** Registers all of them, each of which begins to work at once. */
  async join(admin: Client): Promise<void> {
    const left = this.runners.values();
    const lane = async (): Promise<void> => {
      for (const runner of left) {
        // A token whose use was not answered may be burnt: the next try has one of its own.
        await persistently(async () => runner.register((await admin.createJoinToken({ trust: 'own', ttlMs: 600_000 })).token));
        runner.start();
      }
    };
    await Promise.all(Array.from({ length: REGISTER_LANES }, lane));
  }

  /** Attempts that runners work on now. */
  working(): Set<string> {
    return new Set(this.runners.flatMap(({ held }) => [...held.values()].flatMap(({ grant, report }) => (report ? [] : [grant.attempt]))));
  }

  /** Cuts the power of a runner. */
  kill(runner: SimulatedRunner): void {
    for (const { grant, report } of runner.held.values()) {
      this.killed.add(grant.attempt);
      this.#holders.delete(sectorOf(grant));
      // A report that was on its way may have counted: then nobody is to do it again.
      if (report === undefined) this.#orphans.set(sectorOf(grant), performance.now());
    }
    runner.kill();
  }

  /** Stages of killed runners that nobody has yet. */
  get orphans(): number {
    return this.#orphans.size;
  }

  /** From now on `heardMs` and `took` are filled anew. */
  forget(): void {
    this.heardMs.clear();
    for (const times of Object.values(this.took)) times.length = 0;
  }

  end(): void {
    for (const runner of this.runners) runner.kill();
    for (const line of this.#lines.values()) line.close();
  }

  #granted(runner: SimulatedRunner, grant: Grant): void {
    const sector = sectorOf(grant);
    const holder = this.#holders.get(sector);
    if (holder !== undefined) this.broken.push(`${sector} was given to ${runner.name} while ${holder.runner.name} works on it`);
    if (this.received.has(grant.attempt)) this.broken.push(`${grant.attempt} was given out twice`);
    this.received.add(grant.attempt);
    this.#holders.set(sector, { runner, attempt: grant.attempt });
    const sinceMs = this.#orphans.get(sector);
    if (sinceMs === undefined) return;
    this.#orphans.delete(sector);
    this.releasedMs.push(performance.now() - sinceMs);
  }

  #settled(runner: SimulatedRunner, { grant }: Held, status: string): void {
    const sector = sectorOf(grant);
    if (this.#holders.get(sector)?.attempt === grant.attempt) this.#holders.delete(sector);
    this.done.set(status, (this.done.get(status) ?? 0) + 1);
    // A report whose answer was lost is told again.
    if (status !== 'accepted' && status !== 'duplicate')
      this.broken.push(`${runner.name} lives and was told ${status} about ${grant.attempt}`);
  }
}

/** A connection may break while thousands are made. */
async function persistently(call: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await call();
      return;
    } catch (error) {
      if (tries === TRIES) throw error;
    }
  }
}

function sectorOf(grant: Grant): string {
  if (grant.sector === undefined) throw new Error(`the grant ${grant.attempt} names no sector`);
  return grant.sector;
}
