/** Every planted bug has a text to change: a mutant whose source has moved on catches nothing. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { MUTANTS } from './planted.ts';

test.each(MUTANTS)('$name', ({ file, find, also }) => {
  const text = readFileSync(join(import.meta.dirname, '../../../src', file), 'utf8');
  for (const one of [find, ...(also === undefined ? [] : [also.find])]) expect(text.split(one)).toHaveLength(2);
});
