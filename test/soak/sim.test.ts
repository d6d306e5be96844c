/** A hundred thousand seeds of the simulator; more than an hour on two cores. `SEEDS` of the environment changes how many, `FROM` where they begin. */
import { expect, test } from 'vitest';
import { newEmptyCells } from '../sim/coverage-table.ts';
import { countsLine, playSeeds } from '../sim/pool.ts';

const FROM = Number(process.env['FROM'] ?? 1);
const SEEDS = Number(process.env['SEEDS'] ?? 100_000);
const TELL_EVERY = 2_000;

test(`${SEEDS} seeds break no promise`, async () => {
  const startedMs = performance.now();
  let played = 0;
  const summary = await playSeeds(FROM, FROM + SEEDS - 1, {
    onOutcome({ seed, broken }) {
      played += 1;
      if (broken !== undefined) console.log(`seed ${seed}: ${broken}`);
      if (played % TELL_EVERY === 0)
        console.log(`${played} of ${SEEDS} seeds, ${Math.round((performance.now() - startedMs) / 60_000)} min`);
    },
  });
  console.log(countsLine(summary));
  expect(summary.broken).toEqual([]);
  expect(summary.seeds).toBe(SEEDS);
  expect(newEmptyCells(summary.cells)).toEqual([]);
});
