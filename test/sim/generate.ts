/** A seed's script: jobs, machines, and operations and faults, some at random times, most aimed at a state of a job. */
import { planTables } from '../../src/scheduler/plans/all.ts';
import { aimed, anything } from './actions.ts';
import type { Cell } from './coverage-table.ts';
import { Rng } from './prng.ts';
import { sameSector } from './same-sector.ts';
import { scheme } from './schemes.ts';
import { actionsFor, holdsFor, targetOf } from './target.ts';
import { fleetItems, fleetSettings } from './fleet-faults.ts';
import { idleSectors, keepsCaches, storageItems, storageSettings, takenOnTheWay } from './storage-faults.ts';
import { transferSettings } from './transfers.ts';
import { type Action, type Existing, type Item, OTHER_FAULTS, type PortFault, type Script, type When } from './script.ts';

const FAULTS_MS = 15 * 60_000;
/** Beyond the numbers that the sealer plan takes. */
const FIRST_EXISTING = 901;

type Planned = { readonly plan: string; readonly item: Item };

export function generate(seed: number): Script {
  const rng = Rng.named(seed, 'script');
  const sectors: Existing[] = [];
  const target = targetOf(seed);
  const planned = Array.from(
    {
      length: rng.weighted([
        [6, 1],
        [3, 2],
        [1, 3],
      ]),
    },
    (_, at) => job(rng, at, sectors, at === 0 ? target : undefined),
  );
  const items = sameSector(seed, planned, sectors);
  const statesOf = (at: number): string[] => {
    const table = planTables()[planned[at]?.plan ?? ''] ?? {};
    return Object.keys(table).filter((state) => Object.keys(table[state] ?? {}).length > 0);
  };
  const count = rng.weighted([
    [1, 0],
    [4, 3],
    [4, 6],
    [2, 10],
  ]);
  for (let left = count; left > 0; left -= 1) {
    const at = rng.int(planned.length);
    const states = statesOf(at);
    const when: When = rng.chance(75)
      ? {
          job: at,
          state: rng.pick(states),
          afterMs: rng.weighted([
            [3, 0],
            [4, rng.between(1, 400)],
            [3, rng.between(400, 6_000)],
          ]),
        }
      : { atMs: rng.between(0, 300_000) };
    put(rng, items, when, anything(rng, at, 'state' in when ? when.state : undefined, states));
  }
  for (let left = rng.between(2, 4); left > 0; left -= 1) {
    const states = statesOf(0);
    const when = {
      job: 0,
      state: rng.pick(states),
      afterMs: rng.weighted([
        [4, 0],
        [3, rng.between(1, 300)],
        [2, rng.between(300, 3_000)],
      ]),
    };
    put(rng, items, when, aimed(rng, rng.pick(OTHER_FAULTS), states));
  }
  put(
    rng,
    items,
    { job: 0, state: target.state, afterMs: target.state === 'Empty' || rng.chance(70) ? 0 : rng.between(1, 2_000) },
    actionsFor(rng, target),
  );
  items.push(...scheme(rng, { states: statesOf(0), jobs: planned.length, askedMs: planned.length * 2_000 }));
  const storage = storageSettings(seed);
  if (storage !== undefined) {
    sectors.push(...idleSectors(seed));
    items.push(...storageItems(seed, target, storage.disks.length));
    const taken = takenOnTheWay(seed);
    if (taken !== undefined) {
      sectors.push(taken.sector);
      items.push(...taken.items);
    }
  }
  const twice = lostAgain(seed, items);
  loseAnswers(seed, items);
  const transfers = transferSettings(seed);
  const fleet = fleetSettings(seed, target);
  items.push(...headFaults(seed));
  items.push(...fleetItems(seed, target));
  return {
    seed,
    sealProof: rng.weighted([
      [3, 'StackedDrg2KiBV1_1'],
      [2, 'StackedDrg2KiBV1_1_Feat_SyntheticPoRep'],
    ]),
    threads: rng.between(1, 3),
    runners: [
      { trust: 'own', slots: rng.between(1, 3) },
      ...Array.from({ length: rng.between(1, 2) }, () => ({
        trust: rng.chance(70) ? ('rented' as const) : ('own' as const),
        slots: rng.between(1, 2),
      })),
    ],
    ...(sectors.length === 0 ? {} : { sectors }),
    ...(target.fault === 'receiver' || rng.chance(6) || twice ? { webhook: true } : {}),
    ...(fleet === undefined ? {} : { fleet }),
    ...(Rng.named(seed, 'fallback').chance(30) ? { autoFallback: true } : {}),
    ...(storage === undefined ? {} : { storage }),
    ...(keepsCaches(seed) ? { caches: true } : {}),
    longStages: true,
    ...(transfers === undefined ? {} : { transfers }),
    items,
    faultsMs: FAULTS_MS,
  };
}

/** Of backups that are restored a third is restored once more, in draws of its own; answers whether one is: somebody who knows what both lives told is there then. */
function lostAgain(seed: number, items: Item[]): boolean {
  const rng = Rng.named(seed, 'lost again');
  let twice = false;
  items.forEach((item, at) => {
    if (item.do !== 'restore' || !rng.chance(35)) return;
    items[at] = { ...item, againMs: rng.between(500, 60_000) };
    twice = true;
  });
  return twice;
}

/** The control plane dies with a pledge committed and not answered, in draws of its own: whoever asked asks again. One with pieces commits those first. */
function loseAnswers(seed: number, items: Item[]): void {
  const rng = Rng.named(seed, 'lost answers');
  for (const item of items.filter((one) => one.do === 'pledge' && one.pieces === undefined && rng.chance(4)))
    items.splice(items.indexOf(item), 0, { when: item.when, do: 'port', port: 'store.commit', how: 'crash_after', count: 1, ms: 0 });
}

/** The head is told wrongly, late or not at all for a while, in draws of its own. */
function headFaults(seed: number): Item[] {
  const rng = Rng.named(seed, 'head');
  if (!rng.chance(15)) return [];
  const how = rng.pick<PortFault>(['error', 'lost', 'delay', 'stale', 'crash_before', 'crash_after']);
  const count = how.startsWith('crash') ? 1 : rng.between(1, 4);
  return [{ when: { atMs: rng.between(0, 120_000) }, do: 'port', port: 'chain.head', how, count, ms: rng.between(500, 40_000) }];
}

/** Several actions follow each other, at once or a little later. */
function put(rng: Rng, items: Item[], when: When, actions: readonly Action[]): void {
  let laterMs = 0;
  for (const action of actions) {
    const moment = 'atMs' in when ? { atMs: when.atMs + laterMs } : { ...when, afterMs: when.afterMs + laterMs };
    items.push({ when: moment, ...action });
    if (rng.chance(60)) laterMs += rng.between(1, 4_000);
  }
}

/** One job, and the sector it works on where its plan wants one. Jobs are asked for in their order, so that they keep their index. */
function job(rng: Rng, at: number, sectors: Existing[], target: Cell | undefined): Planned {
  const drawn = rng.weighted([
    [6, 'sealer'],
    [3, 'snapup'],
    [5, 'rebuild'],
    [1, 'unseal'],
  ]);
  const plan = target?.plan ?? drawn;
  const when = { atMs: at * 2_000 + rng.between(100, 1_500) };
  const pledge = (more: Partial<Extract<Action, { do: 'pledge' }>>): Planned => ({
    plan,
    item: { when, do: 'pledge', plan, count: 1, ...more },
  });
  if (plan === 'sealer') {
    const pieces = rng.weighted([
      [7, 0],
      [2, 1],
      [1, 2],
    ]);
    return pledge(pieces === 0 ? {} : { pieces });
  }
  const number = FIRST_EXISTING + sectors.length;
  const ticket = rng.chance(60);
  switch (plan) {
    case 'snapup':
      sectors.push({ number, holds: 'nothing', ticket, lost: false });
      return pledge({ pieces: 1, ...(rng.chance(70) ? { sector: number } : {}), ...(rng.chance(15) ? { skipOnchainCheck: true } : {}) });
    case 'rebuild': {
      const any = rng.pick(['nothing', 'data', 'upgraded', 'upgraded'] as const);
      const holds = (target === undefined ? undefined : holdsFor(target)) ?? any;
      sectors.push({ number, holds, ticket, lost: true });
      return pledge({ sector: number, ...(holds === 'nothing' ? {} : { pieces: 1, ownData: true }) });
    }
    default:
      sectors.push({ number, holds: rng.pick(['data', 'upgraded'] as const), ticket, lost: false });
      return pledge({ sector: number });
  }
}
