/**
 * `make test` and `make soak`, once everything is built: runs cargo's and Vitest's tests one after the other,
 * shows their output as it comes, and ends with one line that sums all of them.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { cargoTally, conclusion, failedFiles, replaced, type Tally, type VitestReport, vitestTally } from './test/tally.ts';

const root = join(import.meta.dirname, '..');
const soak = process.argv.includes('--soak');
const started = performance.now();
const env = {
  ...process.env,
  PATH: [dirname(process.execPath), process.env.PATH, join(homedir(), '.cargo/bin')].join(delimiter),
  WRANGLER_SEND_METRICS: 'false',
};

/** Runs a program, passes its output on, and keeps it. */
function run(program: string, args: readonly string[]): Promise<{ output: string; exitCode: number | null }> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => (chunks.push(chunk), process.stdout.write(chunk)));
    child.stderr.on('data', (chunk: Buffer) => (chunks.push(chunk), process.stderr.write(chunk)));
    child.on('error', (error) => resolve({ output: `${program}: ${error.message}`, exitCode: 127 }));
    child.on('close', (exitCode) => resolve({ output: Buffer.concat(chunks).toString(), exitCode }));
  });
}

function announce(what: string): void {
  console.log(`\n== ${what} (${Math.round((performance.now() - started) / 60_000)} min so far)`);
}

async function cargo(): Promise<Tally> {
  announce(soak ? "the prover's long tests" : "the prover's tests, with real proofs; minutes pass between lines");
  const args = ['test', '--release', '--locked', '--no-fail-fast', '--color=never', '--manifest-path', 'runner-image/Cargo.toml', '--'];
  // Without --show-output the lines by which a test says what it lacks stay hidden.
  const { output, exitCode } = await run('cargo', [...args, '--show-output', ...(soak ? ['--ignored'] : [])]);
  return cargoTally(output, exitCode);
}

/** Runs a project's tests, or those of the given files one after the other. */
async function report(project: string, files: readonly string[] = []): Promise<{ report?: VitestReport; exitCode: number | null }> {
  const folder = mkdtempSync(join(tmpdir(), 'sealpool-test-'));
  const file = join(folder, 'report.json');
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
    const which = files.length === 0 ? [] : ['--no-file-parallelism', ...files];
    const { exitCode } = await run(process.execPath, [
      'node_modules/vitest/vitest.mjs',
      'run',
      '--project',
      project,
      ...reporters,
      ...which,
    ]);
    return { exitCode, ...(existsSync(file) ? { report: JSON.parse(readFileSync(file, 'utf8')) } : {}) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * What fails is run once more with nothing beside it, so that a machine that was busy at the wrong moment is told from
 * a bug. Both are named at the end; what passes only alone is a finding, and not hidden.
 */
async function vitest(project: string, what: string): Promise<Tally> {
  announce(what);
  const first = await report(project);
  const tally = vitestTally(project, first.report, first.exitCode);
  const files = failedFiles(first.report);
  if (first.report === undefined || files.length === 0) return tally;
  announce(`${project}: ${files.length} file(s) with failed tests once more, alone`);
  const again = await report(project, files);
  if (again.report === undefined) return tally;
  const second = vitestTally(project, replaced(first.report, again.report), again.exitCode);
  const test = (failure: string): string | undefined => failure.split('\n')[0];
  const still = new Set(second.failures.map(test));
  return { ...second, unsteady: tally.failures.filter((failure) => !still.has(test(failure))) };
}

const tallies = soak
  ? [await cargo(), await vitest('soak', 'the long tests; hours')]
  : [
      await vitest('workerd', 'what must hold inside a Durable Object'),
      await vitest('node', 'everything that runs in Node; some tests take a minute'),
      await vitest('real', 'what needs the machine for itself: a whole real seal, containers, the simulator; minutes pass between lines'),
      await cargo(),
    ];
const { lines, exitCode } = conclusion(tallies, process.env.CI === 'true');
console.log(`\n${Math.round((performance.now() - started) / 1000)} s`);
for (const line of lines) console.log(line);
process.exitCode = exitCode;
