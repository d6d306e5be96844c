/** A bit field in Lotus' JSON: run lengths, the first of unset bits; none set is `[0]`. `numbers` rise. */
export function runLengths(numbers: readonly number[]): number[] {
  const runs = [0];
  let end = 0;
  for (const number of numbers) {
    const gap = number - end;
    if (gap > 0 && runs.length % 2 === 1) runs[runs.length - 1] = (runs.at(-1) as number) + gap;
    else if (gap > 0) runs.push(gap);
    if (runs.length % 2 === 0) runs[runs.length - 1] = (runs.at(-1) as number) + 1;
    else runs.push(1);
    end = number + 1;
  }
  return runs;
}
