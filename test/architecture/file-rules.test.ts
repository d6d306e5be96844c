/** Length, names, unfinished work, format: held by this tree, and each breach is found. */
import { expect, test } from 'vitest';
import { fileViolations, MAX_LINES } from '../../scripts/check/file-rules.ts';
import { brokenTree, ROOT, runTool } from './broken-tree.ts';

test('this tree breaks no file rule', () => {
  expect(fileViolations(ROOT)).toEqual([]);
});

const LINE = 'export {};\n';
const LATER = `// ${'TO'}${'DO'}: later\n`;

test.each([
  ['a file one line too long', 'src/api/long.ts', LINE.repeat(MAX_LINES + 1), `${MAX_LINES + 1} lines`],
  ['a Rust file one line too long', 'runner-image/src/long.rs', '// a\n'.repeat(MAX_LINES + 1), `${MAX_LINES + 1} lines`],
  ['a file named after nothing', 'src/api/utils.ts', LINE, '"utils.ts" says nothing'],
  ['a folder named after nothing', 'src/helpers/lease.ts', LINE, '"helpers" says nothing'],
  ['a file in camel case', 'src/api/openApi.ts', LINE, 'kebab-case'],
  ['unfinished work', 'src/api/routes.ts', LATER, 'unfinished work'],
  ['a test left out', 'test/api/app.test.ts', `test${'.skip'}('a', () => {});\n`, 'unfinished work'],
])('%s is refused', (_what, path, text, reason) => {
  const found = fileViolations(brokenTree([], { [path]: text }));
  expect(found).toHaveLength(1);
  expect(found[0]).toContain(`${path}: `);
  expect(found[0]).toContain(reason);
});

test('a file of exactly the greatest length and a long generated one pass', () => {
  const tree = brokenTree([], { 'src/api/long.ts': LINE.repeat(MAX_LINES), 'src/api/client.gen.ts': LINE.repeat(MAX_LINES + 1) });
  expect(fileViolations(tree)).toEqual([]);
});

test('a file that is not formatted is found', () => {
  const tree = brokenTree(['.oxfmtrc.json'], { 'src/api/a.ts': 'export const a = "x"\n', 'src/api/b.ts': "export const b = 'x';\n" });
  const { code, output } = runTool(tree, 'oxfmt', '--check', '.');
  expect(code).not.toBe(0);
  expect(output).toContain('src/api/a.ts');
  expect(output).not.toContain('src/api/b.ts');
});
