/** damocles' sector states: which sectors can be taken over. */
import { RowRefused, quoted } from './values.ts';

/** Refuses a sector that is being worked on, was given up, or is no more. */
export function refuseUnlessFinal(finalized: boolean, removed: boolean, abortReason: string): void {
  if (removed) throw new RowRefused('damocles has removed it: there is nothing to take over');
  if (abortReason !== '') throw new RowRefused(`damocles has aborted it (${quoted(abortReason)}): there is nothing to take over`);
  if (!finalized) throw new RowRefused('damocles still works on it (Finalized: false); let it finish there, then export again');
}
