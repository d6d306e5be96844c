/** The reader of examples itself: what it takes from a document, and that it notices what differs. */
import { expect, test } from 'vitest';
import { examplesOf, matches } from './examples.ts';

test('blocks are read with their heading, conditions and what they print', () => {
  const document = '# A\n```sh needs=/x\necho 1\n```\n```text\n1\n```\n## B\n```js file=b.mjs\n1;\n```\n';
  expect(examplesOf(document)).toEqual([
    { language: 'sh', code: 'echo 1', heading: 'A', line: 2, needs: '/x', file: undefined, expected: '1' },
    { language: 'js', code: '1;', heading: 'B', line: 9, needs: undefined, file: 'b.mjs', expected: undefined },
  ]);
  expect(() => examplesOf('```bash\nx\n```')).toThrow(/line 1: a block of kind "bash" is not run/);
});

test.each([
  ['a\n', 'a', true],
  ['a b c\n', 'a … c', true],
  ['a\nx\ny\nb\n', 'a\n…\nb', true],
  ['a\nb\n', 'a\n…\nb', true],
  ['ab\n', 'a', false],
  ['a\nb\n', 'a', false],
  ['a b\n', 'a … c', false],
  ['a\nx\n', 'a\n…\nb', false],
  ['.', 'a', false],
])('%j against %j: %s', (printed, expected, same) => {
  expect(matches(printed, expected)).toBe(same);
});
