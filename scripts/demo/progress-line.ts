/** One line on a terminal that is written over and over, under lines that stay. */

const WIDTH = 28;
const CLEAR = '\r\u001b[2K';

/** `PC2 [#####.....] 41 %, 66 s left`; without a fraction only what runs, and for how long. */
export function progressText(stage: string, fraction: number | null, secondsLeft: number | null, elapsedMs: number): string {
  if (fraction === null) return `${stage} … ${seconds(elapsedMs)}`;
  const filled = Math.round(fraction * WIDTH);
  const left = secondsLeft === null ? '' : `, ${Math.ceil(secondsLeft)} s left`;
  return `${stage} [${'#'.repeat(filled)}${'.'.repeat(WIDTH - filled)}] ${Math.round(fraction * 100)} %${left}`;
}

/** `0.4 s`, `12 s`, `3 min 7 s`. */
export function seconds(durationMs: number): string {
  if (durationMs < 9_950) return `${(durationMs / 1000).toFixed(1)} s`;
  const whole = Math.round(durationMs / 1000);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** Shows `text` under what was printed so far; only for terminals. */
export function showProgress(text: string): void {
  process.stdout.write(`${CLEAR}${text}`);
}

/** Prints a line that stays. */
export function printLine(text: string): void {
  process.stdout.write(`${process.stdout.isTTY ? CLEAR : ''}${text}\n`);
}
