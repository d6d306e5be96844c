/** lotus-miner's states: which sectors can be taken over. */
import { RowRefused, isAbsent, quoted } from './values.ts';

/** States in which the sector is sealed, on chain, and nothing is being done with it. */
const AT_REST = new Set([
  'Proving',
  'Available',
  'FinalizeSector',
  'FinalizeFailed',
  'UpdateActivating',
  'ReleaseSectorKey',
  'ReleaseSectorKeyFailed',
  'Faulty',
  'FaultReported',
  'FaultedFinal',
]);
const GONE = new Set(['Terminating', 'TerminateWait', 'TerminateFinality', 'TerminateFailed', 'Removing', 'RemoveFailed', 'Removed']);

/** Refuses a sector that lotus-miner still works on, or that is no more. */
export function refuseUnlessAtRest(state: unknown): void {
  if (isAbsent(state) || AT_REST.has(String(state))) return;
  if (GONE.has(String(state))) throw new RowRefused(`lotus-miner has it as ${quoted(state)}: it is no more, there is nothing to take over`);
  throw new RowRefused(`lotus-miner has it as ${quoted(state)} and still works on it; let it finish there, then export again`);
}
