/**
 * Miner storage in several paths, and what goes wrong with it: in draws of their own, beside what else a seed plays. Sectors that no
 * job has lie there too, so that a path that is drained has something to move.
 */
import type { Settings } from '../../src/scheduler/context.ts';
import type { Cell } from './coverage-table.ts';
import { Rng } from './prng.ts';
import {
  type Action,
  type ErrandFault,
  type Existing,
  type Item,
  STORAGE_FAULTS,
  type Script,
  type StorageAct,
  type StorageSettings,
  type When,
} from './script.ts';

/** States in which a job uses miner storage, or tells of it. */
const USED_IN: Readonly<Record<string, readonly string[]>> = {
  sealer: ['PCLanded', 'Persisted', 'Finished'],
  snapup: ['TreeDBuilt', 'SnapProved', 'Persisted', 'Finished'],
  rebuild: ['SnapDone', 'Persisted', 'Finished'],
  unseal: ['Allocated', 'Finished'],
};
/** Beyond the numbers of sectors that jobs are asked for. */
const FIRST_IDLE = 951;
/** Before them all: it is the first that a drained path moves. */
const ON_THE_WAY = 900;
/** A little more than one sector is promised beside its files. */
const TIGHT_BYTES = [1.3e6, 2.5e6, 4e6] as const;
const ROOMY_BYTES = 2 ** 40;

/** Undefined: as the other stories have it, one disk of which nothing is told. */
export function storageSettings(seed: number): StorageSettings | undefined {
  const rng = Rng.named(seed, 'storage');
  if (!rng.chance(45)) return undefined;
  const disk = () => ({ weight: rng.between(1, 3), totalBytes: rng.chance(35) ? rng.pick(TIGHT_BYTES) : ROOMY_BYTES });
  return {
    disks: Array.from({ length: rng.between(2, 3) }, disk),
    declares: rng.chance(75),
    ...(rng.chance(40) ? { scrubEveryMs: rng.between(20_000, 120_000) } : {}),
  };
}

/** Half of the stories have runners that keep what they have read and made. */
export const keepsCaches = (seed: number): boolean => Rng.named(seed, 'caches').chance(50);

export function idleSectors(seed: number): Existing[] {
  const rng = Rng.named(seed, 'idle sectors');
  return Array.from({ length: rng.between(0, 2) }, (_, at) => ({
    number: FIRST_IDLE + at,
    holds: rng.pick(['data', 'upgraded'] as const),
    ticket: true,
    lost: false,
  }));
}

/**
 * A job asks for a sector that is being copied to another path, and stores beside the old files before the copy is answered. In draws
 * of its own; undefined in most stories.
 */
export function takenOnTheWay(seed: number): { readonly sector: Existing; readonly items: readonly Item[] } | undefined {
  const rng = Rng.named(seed, 'taken on the way');
  if (!rng.chance(15)) return undefined;
  const atMs = rng.between(8_000, 30_000);
  const asked: Item = {
    when: { atMs: atMs + rng.between(200, 9_000) },
    do: 'pledge',
    plan: 'snapup',
    count: 1,
    pieces: 1,
    sector: ON_THE_WAY,
  };
  return {
    sector: { number: ON_THE_WAY, holds: 'nothing', ticket: true, lost: false },
    items: [
      { when: { atMs }, do: 'storage', disk: 0, act: 'drain' },
      { when: { atMs }, do: 'errand', how: 'late', count: rng.between(1, 2) },
      asked,
    ],
  };
}

export function storageItems(seed: number, { plan, state: aimedAt, event }: Cell, disks: number): Item[] {
  const rng = Rng.named(seed, 'storage items');
  const items: Item[] = [];
  // An event that has to be brought about is met where the other faults bring it about.
  const again = event === 'RePersist';
  const state = again ? aimedAt : rng.pick(USED_IN[plan] ?? ['Finished']);
  const afterMs = rng.chance(60) ? rng.between(0, 300) : rng.between(300, 6_000);
  put(rng, items, { job: 0, state, afterMs }, aimed(rng, again ? 'storage' : rng.pick(STORAGE_FAULTS), disks));
  // From early on a path is emptied, and its steps go wrong.
  if (rng.chance(60)) items.push({ when: { atMs: rng.between(500, 60_000) }, do: 'storage', disk: rng.int(disks), act: 'drain' });
  for (let left = rng.between(0, 3); left > 0; left -= 1) {
    put(rng, items, { atMs: rng.between(500, 150_000) }, aimed(rng, rng.chance(70) ? 'storage' : 'declare', disks));
  }
  return items;
}

/** One after another, some seconds apart. */
function put(rng: Rng, items: Item[], when: When, actions: readonly Action[]): void {
  let laterMs = 0;
  for (const action of actions) {
    const moment = 'atMs' in when ? { atMs: when.atMs + laterMs } : { ...when, afterMs: when.afterMs + laterMs };
    items.push({ when: moment, ...action });
    laterMs += rng.between(0, 8_000);
  }
}

function aimed(rng: Rng, fault: (typeof STORAGE_FAULTS)[number], disks: number): Action[] {
  const disk = rng.int(disks);
  const ms = rng.weighted([
    [3, rng.between(500, 20_000)],
    [1, rng.between(20_000, 200_000)],
  ] as const);
  const hand = (act: StorageAct): Action => ({ do: 'storage', disk, act });
  if (fault === 'declare') {
    const how = rng.weighted([
      [3, 'error'],
      [3, 'lost'],
      [2, 'twice'],
      [4, 'delay'],
      [1, 'permanent'],
    ] as const);
    return [{ do: 'port', port: 'declare.files', how, count: rng.between(1, 3), ms }];
  }
  return rng.weighted<() => Action[]>([
    [4, () => [{ do: 'disk', disk, act: rng.pick(['away', 'away', 'read_only', 'full'] as const), ms }]],
    [6, () => [{ do: 'errand', how: errandFault(rng), count: rng.between(1, 3) }]],
    [3, () => [hand('drain'), ...(rng.chance(40) ? [hand('stop')] : [])]],
    // Told to stop and to go on while a step is under way.
    [2, () => [hand('drain'), { do: 'errand', how: rng.pick(['late', 'again'] as const), count: 3 }, hand('stop'), hand('drain')]],
    [2, () => [hand(rng.pick(['cordon', 'scrub', 'declare', 'stop'] as const))]],
    [1, () => [{ do: 'rot', what: 'stored' }, hand('scrub')]],
  ])();
}

function errandFault(rng: Rng): ErrandFault {
  return rng.weighted<ErrandFault>([
    [1, 'silent'],
    [2, 'lost'],
    [2, 'twice'],
    [3, 'late'],
    [2, 'fails'],
    [3, 'again'],
    [3, 'mixed_up'],
    [3, 'dies'],
  ]);
}

/** What the control plane is set to. */
export function storageSettingsOf({ storage }: Script): Partial<Settings> {
  if (storage === undefined) return {};
  const { declares, scrubEveryMs } = storage;
  return { declares, ...(scrubEveryMs === undefined ? {} : { scrub: { everyMs: scrubEveryMs, bytesPerS: 1e9 } }) };
}
