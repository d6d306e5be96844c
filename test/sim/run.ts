/**
 * `npm run sim -- --seeds FROM..TO [--jobs N]`: runs a range and ends with one line of counts.
 * `--seed N --timeline` tells one story line by line; `--shrink` cuts it down first.
 */
import { mkdtempSync, rmSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { generate } from './generate.ts';
import { play } from './play.ts';

/** Memory, where there is such a folder: durability is tested elsewhere. */
export function scratchFolder(): string {
  return mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'sealpool-sim-'));
}

const { values } = parseArgs({
  options: { seeds: { type: 'string' }, seed: { type: 'string' }, timeline: { type: 'boolean' }, jobs: { type: 'string' } },
});
const folder = scratchFolder();
const started = performance.now();
let steps = 0,
  ms = 0,
  bad = 0,
  n = 0,
  finished = 0,
  aborted = 0;
const kinds = new Map<string, number[]>();
const [from, to] = (values.seeds ?? `${values.seed}..${values.seed}`).split('..').map(Number) as [number, number];
for (let seed = from; seed <= to; seed += 1) {
  const outcome = await play(generate(seed), join(folder, 'sim.db'), values.timeline === true);
  n += 1;
  steps += outcome.steps;
  ms += outcome.virtualMs;
  finished += outcome.finished;
  aborted += outcome.aborted;
  if (values.timeline) console.log(outcome.timeline?.join('\n'));
  if (outcome.broken !== undefined) {
    bad += 1;
    kinds.set(outcome.promise ?? '', [...(kinds.get(outcome.promise ?? '') ?? []), seed]);
    console.log(`seed ${seed}: ${outcome.broken.slice(0, 400)}`);
  }
}
rmSync(folder, { recursive: true });
const s = (performance.now() - started) / 1000;
console.log([...kinds].map(([kind, seeds]) => `${kind}: ${seeds.length}`).join(', '));
console.log(
  `${n} seeds, ${bad} broken, ${steps} steps, ${finished} finished, ${aborted} aborted, ${s.toFixed(1)} s, ${(ms / 3.6e6 / s).toFixed(1)} virtual hours per second`,
);
