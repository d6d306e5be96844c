/**
 * Each seed aims at one cell of the coverage table, in turn: its first job has that plan, and what the cell tells of
 * strikes in that state. What else happens is drawn, so that a cell is met in many ways.
 */
import { planTables } from '../../src/scheduler/plans/all.ts';
import { aimed } from './actions.ts';
import { type Cell, allCells } from './coverage-table.ts';
import type { Rng } from './prng.ts';
import { type Action, type Existing, FLEET_FAULTS, type Fault, STORAGE_FAULTS } from './script.ts';

/** Cells where nothing has to strike are met by whatever plays. */
const CELLS: readonly Cell[] = allCells().filter(
  ({ event, fault }) =>
    ![...FLEET_FAULTS, ...STORAGE_FAULTS].some((other) => other === fault) &&
    (fault !== 'none' || event === 'RePersist') &&
    event !== '(error:critical)',
);

/** The cell that a seed aims at. Neighbours are far apart, so that any range of seeds meets all plans. */
export function targetOf(seed: number): Cell {
  return CELLS[(seed * 389) % CELLS.length] as Cell;
}

/** What the target's sector has to hold, where its plan takes one that exists. */
export function holdsFor({ plan, state, event }: Cell): Existing['holds'] | undefined {
  if (plan !== 'rebuild') return undefined;
  if (event === 'SkipSnap') return 'nothing';
  return state.startsWith('Snap') && state !== 'SnapDone' ? 'upgraded' : undefined;
}

/** What is done in the target's state. */
export function actionsFor(rng: Rng, { plan, state, event, fault }: Cell): Action[] {
  const states = Object.keys(planTables()[plan] ?? {});
  const spoilt: Action[] = event === 'RePersist' ? Array.from({ length: 3 }, () => ({ do: 'rot', what: 'stored', match: 'update' })) : [];
  // What goes bad before the backup is restored is found before.
  if (fault === 'restore' && spoilt.length > 0) return [{ do: 'restore', ageMs: 0, awayMs: 0 }, ...spoilt];
  // The files are looked at soon: a restart that comes after them finds the job gone on.
  if (fault === 'restart') return [...aimed(rng, fault, states), ...spoilt];
  if (fault !== 'any') return [...spoilt, ...aimed(rng, fault as Fault, states)];
  const job = 0;
  switch (event) {
    case '(back)':
      return [{ do: 'resume', job, state: rng.pick(states.slice(0, Math.max(1, states.indexOf(state)))), force: true }];
    case '(abort)':
      return [{ do: 'abort', job, force: true }];
    case '(pause)':
      return [
        { do: 'pause', job, now: rng.chance(50) },
        { do: 'resume', job, force: true },
      ];
    default:
      return failing(rng, job, event === '(error:permanent)');
  }
}

/** Whatever the state asks for next fails: a stage, or a question to the chain. */
function failing(rng: Rng, job: number, permanent: boolean): Action[] {
  const how = permanent ? ('bad_request' as const) : rng.pick(['storage_full', 'internal'] as const);
  // More than once: a rented runner's word is not believed at first.
  const stages = Array.from({ length: 3 }, (): Action => ({ do: 'stage', job, how }));
  const chain: Action = { do: 'port', port: 'chain.*', how: permanent ? 'permanent' : 'error', count: 1, ms: 0 };
  return [...stages, chain];
}
