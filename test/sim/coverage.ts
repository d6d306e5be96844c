/**
 * Which cells were reached: a job in `state` took `event` after `fault` had struck while it was in that state.
 * Events of the tables, and `(back)`, `(abort)`, `(pause:category)` for what every state allows.
 */
import type { EventRow } from './reader.ts';
import type { Told } from './oracle-history.ts';
import type { Fault } from './script.ts';

export const cellKey = (plan: string, state: string, event: string, fault: Fault | 'any'): string => `${plan} ${state} ${event} ${fault}`;

export class Coverage {
  readonly cells = new Map<string, number>();
  /** Faults that struck since each job entered its state. */
  readonly #struck = new Map<string, Set<Fault>>();

  /** A fault struck: one job's, or with it undefined everybody's. */
  strike(fault: Fault, jobs: Iterable<string>): void {
    for (const job of jobs) {
      const struck = this.#struck.get(job) ?? new Set<Fault>();
      struck.add(fault);
      this.#struck.set(job, struck);
    }
  }

  /** `before`: the job's state ahead of the event. */
  event(row: EventRow, job: Told, before: string): void {
    const name = nameOf(row);
    if (name === undefined) return;
    const struck = this.#struck.get(job.id) ?? new Set<Fault>();
    for (const fault of name.startsWith('(') ? (['any'] as const) : struck.size === 0 ? (['none'] as const) : struck) {
      const key = cellKey(job.plan, before, name, fault);
      this.cells.set(key, (this.cells.get(key) ?? 0) + 1);
    }
    if (row.kind !== 'paused' && row.kind !== 'error') this.#struck.delete(job.id);
  }
}

function nameOf(row: EventRow): string | undefined {
  switch (row.kind) {
    case 'transition':
      return row.event ?? undefined;
    case 'went_back':
      return '(back)';
    case 'aborted':
      return '(abort)';
    case 'error': {
      const { category } = JSON.parse(row.detail) as { category?: string };
      return `(error:${category ?? 'temporary'})`;
    }
    case 'paused':
      return row.actor.startsWith('operator') ? '(pause)' : undefined;
    default:
      return undefined;
  }
}
