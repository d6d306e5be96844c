/**
 * `kill -9` a thousand times: dev chain, control plane and both runners each fall in a rhythm of their own, while
 * several sealing_threads seal sectors, snap some of them and rebuild those. Real: every process, the HTTP between
 * them, the database, the files, every stage but the two proofs. Stood in for: C2 and SnapProve (replay prover).
 * `KILLS` and `SEED` of the environment change the run.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { SectorDetail, SectorView } from '../../src/api/client.ts';
import { killSideBySide, nothingTwice, seededRandom } from '../e2e/killing.ts';
import { Deployment, MINER } from '../e2e/processes.ts';

const KILLS = Number(process.env['KILLS'] ?? 1_000);
const SEED = Number(process.env['SEED'] ?? 2_026);
const THREADS = { sealer: 4, snapup: 2, rebuild: 2 };
/** A ticket is good for ten minutes here: longer than any sector takes while everything around it dies. */
const EPOCH_MS = 200;
const FINISH_MS = 15 * 60_000;
const TELL_EVERY = 50;

let deployment: Deployment;
// Hundreds of sectors' files go with it.
afterEach(() => deployment.end(), 120_000);

const threads = Object.entries(THREADS)
  .flatMap(([plan, count]) => Array.from({ length: count }, () => `{ plan = "${plan}" }`))
  .join(', ');

/** Repeats a call until it is answered: while its other side is dead there is none. */
async function answered<T>(call: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if ((error as Error).name !== 'Unreachable') throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

async function everyJob(): Promise<SectorView[]> {
  const all: SectorView[] = [];
  let cursor: string | undefined;
  do {
    const page = await answered(() => deployment.client.sectors({ limit: 500, cursor }));
    all.push(...page.items);
    cursor = page.cursor ?? undefined;
  } while (cursor !== undefined);
  return all;
}

const over = ({ state, paused }: SectorView): boolean => paused || state === 'Finished' || state === 'Aborted';

/** Keeps every thread busy: new sectors, of every second one a snap, and of each of those a rebuild. */
class Work {
  readonly pledged = new Set<string>();
  /** `plan number` of what was begun; one that is asked for twice after a lost answer is refused by the server. */
  readonly #begun = new Set<string>();
  stopped = false;

  async run(): Promise<void> {
    while (!this.stopped) {
      const jobs = await everyJob();
      expect(jobs.filter(({ paused, state }) => paused || state === 'Aborted')).toEqual([]);
      if (jobs.filter((job) => job.plan === 'sealer' && !over(job)).length < THREADS.sealer) {
        const { items } = await answered(() => deployment.client.pledge({ plan: 'sealer', miner: MINER, count: 1 }));
        for (const { id } of items) this.pledged.add(id);
      }
      for (const job of jobs.filter(over)) await this.#goOn(job);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }

  async #goOn({ plan, number, sector, data }: SectorView): Promise<void> {
    if (number === null || sector === null || number % 2 === 1 || data.pieces.length > (plan === 'sealer' ? 0 : 1)) return;
    if (plan === 'sealer') await this.#existing('snapup', number);
    if (plan === 'snapup') {
      if (!this.#begun.has(`rebuild ${number}`)) loseFiles(sector);
      await this.#existing('rebuild', number);
    }
  }

  async #existing(plan: 'snapup' | 'rebuild', sector: number): Promise<void> {
    if (this.#begun.has(`${plan} ${sector}`)) return;
    this.#begun.add(`${plan} ${sector}`);
    const bytes = new Uint8Array(2032).fill(1 + (sector % 250));
    const piece = await answered(() => deployment.client.addPiece(MINER, bytes));
    const ask = () => deployment.client.pledge({ plan, miner: MINER, count: 1, sector, pieces: [piece.id as never] });
    const made = await answered(ask).catch((error: { problem?: { code: string } }) => {
      // The first asking was taken, its answer was lost.
      if (error.problem?.code === 'sector_busy' || error.problem?.code === 'piece_taken') return { items: [] };
      throw error;
    });
    for (const { id } of made.items) this.pledged.add(id);
  }
}

/** As a broken disk would: nothing of the sector is left in the miner's storage. */
function loseFiles(sector: string): void {
  const root = join(deployment.folder, 'storage');
  if (existsSync(root)) for (const folder of readdirSync(root)) rmSync(join(root, folder, sector), { recursive: true, force: true });
}

test(`${KILLS} kills while sectors are sealed, snapped and rebuilt: each job finishes, nothing happens twice`, async () => {
  console.log(`seed ${SEED}`);
  deployment = await Deployment.start({
    epochMs: EPOCH_MS,
    settings: { SEALPOOL_WORKERS: `[{ name = "local", sealing_threads = [${threads}] }]` },
  });
  await deployment.addRunner('one');
  await deployment.addRunner('two');
  const work = new Work();
  const working = work.run();
  const startedMs = performance.now();
  const minutes = (): string => `${((performance.now() - startedMs) / 60_000).toFixed(1)} min`;
  const victims = new Map<string, number>();
  const failed = working.then(() => undefined);
  const killing = killSideBySide(deployment, seededRandom(SEED), {
    kills: KILLS,
    liveMs: 1_000,
    liveStarts: 3,
    killed(victim, count) {
      victims.set(victim, (victims.get(victim) ?? 0) + 1);
      if (count % TELL_EVERY === 0) console.log(`${count} of ${KILLS} kills, ${work.pledged.size} jobs begun, ${minutes()}`);
    },
  });
  await Promise.race([killing, failed]);
  work.stopped = true;
  await Promise.all([killing, working]);
  const killedAfter = minutes();

  const jobs = await everyJob();
  const details: SectorDetail[] = [];
  for (const { id } of jobs) details.push(await deployment.finished(id, FINISH_MS));
  console.log(`${KILLS} kills in ${killedAfter} (${[...victims].map(([who, count]) => `${who} ${count}`).join(', ')}), seed ${SEED}`);
  const plans = Object.keys(THREADS).map((plan) => `${details.filter(({ job }) => job.plan === plan).length} ${plan}`);
  console.log(`${plans.join(', ')} jobs Finished after ${minutes()}; ${details.flatMap(({ attempts }) => attempts).length} attempts`);
  await nothingTwice(deployment, details);
  // What was answered is there, whoever died right after.
  const found = new Set<string>(jobs.map(({ id }) => id));
  expect([...work.pledged].filter((id) => !found.has(id))).toEqual([]);
});
