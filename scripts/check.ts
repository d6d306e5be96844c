/**
 * `npm run check`: types, lint, format, what may import what, file rules, generated files; under a minute.
 * Everything runs at once; what fails is printed whole, and the exit code says whether all passed.
 */
import { spawn } from 'node:child_process';
import { delimiter, dirname, join } from 'node:path';
import { fileViolations } from './check/file-rules.ts';
import { staleMigrations, staleStateMachines } from './check/generated.ts';
import { importViolations } from './check/imports.ts';

const root = join(import.meta.dirname, '..');
// The tools' first lines look `node` up; let them find the one that runs this.
const PATH = [dirname(process.execPath), process.env.PATH].join(delimiter);

interface Outcome {
  readonly name: string;
  readonly seconds: number;
  readonly problems: string;
}

function tool(name: string, program: string, ...args: string[]): Promise<Outcome> {
  const started = performance.now();
  return new Promise((resolve) => {
    const child = spawn(join(root, 'node_modules/.bin', program), args, {
      cwd: root,
      env: { ...process.env, PATH },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    const finish = (problems: string): void => resolve({ name, seconds: (performance.now() - started) / 1000, problems });
    child.on('error', (error) => finish(`${program} did not start (${error.message}); run npm ci`));
    child.on('close', (code) => finish(code === 0 ? '' : Buffer.concat(chunks).toString() || `${program} exited with ${code}`));
  });
}

/** A second run looks only at what changed. */
function types(name: string, config: string): Promise<Outcome> {
  return tool(name, 'tsc', '-p', config, '--incremental', '--tsBuildInfoFile', `node_modules/.cache/sealpool/${config}.tsbuildinfo`);
}

function rule(name: string, find: () => string[]): Outcome {
  const started = performance.now();
  const problems = find().join('\n');
  return { name, seconds: (performance.now() - started) / 1000, problems };
}

const started = performance.now();
const tools = [
  types('types', 'tsconfig.json'),
  types('types of the pure core', 'tsconfig.scheduler.json'),
  types('types in workerd', 'tsconfig.workerd.json'),
  tool('lint', 'oxlint', '--deny-warnings'),
  tool('format', 'oxfmt', '--check', '.'),
];
const rules = [
  rule('imports', () => importViolations(root)),
  rule('files', () => fileViolations(root)),
  rule('state machines are fresh', () => staleStateMachines(root)),
  rule('migrations are fresh', () => staleMigrations(root)),
];
const outcomes = [...(await Promise.all(tools)), ...rules];
for (const { name, seconds, problems } of outcomes) {
  console.log(`${problems === '' ? 'ok  ' : 'FAIL'} ${name} (${seconds.toFixed(1)} s)`);
  if (problems !== '') console.log(problems.trimEnd());
}
const failed = outcomes.filter(({ problems }) => problems !== '').length;
console.log(`${outcomes.length - failed} passed, ${failed} failed in ${((performance.now() - started) / 1000).toFixed(1)} s`);
process.exitCode = failed === 0 ? 0 : 1;
