/**
 * Plants each bug in a copy of the sources and counts how many seeds it takes to be caught. Prints a table;
 * ends with 1 when one is not caught within the seeds given; one that changed nothing at all in them was "never exercised". `--seeds N` (2,000), `--jobs N`, `--only TEXT`: of those whose name has
 * it, `--from N`: from the Nth row on (1 is the first).
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { MUTANTS, type Mutant } from './planted.ts';

const ROOT = join(import.meta.dirname, '../../..');

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2000' },
    only: { type: 'string', default: '' },
    from: { type: 'string', default: '1' },
    jobs: { type: 'string' },
  },
});

/** `promise`: the one that broke. `log`: digest of what the seeds came to. */
type Played = { readonly seeds: number; readonly promise: string | undefined; readonly log: string };

/** A tree with the bug in it. Throws when the text is not there exactly once: the source has changed, so must the mutant. */
function plant(mutant: Mutant): string {
  const tree = mkdtempSync(join(tmpdir(), 'sealpool-mutant-'));
  cpSync(join(ROOT, 'src'), join(tree, 'src'), { recursive: true });
  mkdirSync(join(tree, 'test'));
  cpSync(join(ROOT, 'test/sim'), join(tree, 'test/sim'), { recursive: true });
  cpSync(join(ROOT, 'package.json'), join(tree, 'package.json'));
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
  const path = join(tree, 'src', mutant.file);
  for (const { find, replace } of [mutant, ...(mutant.also === undefined ? [] : [mutant.also])]) {
    const text = readFileSync(path, 'utf8');
    if (text.split(find).length !== 2)
      throw new Error(`${mutant.name}: src/${mutant.file} does not have the text exactly once; write the mutant anew`);
    writeFileSync(
      path,
      text.replace(find, () => replace),
    );
  }
  return tree;
}

function playIn(tree: string): Promise<Played> {
  const args = [
    'test/sim/run.ts',
    '--seeds',
    `1..${values.seeds}`,
    '--first',
    ...(values.jobs === undefined ? [] : ['--jobs', values.jobs]),
  ];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: tree, stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    child.on('error', reject);
    child.on('close', () => {
      const promise = /^seed \d+: (.*?):/m.exec(said)?.[1];
      const [, seeds, log] = /^(\d+) seeds, .* log ([0-9a-f]+)$/m.exec(said) ?? [];
      if (seeds === undefined || log === undefined) reject(new Error(`the simulator did not end with its counts: ${said.slice(-400)}`));
      else resolve({ seeds: Number(seeds), promise, log });
    });
  });
}

let unchanged: Played | undefined;

/** Whether a bug that was not caught ever made a difference: without it the same seeds come to the same. */
async function escapedBy(log: string): Promise<string> {
  unchanged ??= await playIn(ROOT);
  return `ESCAPED ${values.seeds} seeds${unchanged.log === log ? ', never exercised' : ''}`;
}

let escaped = 0;
for (const mutant of MUTANTS.slice(Number(values.from) - 1).filter(({ name }) => name.includes(values.only))) {
  const tree = plant(mutant);
  try {
    const { seeds, promise, log } = await playIn(tree);
    if (promise === undefined) escaped += 1;
    const result = promise === undefined ? await escapedBy(log) : `${String(seeds).padStart(5)} seeds  ${promise}`;
    process.stdout.write(`${mutant.name.padEnd(76)} ${result}\n`);
  } finally {
    rmSync(tree, { recursive: true, force: true });
  }
}
process.stdout.write(`${escaped} planted bugs were not caught\n`);
process.exitCode = escaped === 0 ? 0 : 1;
