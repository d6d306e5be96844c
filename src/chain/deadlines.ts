/**
 * Window PoSt deadlines (rules of the miner actor, `deadlines.rs` and `deadline_info.rs`): a proving period
 * is cut into windows of equal length, deadline `n` is open in the n-th. From one window's length before it
 * opens until it closes, nothing may change in it.
 */

/** When a miner's deadlines are; epochs. */
export type ProvingSchedule = {
  /** First epoch of any one proving period. */
  readonly periodStart: number;
  readonly provingPeriod: number;
  readonly challengeWindow: number;
};

/** Open from `open` up to, but not with, `close`. */
export type DeadlineWindow = { readonly open: number; readonly close: number };

/** First epoch of the proving period that `epoch` lies in. */
export function periodStartAt(schedule: ProvingSchedule, epoch: number): number {
  const { periodStart, provingPeriod } = schedule;
  const into = (epoch - periodStart) % provingPeriod;
  return epoch - (into < 0 ? into + provingPeriod : into);
}

/** The deadline's window that is open at `epoch`, else its next one. */
export function nextWindow(schedule: ProvingSchedule, deadline: number, epoch: number): DeadlineWindow {
  const { provingPeriod, challengeWindow } = schedule;
  const open = periodStartAt(schedule, epoch) + deadline * challengeWindow;
  const window = { open, close: open + challengeWindow };
  return epoch < window.close ? window : { open: open + provingPeriod, close: window.close + provingPeriod };
}

/** Whether sectors of the deadline may be added or upgraded by a message that executes at `epoch`. */
export function deadlineIsMutable(schedule: ProvingSchedule, deadline: number, epoch: number): boolean {
  return epoch < nextWindow(schedule, deadline, epoch).open - schedule.challengeWindow;
}
