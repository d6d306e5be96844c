/** Fills a database through the store's own transactions, so that nothing is in it that the control plane would not write. */
import { existsSync } from 'node:fs';
import type { Ids, Store } from '../../src/scheduler/ports.ts';
import type { PieceId, RunnerId } from '../../src/schema/ids.ts';
import { openNodeStore } from '../../src/store/node.ts';
import { checkShape, makeSector } from './made.ts';
import { fateOf, MINERS, THREADS_PER_WORKER } from './mix.ts';

const BATCH = 500;
const RUNNERS = 60;
const PIECES = 2_000;
const FREE_THREADS = 200;
const DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz';

export interface Filled {
  readonly sectors: number;
  readonly events: number;
  readonly attempts: number;
  readonly effects: number;
  /** Threads of each worker; the last has the free ones. */
  readonly workers: readonly { readonly name: string; readonly plan: 'sealer' | 'snapup'; readonly threads: number }[];
}

/** Numbers in 0 … 1 that are the same in every run (xorshift32). */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

function seededIds(random: () => number): Ids {
  const word = (): string =>
    Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, '0');
  return {
    next: (prefix) => `${prefix}-${Array.from({ length: 16 }, () => DIGITS[Math.floor(random() * 36)]).join('')}`,
    hex: (bytes) =>
      Array.from({ length: Math.ceil(bytes / 4) }, word)
        .join('')
        .slice(0, bytes * 2),
  };
}

/** Makes the database at `path`, which must not exist. */
export async function fill(path: string, sectors: number, say: (what: string) => void): Promise<Filled> {
  if (existsSync(path)) throw new Error(`${path} is there already; name a folder without a database`);
  const store = openNodeStore({
    path,
    onFatal: (error) => {
      throw error;
    },
  });
  try {
    return await fillStore(store, sectors, say);
  } finally {
    store.close();
  }
}

async function fillStore(store: Store, sectors: number, say: (what: string) => void): Promise<Filled> {
  const random = seeded(20_261_122);
  const ids = seededIds(random);
  const nowMs = Date.now();
  const runners = await makeRunners(store, ids, nowMs);
  await makePieces(store, ids, nowMs);
  const counts = { events: 0, attempts: 0, effects: 0 };
  let threads = 0;
  const takeThread = (): string => {
    const id = `bench-${Math.floor(threads / THREADS_PER_WORKER)}/${threads % THREADS_PER_WORKER}`;
    threads += 1;
    return id;
  };
  for (let from = 0; from < sectors; from += BATCH) {
    await store.commit((tx) => {
      for (let n = from; n < Math.min(sectors, from + BATCH); n += 1) {
        const made = makeSector(ids, fateOf(n, sectors, random, takeThread), runners, nowMs);
        if (n % 1_000 === 0) checkShape(made);
        const { job, record, events, attempts, effects } = made;
        tx.insertJob(job);
        if (record !== undefined) tx.putSectorRecord(record);
        for (const event of events) tx.appendEvent(event);
        for (const attempt of attempts) tx.insertAttempt(attempt);
        for (const effect of effects) tx.insertEffect(effect);
        if (job.thread !== null) {
          const [worker, index] = job.thread.split('/') as [string, string];
          tx.putThread({
            id: job.thread,
            worker,
            index: Number(index),
            plan: 'sealer',
            miner: null,
            auto: false,
            enabled: true,
            job: job.id,
          });
        }
        counts.events += events.length;
        counts.attempts += attempts.length;
        counts.effects += effects.length;
      }
    });
    if ((from + BATCH) % 10_000 === 0) say(`${from + BATCH} sectors`);
  }
  const busy = Array.from({ length: Math.ceil(threads / THREADS_PER_WORKER) }, (_, at) => ({
    name: `bench-${at}`,
    plan: 'sealer' as const,
    threads: Math.min(THREADS_PER_WORKER, threads - at * THREADS_PER_WORKER),
  }));
  return { sectors, ...counts, workers: [...busy, { name: 'idle', plan: 'snapup', threads: FREE_THREADS }] };
}

async function makeRunners(store: Store, ids: Ids, nowMs: number): Promise<RunnerId[]> {
  const made = Array.from({ length: RUNNERS }, () => ids.next('r') as RunnerId);
  await store.commit((tx) => {
    for (const [at, id] of made.entries()) {
      tx.insertRunner({
        id,
        name: `runner-${at}`,
        trust: 'own',
        labels: [],
        stages: ['PC1'],
        storage: [],
        resources: { cores: 16, ramBytes: 2 ** 36, diskFreeBytes: 2 ** 42, gpus: [] },
        credentialHash: ids.hex(32),
        credentialMs: null,
        nextCredentialSeed: null,
        nextCredentialHash: null,
        previousCredentialHash: null,
        earlierBoots: [],
        bootId: `boot-${at}`,
        status: 'ready',
        reason: null,
        strikes: 0,
        lastSeenMs: nowMs,
        registeredMs: nowMs,
      });
    }
  });
  return made;
}

async function makePieces(store: Store, ids: Ids, nowMs: number): Promise<void> {
  await store.commit((tx) => {
    for (let n = 0; n < PIECES; n += 1) {
      tx.insertPiece({
        id: ids.next('p') as PieceId,
        miner: MINERS[n % MINERS.length] as (typeof MINERS)[number],
        key: `pieces/${ids.hex(16)}`,
        sizeBytes: '1000000',
        hash: `sha256:${ids.hex(32)}`,
        paddedSizeBytes: '1048576',
        cid: null,
        job: null,
        reserved: false,
        createdMs: nowMs,
      });
    }
  });
}
