/** A copy of the sources in which one control at a time is taken out, and the tests run. */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { RESULT_THREATS } from './results.ts';
import { RUNNER_THREATS } from './runners.ts';
import type { Threat } from './threat.ts';

export const ROOT = join(import.meta.dirname, '../..');
export const THREATS: readonly Threat[] = [...RUNNER_THREATS, ...RESULT_THREATS];

/** What tests read besides the sources. */
const COPIED = ['src', 'test', 'package.json', 'tsconfig.json', 'vitest.config.ts', 'wrangler.toml'];
const LINKED = ['node_modules', 'bin', 'docs', 'migrations', 'runner-image', 'scripts'];

/** A test that hangs without its control is none that fails. */
const MOST_MS = 10 * 60_000;

/** The file's text without the control. Throws when the text is not there exactly once: the source has changed, so must the row. */
export function without({ control, file, find, replace }: Threat, text: string): string {
  if (text.split(find).length !== 2) throw new Error(`${control}: src/${file} does not have the text exactly once; write the row anew`);
  return text.replace(find, () => replace);
}

const Results = z.object({
  testResults: z.array(z.object({ assertionResults: z.array(z.object({ fullName: z.string(), status: z.string() })) })),
});
export type Outcomes = ReadonlyMap<string, string>;

export class Tree {
  readonly #folder = mkdtempSync(join(tmpdir(), 'sealpool-threats-'));

  constructor() {
    for (const name of COPIED) cpSync(join(ROOT, name), join(this.#folder, name), { recursive: true });
    for (const name of LINKED) if (existsSync(join(ROOT, name))) symlinkSync(join(ROOT, name), join(this.#folder, name));
  }

  /** Runs tests with the control taken out; by their full names, how each ended. */
  async runWithout(threat: Threat): Promise<Outcomes> {
    const path = join(this.#folder, 'src', threat.file);
    const whole = readFileSync(path, 'utf8');
    writeFileSync(path, without(threat, whole));
    try {
      return await this.run([threat.test], threat.name);
    } finally {
      writeFileSync(path, whole);
    }
  }

  /** Runs the tests of these files whose full names have `name` in them. */
  async run(files: readonly string[], name?: string): Promise<Outcomes> {
    const report = join(this.#folder, 'report.json');
    rmSync(report, { force: true });
    const named = name === undefined ? [] : ['-t', name.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')];
    const args = ['node_modules/vitest/vitest.mjs', 'run', '--project', 'node', '--reporter=json', `--outputFile=${report}`];
    const child = spawn(process.execPath, [...args, ...named, ...files], {
      cwd: this.#folder,
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: MOST_MS,
      killSignal: 'SIGKILL',
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-2_000)));
    await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
    if (!existsSync(report)) throw new Error(`the tests of ${files.join(', ')} did not run:\n${said}`);
    const { testResults } = Results.parse(JSON.parse(readFileSync(report, 'utf8')));
    return new Map(testResults.flatMap(({ assertionResults }) => assertionResults.map(({ fullName, status }) => [fullName, status])));
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** How the row's tests ended: those whose full name has its name in it. */
export function endsOf({ name }: Threat, outcomes: Outcomes): string[] {
  return [...outcomes]
    .filter(([full, status]) => full.includes(name) && status !== 'skipped' && status !== 'pending')
    .map(([, status]) => status);
}
