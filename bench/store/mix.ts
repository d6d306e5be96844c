/** What became of each of the sectors: most finished long ago, some live in every state, some paused, some queued. */
import type { MinerId } from '../../src/schema/ids.ts';
import type { PlanName } from '../../src/schema/job.ts';
import { SEALER } from '../../src/scheduler/plans/sealer.ts';
import type { Stage } from '../../src/schema/stage.ts';

export interface Fate {
  readonly plan: PlanName;
  readonly miner: MinerId;
  readonly number: number;
  readonly state: string;
  /** Steps of its plan behind it. */
  readonly step: number;
  /** Code of the error it is paused with. */
  readonly error: string | null;
  readonly thread: string | null;
  /** The stage of its state, where it has one; `running`: on a runner now, else it waits for one. */
  readonly stage: Stage | undefined;
  readonly running: boolean;
  readonly waitsForSeed: boolean;
  readonly deletesLate: boolean;
  readonly ageDays: number;
  readonly nonce: number;
}

export const BIG_MINER = 't01000' as MinerId;
/** One large miner, one of half its size, twenty small ones. */
export const MINERS = Array.from({ length: 22 }, (_, at) => `t0${1000 + at}` as MinerId);
export const ERRORS = ['ticket_expired', 'piece_differs', 'low_balance', 'comm_r_differs', 'storage_full'];
export const THREADS_PER_WORKER = 1_000;

const STATES = Object.keys(SEALER).filter((state) => state !== 'Aborted' && state !== 'Finished');
const STAGES: Readonly<Record<string, Stage>> = {
  DealsAcquired: 'AddPiece',
  PieceAdded: 'BuildTreeD',
  TicketAssigned: 'PC1',
  PC1Done: 'PC2',
  PCLanded: 'Persist',
  Persisted: 'Verify',
  SeedAssigned: 'C1',
  C1Done: 'C2',
};

/** Shares of all sectors. */
const ABORTED = 0.015;
const PAUSED = 0.004;
const AT_WORK = 0.024;
const QUEUED = 0.012;
/** Where those at work lie: among the newest. */
const RECENT = 0.1;

/** The fate of sector `n` of `total`; `random` gives numbers in 0 … 1. */
export function fateOf(n: number, total: number, random: () => number, takeThread: () => string): Fate {
  const share = random();
  const miner = share < 0.6 ? BIG_MINER : share < 0.9 ? MINERS[1] : MINERS[2 + Math.floor(random() * (MINERS.length - 2))];
  const kind = random();
  const base = {
    plan: 'sealer' as PlanName,
    miner: miner as MinerId,
    number: n,
    step: STATES.length,
    state: 'Finished',
    error: null,
    thread: null,
    stage: undefined,
    running: false,
    waitsForSeed: false,
    deletesLate: false,
    ageDays: 1 + ((total - n) / total) * 700,
    nonce: n * 32,
  };
  // Queued requests are the newest; what is at work is recent; the rest lies anywhere.
  if (n >= total * (1 - QUEUED)) return { ...base, state: 'Empty', step: 0 };
  const recent = n >= total * (1 - RECENT);
  if (recent && kind < AT_WORK / RECENT) {
    const step = Math.floor(random() * STATES.length);
    const state = STATES[step] as string;
    const stage = STAGES[state];
    return {
      ...base,
      step,
      state,
      stage,
      running: stage !== undefined && random() < 0.7,
      waitsForSeed: state === 'PersistanceSubmitted',
      thread: takeThread(),
    };
  }
  if (kind > 1 - PAUSED) {
    const step = 1 + Math.floor(random() * (STATES.length - 1));
    return {
      ...base,
      step,
      state: STATES[step] as string,
      error: ERRORS[Math.floor(random() * ERRORS.length)] as string,
      thread: takeThread(),
    };
  }
  if (kind > 1 - PAUSED - ABORTED)
    return { ...base, state: 'Aborted', step: Math.floor(random() * STATES.length), deletesLate: random() < 0.5 };
  const plan = random();
  return { ...base, plan: plan < 0.92 ? 'sealer' : plan < 0.96 ? 'snapup' : 'unseal' };
}
