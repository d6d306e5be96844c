/** State tables: a missing state, an unknown event or an unknown target does not compile. */
import { SealpoolError } from '../schema/problem.ts';

/** `State => { Event: State }`; a final state has an empty object. */
export type Table<State extends string, Event extends string> = {
  readonly [S in State]: { readonly [E in Event]?: State };
};

/** A table whose names the engine does not know: what `PLANS` holds and `GET /v1/plans` serves. */
export type AnyTable = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** An event that the state does not have. */
export class IllegalTransition extends SealpoolError {
  constructor(state: string, event: string, valid: readonly string[]) {
    super(
      'conflict',
      'illegal_transition',
      `${event} does not happen in ${state}; there ${valid.length === 0 ? 'nothing happens any more' : `only ${valid.join(', ')} can`}`,
    );
  }
}

/** The state that `event` leads to from `state`. Throws IllegalTransition. */
export function next(table: AnyTable, state: string, event: string): string {
  const row = Object.hasOwn(table, state) ? table[state] : undefined;
  const target = row !== undefined && Object.hasOwn(row, event) ? row[event] : undefined;
  if (target === undefined) throw new IllegalTransition(state, event, Object.keys(row ?? {}));
  return target;
}

/** True for Finished and Aborted: nothing happens there any more. */
export function isFinal(state: string): boolean {
  return state === 'Finished' || state === 'Aborted';
}
