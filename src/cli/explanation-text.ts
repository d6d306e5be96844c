/** Why a sector waits, for a terminal: a sentence, and a table of the runners with what the stage would cost on each. */
import type { Explanation } from '../api/client.ts';
import { duration, plain, table } from './text.ts';

const HEAD = ['', 'runner', 'fetch', 'stage', 'wait', 'rent USD', 'total USD', 'why'];

/** Dollars to the cent, and smaller sums to their first digits. */
const usd = (amount: number): string => (amount === 0 ? '0' : amount < 0.1 ? amount.toPrecision(2) : amount.toFixed(2));
const time = (seconds: number): string => (seconds === 0 ? '0 s' : duration(seconds * 1000));

/** `~` marks a stage's time that was not measured on the runner, `*` the one that the stage would go to. */
export function explanationText({ sentence, candidates }: Explanation): string {
  if (candidates.length === 0) return plain(sentence);
  const rows = candidates.map(({ runner, name, why, gets, cost }) => {
    const about = [gets ? '*' : ' ', `${name} (${runner})`];
    if (cost === null) return [...about, null, null, null, null, null, why];
    const { transferS, stageS, measured, queueS, rentUsd, totalUsd } = cost;
    return [...about, time(transferS), `${measured ? '' : '~'}${time(stageS)}`, time(queueS), usd(rentUsd), usd(totalUsd), why];
  });
  return `${plain(sentence)}\n\n${table(HEAD, rows)}`;
}
