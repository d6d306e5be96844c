/** The threat table is whole: every row that concerns runners has a control that can be taken out, and a test that is there. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT, THREATS, without } from './plant.ts';

/** The rows of the table of threats that concern runners and their results. */
const ROWS = [
  'steals a credential',
  'replays a registration',
  "touches others' jobs",
  'returns a wrong CommR or CommD, forges vanilla proofs',
  'returns a proof of another sector',
  'uploads garbage, swaps a file later',
  'uploads hugely',
  'path and link tricks',
  'leaks a presigned URL',
  'reads its environment',
  'claims and stalls',
  'floods',
  'names itself ANSI or <img onerror>',
];

test('every row has controls, and every control a row', () => {
  expect([...new Set(THREATS.map(({ threat }) => threat))].sort()).toEqual([...ROWS].sort());
});

test.each(THREATS)('$threat: $control', (row) => {
  const text = readFileSync(join(ROOT, 'src', row.file), 'utf8');
  expect(without(row, text)).not.toBe(text);
  // `describe` and the values of `test.each` come in between; the longest word of its name is in the file.
  const word = row.name.split(/[^\w]+/).reduce((longest, one) => (one.length > longest.length ? one : longest), '');
  expect(readFileSync(join(ROOT, row.test), 'utf8').includes(word), `${row.test} has ${word}`).toBe(true);
});
