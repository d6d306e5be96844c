/** Seeds against the real engine, store and effects: no broken promise, and no corner that was reached before goes unvisited. */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { coverageTable, newEmptyCells } from './coverage-table.ts';
import { generate } from './generate.ts';
import { play } from './play.ts';
import { countsLine, playSeeds } from './pool.ts';
import { olderNode } from '../older-node/older-node.ts';
import { scratchFolder } from './scratch.ts';
import { keptStories } from './stories.ts';

/** So many where all of `make test` runs; fewer show what a change broke. */
const SEEDS = Number(process.env.SEALPOOL_SIM_SEEDS ?? 2_500);
/** So many reach every cell that is not on the list. */
const ENOUGH_FOR_COVERAGE = 2_500;
/** Of the jobs that end, so many are Finished at least (it is about 0.86): an engine that gives up too easily shows here. */
const LEAST_FINISHED = 0.8;
const MOST_MS = 15 * 60_000;

function scratch(): string {
  const folder = scratchFolder();
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'sealpool.sqlite');
}

test(
  `${SEEDS} seeds break no promise`,
  async () => {
    const summary = await playSeeds(1, SEEDS);
    process.stdout.write(`${coverageTable(summary.cells)}\n${countsLine(summary)}\n`);
    expect(summary.broken).toEqual([]);
    expect(summary.seeds).toBe(SEEDS);
    // Pausing and giving up breaks no promise, and seals nothing.
    expect(summary.finished / (summary.finished + summary.aborted)).toBeGreaterThan(LEAST_FINISHED);
    // Every cell that is never reached stands in unreached.json with its reason.
    if (SEEDS >= ENOUGH_FOR_COVERAGE) expect(newEmptyCells(summary.cells)).toEqual([]);
  },
  MOST_MS,
);

test('the same seed gives the same log, byte for byte', async () => {
  const path = scratch();
  const first = await play(generate(7), path, true);
  const second = await play(generate(7), path, true);
  expect(second.log).toBe(first.log);
  expect(second.timeline).toEqual(first.timeline);
});

test('a world whose database another one left, whose disk had failed, goes as in a new one', async () => {
  const path = scratch();
  await play(generate(235), path);
  const after = await play(generate(236), path);
  expect(after).toMatchObject({ broken: undefined, log: (await play(generate(236), scratch())).log });
});

const older = olderNode();

/** The last line of a range played by another Node: counts and the digest of all logs, without what the clock says. */
function playedBy(node: string): string {
  const args = [join(import.meta.dirname, 'run.ts'), '--seeds', '1..20', '--jobs', '1'];
  const said = execFileSync(node, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return (
    said
      .trim()
      .split('\n')
      .at(-1)
      ?.replace(/ in [\d.]+ s \([^)]*\)/, '') ?? ''
  );
}

test.runIf(older !== undefined)('the same seeds give the same logs on Node 22 and on this one', { timeout: 60_000 }, () => {
  const here = playedBy(process.execPath);
  expect(here).toMatch(/^20 seeds, 0 broken promises, .* log [0-9a-f]{16}$/);
  expect(playedBy(older as string)).toBe(here);
});

describe('stories that once broke a promise', () => {
  test.each(keptStories())('$name', async ({ story }) => {
    const outcome = await play(story.script, scratch(), true);
    expect(outcome.broken, outcome.timeline?.join('\n')).toBeUndefined();
  });
});
