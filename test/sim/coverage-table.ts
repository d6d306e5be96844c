/** The coverage table: what could be reached, what was, and what need not be. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { planTables } from '../../src/scheduler/plans/all.ts';
import { cellKey } from './coverage.ts';
import { FAULTS, type Fault } from './script.ts';

/** What may happen in every state, beside the table's events. */
const EVERYWHERE = ['(back)', '(abort)', '(pause)', '(error:temporary)', '(error:permanent)', '(error:critical)'] as const;

/** Cells that no seed reaches, and why. An absent `states`, `events` or `faults` means all of them. */
type Unreached = {
  readonly plans?: readonly string[];
  readonly states?: readonly string[];
  readonly events?: readonly string[];
  readonly faults?: readonly (Fault | 'any')[];
  readonly reason: string;
};

export type Cell = { readonly plan: string; readonly state: string; readonly event: string; readonly fault: Fault | 'any' };

/** Every (plan, state, event, fault) there is. */
export function allCells(): Cell[] {
  return Object.entries(planTables()).flatMap(([plan, table]) =>
    Object.entries(table)
      .filter(([, events]) => Object.keys(events).length > 0)
      .flatMap(([state, events]) => [
        ...Object.keys(events).flatMap((event) => FAULTS.map((fault) => ({ plan, state, event, fault }))),
        // What may happen in every state is counted whatever struck before.
        ...EVERYWHERE.map((event) => ({ plan, state, event, fault: 'any' as const })),
      ]),
  );
}

export function knownUnreached(): Unreached[] {
  return JSON.parse(readFileSync(join(import.meta.dirname, 'unreached.json'), 'utf8')) as Unreached[];
}

const within = <T>(list: readonly T[] | undefined, value: T): boolean => list === undefined || list.includes(value);

/** Cells that were not reached and whose reason nobody wrote down. */
export function newEmptyCells(cells: ReadonlyMap<string, number>): string[] {
  const known = knownUnreached();
  return allCells()
    .filter(({ plan, state, event, fault }) => !cells.has(cellKey(plan, state, event, fault)))
    .filter(
      ({ plan, state, event, fault }) =>
        !known.some(
          (entry) => within(entry.plans, plan) && within(entry.states, state) && within(entry.events, event) && within(entry.faults, fault),
        ),
    )
    .map(({ plan, state, event, fault }) => cellKey(plan, state, event, fault));
}

/** Rows are (plan, state, event), columns faults; a dot is a cell that was not reached. */
export function coverageTable(cells: ReadonlyMap<string, number>): string {
  const columns = [...FAULTS, 'any'] as const;
  const count = (row: string, fault: string): string => String(cells.get(`${row} ${fault}`) ?? '.');
  const rows = new Map<string, Set<string>>();
  for (const { plan, state, event, fault } of allCells()) {
    const row = `${plan} ${state} ${event}`;
    rows.set(row, (rows.get(row) ?? new Set()).add(fault));
  }
  const width = Math.max(...[...rows.keys()].map((row) => row.length));
  const head = columns.map((fault, at) => `${String.fromCharCode(97 + at)} = ${fault}`).join(', ');
  const letters = columns.map((_, at) => String.fromCharCode(97 + at).padStart(6)).join('');
  const lines = [...rows].map(
    ([row, faults]) => row.padEnd(width) + columns.map((fault) => (faults.has(fault) ? count(row, fault) : '').padStart(6)).join(''),
  );
  const all = allCells();
  const reached = all.filter(({ plan, state, event, fault }) => cells.has(cellKey(plan, state, event, fault))).length;
  return [head, ' '.repeat(width) + letters, ...lines, `${reached} of ${all.length} cells reached`].join('\n');
}
