/** The core has no I/O, clock or randomness: such code does not compile, or does not pass lint. */
import { expect, test } from 'vitest';
import { fileViolations } from '../../scripts/check/file-rules.ts';
import { brokenTree, runTool } from './broken-tree.ts';

const CORE = ['package.json', 'tsconfig.json', 'tsconfig.scheduler.json', 'src/schema', 'src/scheduler'];

test('the core compiles without Node and DOM types', () => {
  const { code, output } = runTool(brokenTree(CORE, {}), 'tsc', '-p', 'tsconfig.scheduler.json');
  expect(output).toBe('');
  expect(code).toBe(0);
});

test.each([
  ['fetch', `export const height = fetch('http://127.0.0.1/');`],
  ['process', `export const home = process.env.HOME;`],
  ['setTimeout', `export const timer = setTimeout(() => {}, 1);`],
  ['crypto', `export const id = crypto.randomUUID();`],
  ['node:fs', `import { readFileSync } from 'node:fs';\nexport const text = readFileSync('a');`],
])('%s in the core does not compile', (name, source) => {
  const { code, output } = runTool(brokenTree(CORE, { 'src/scheduler/broken.ts': `${source}\n` }), 'tsc', '-p', 'tsconfig.scheduler.json');
  expect(code).not.toBe(0);
  expect(output).toContain(name);
  for (const line of output.trim().split('\n')) expect(line).toMatch(/^(src\/scheduler\/broken\.ts|\s)/);
});

test.each([
  ['Date.now', `export const nowMs = Date.now();`],
  ['Math.random', `export const dice = Math.random();`],
  ['setTimeout', `export const timer = setTimeout(() => {}, 1);`],
  ['setInterval', `export const timer = setInterval(() => {}, 1);`],
])('%s outside main and adapters does not pass lint', (_name, source) => {
  for (const folder of ['scheduler', 'schema', 'api', 'dashboard']) {
    const tree = brokenTree(['.oxlintrc.json'], { [`src/${folder}/broken.ts`]: `${source}\n`, 'src/main/clock.ts': `${source}\n` });
    const { code, output } = runTool(tree, 'oxlint', '--deny-warnings');
    expect(code, output).not.toBe(0);
    expect(output).toContain(`src/${folder}/broken.ts`);
    expect(output).not.toContain('src/main/clock.ts');
  }
});

test('new Date() in the core is found', () => {
  const tree = brokenTree([], { 'src/scheduler/broken.ts': 'export const now = new Date();\nexport const then = new Date(0);\n' });
  expect(fileViolations(tree)).toEqual([expect.stringContaining('src/scheduler/broken.ts: reads the clock')]);
});
