/**
 * What goes wrong between the control plane and runners that may be anybody's: in draws of their own, beside what else a seed
 * plays. Most seeds aim one of these faults at a state in which a runner works for the first job.
 */
import { planTables } from '../../src/scheduler/plans/all.ts';
import type { Cell } from './coverage-table.ts';
import { Rng } from './prng.ts';
import { type Action, FLEET_FAULTS, type FleetFault, type FleetSettings, type Item, type TestFault } from './script.ts';

/** States in which no runner works for a job: nothing of these faults is aimed at them. */
const NO_RUNNER: Readonly<Record<string, readonly string[]>> = {
  sealer: ['Empty', 'Allocated', 'TreeDBuilt', 'PCSubmitted', 'PersistanceSubmitted', 'C2Done', 'ProofSubmitted'],
  unseal: ['Empty', 'Unsealed'],
};

/** Multiples of it leave no gap in any range. */
const GOLDEN = (Math.sqrt(5) - 1) / 2;

type Aim = { readonly state: string; readonly fault: FleetFault };

function aimsOf(plan: string): Aim[] {
  const table = planTables()[plan] ?? {};
  const states = Object.keys(table).filter(
    (state) => Object.keys(table[state] ?? {}).length > 0 && !(NO_RUNNER[plan] ?? ['Empty']).includes(state),
  );
  return states.flatMap((state) => FLEET_FAULTS.map((fault) => ({ state, fault })));
}

/** The state and fault that a seed aims at, besides its cell of the other faults; undefined: it plays none. Neighbours are far apart. */
function aimOf(seed: number, { plan, state, event }: Cell): Aim | undefined {
  if (seed % 10 >= 7) return undefined;
  const all = aimsOf(plan);
  // An event that has to be brought about is met where the other faults bring it about.
  const aims = event === 'RePersist' ? all.filter((aim) => aim.state === state) : all;
  return aims[Math.floor(((seed * GOLDEN) % 1) * aims.length)];
}

/** Undefined: as the other stories have it, without self-tests and within a day of the first credential. */
export function fleetSettings(seed: number, target: Cell): FleetSettings | undefined {
  const rng = Rng.named(seed, 'fleet settings');
  // The next one is there with each heartbeat.
  const often = aimOf(seed, target)?.fault === 'credential';
  if (seed % 10 >= 7 && rng.chance(70)) return undefined;
  return {
    ...(often || rng.chance(70) ? { credentialMs: often ? 1_000 : rng.between(15_000, 60_000) } : {}),
    ...(rng.chance(35) ? { selfTest: rng.pick(['rented', 'rented', 'all'] as const), canaryEveryMs: rng.between(30_000, 120_000) } : {}),
    progressMs: rng.between(45_000, 60_000),
    stageMs: rng.between(120_000, 180_000),
  };
}

export function fleetItems(seed: number, target: Cell): Item[] {
  const rng = Rng.named(seed, 'fleet');
  const aim = aimOf(seed, target);
  const items: Item[] = [];
  const put = (state: string, afterMs: number, actions: readonly Action[]): void => {
    for (const [at, action] of actions.entries())
      items.push({ when: { job: 0, state, afterMs: afterMs + at * rng.between(0, 3_000) }, ...action });
  };
  if (aim !== undefined) {
    const afterMs = rng.chance(60) ? rng.between(0, 300) : rng.between(300, 8_000);
    put(aim.state, afterMs, aimed(rng, aim.fault));
    // Once more, later: the first may have met nobody.
    if (rng.chance(40)) put(aim.state, afterMs + rng.between(1_000, 6_000), aimed(rng, aim.fault));
  }
  for (
    let left = rng.weighted([
      [6, 0],
      [3, 1],
      [1, 2],
    ] as const);
    left > 0;
    left -= 1
  ) {
    const when = { atMs: rng.between(1_000, 200_000) };
    for (const action of aimed(rng, rng.pick(FLEET_FAULTS))) items.push({ when, ...action });
  }
  // How a rented machine stands to self-tests shows before its first grant.
  if (rng.chance(15)) items.push({ when: { atMs: 0 }, do: 'tests', runner: rng.between(1, 2), how: testFault(rng) });
  return items;
}

function testFault(rng: Rng): TestFault {
  return rng.weighted<TestFault>([
    [3, 'wrong'],
    [2, 'failed'],
    [2, 'silent'],
    [1, 'slow'],
    [3, 'turns'],
  ]);
}

/** One fault of a kind. */
function aimed(rng: Rng, fault: FleetFault): Action[] {
  // Mostly not the first, which is the only own one of many a story: without it nothing goes on.
  const runner = rng.chance(20) ? 0 : rng.between(1, 2);
  const ms = rng.between(1_000, 60_000);
  const hand = (act: Extract<Action, { do: 'runner' }>['act'], at = runner): Action => ({ do: 'runner', runner: at, act, ms });
  switch (fault) {
    case 'credential':
      return rng.weighted<Action[]>([
        [
          3,
          [{ do: 'port', port: 'net.heartbeat', how: 'lost', count: rng.between(2, 5), ms }, hand('keep_fails', 0), hand('keep_fails', 1)],
        ],
        [2, [hand('keep_fails', 0), hand('keep_fails', runner)]],
        [3, [hand('keep_dies', runner), hand('keep_fails', 0)]],
      ]);
    case 'theft':
      return [hand(rng.pick(['thief', 'thief', 'late_thief'])), ...(runner === 0 || rng.chance(30) ? [hand('found_out')] : [])];
    case 'runner_stalls':
      return [{ do: 'stage', job: 0, how: rng.pick(['stalls', 'stalls', 'pretends']) }];
    case 'self_test':
      return [{ do: 'tests', runner: Math.max(1, runner), how: testFault(rng) }];
    case 'fleet_hand': {
      const lifted = runner === 0 || rng.chance(75) ? [hand('ready')] : [];
      return [hand(rng.pick(['drain', 'cordon', 'drain', 'cordon', runner === 0 ? 'drain' : 'ban'])), ...lifted];
    }
    case 'hand_back':
      return [hand(rng.pick(['sigterm', 'sigterm', 'upgrade'])), ...(rng.chance(50) ? [hand('sigterm', 0)] : [])];
    case 'cut':
      // The first stores files.
      return [hand('cut'), ...(rng.chance(75) ? [hand('cut', 0)] : [])];
    case 'wake_up':
      return [{ do: 'port', port: 'wake.poll', how: rng.pick(['lost', 'twice']), count: rng.between(1, 4), ms: 0 }];
  }
}
