/**
 * `npm run sim -- --seeds FROM..TO [--jobs N]` runs a range and ends with one line of counts.
 * `--coverage` prints which (plan, state, event, fault) were reached.
 * `--seed N --timeline` tells one seed line by line; `--shrink` cuts it down first, `--keep FILE` writes the story.
 * `--story FILE` plays a kept one.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { coverageTable, newEmptyCells } from './coverage-table.ts';
import { generate } from './generate.ts';
import { play } from './play.ts';
import { countsLine, playSeeds } from './pool.ts';
import { scratchFolder } from './scratch.ts';
import { shrink } from './shrink.ts';
import { readStory } from './stories.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    seed: { type: 'string' },
    jobs: { type: 'string' },
    story: { type: 'string' },
    timeline: { type: 'boolean', default: false },
    shrink: { type: 'boolean', default: false },
    keep: { type: 'string' },
    coverage: { type: 'boolean', default: false },
    first: { type: 'boolean', default: false },
  },
});

const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function range(text: string): Promise<void> {
  const [, from, to] = /^(\d+)\.\.(\d+)$/.exec(text) ?? [];
  if (from === undefined || to === undefined) throw new Error(`--seeds is FROM..TO and not ${text}`);
  const summary = await playSeeds(Number(from), Number(to), {
    ...(values.jobs === undefined ? {} : { jobs: Number(values.jobs) }),
    stopAtFirst: values.first,
    onOutcome: ({ seed, broken }) => {
      if (broken !== undefined) say(`seed ${seed}: ${broken}`);
    },
  });
  if (values.coverage) {
    say(coverageTable(summary.cells));
    for (const cell of newEmptyCells(summary.cells)) say(`never reached, and not in unreached.json: ${cell}`);
  }
  say(countsLine(summary));
  process.exitCode = summary.broken.length === 0 ? 0 : 1;
}

async function single(): Promise<void> {
  const folder = scratchFolder();
  const path = join(folder, 'sealpool.sqlite');
  try {
    let script = values.story === undefined ? generate(Number(values.seed)) : readStory(values.story).script;
    if (values.shrink) {
      const found = await shrink(script, path, say);
      if (found === undefined) say('every promise holds: nothing to shrink');
      script = found?.script ?? script;
    }
    const outcome = await play(script, path, values.timeline);
    for (const line of outcome.timeline ?? []) say(line);
    if (values.keep !== undefined) {
      const story = { title: outcome.broken ?? '', promise: outcome.promise ?? '', script };
      writeFileSync(values.keep, `${JSON.stringify(story, undefined, 2)}\n`);
    }
    say(`seed ${script.seed}: ${outcome.broken ?? 'every promise holds'} (${outcome.steps} steps, log ${outcome.log.slice(0, 16)})`);
    process.exitCode = outcome.broken === undefined ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (values.seeds !== undefined) await range(values.seeds);
else if (values.seed !== undefined || values.story !== undefined) await single();
else say('say which: --seeds FROM..TO, --seed N or --story FILE');
