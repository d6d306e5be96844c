/** What may import what: holds for this tree, and the check fails for each kind of breach. */
import { expect, test } from 'vitest';
import { importViolations, importsOf } from '../../scripts/check/imports.ts';
import { brokenTree, ROOT } from './broken-tree.ts';

test('this tree imports only what the table allows', () => {
  expect(importViolations(ROOT)).toEqual([]);
});

test.each([
  ['scheduler', `import { readFileSync } from 'node:fs';`, 'src/scheduler must not import node:fs'],
  ['scheduler', `import { request } from 'undici';`, 'must not import the package undici'],
  ['scheduler', `import type { Db } from '../store/db.ts';`, 'must not import src/store/db.ts'],
  ['schema', `export { next } from '../scheduler/machine.ts';`, 'must not import src/scheduler/machine.ts'],
  ['store', `import { next } from '../scheduler/machine.ts';`, 'must not import src/scheduler/machine.ts'],
  ['api', `import { tables } from '../store/tables.ts';`, 'must not import src/store/tables.ts'],
  ['cli', `const app = await import('../api/app.ts');`, 'must not import src/api/app.ts'],
  ['runners', `import '../main/worker.ts';`, 'must not import src/main/worker.ts'],
  ['chain', `import { a } from '../scheduler/ports';`, 'must name the .ts file itself'],
  ['chain', `import { a } from './nowhere.ts';`, 'names a file that is not there'],
  ['novelty', `export const a = 1;`, 'folder src/novelty has no import rule'],
])('src/%s with %s is refused', (folder, source, reason) => {
  const tree = brokenTree([], {
    [`src/${folder}/broken.ts`]: `${source}\n`,
    'src/store/db.ts': '',
    'src/store/tables.ts': '',
    'src/scheduler/machine.ts': '',
    'src/scheduler/ports.ts': '',
    'src/api/app.ts': '',
    'src/main/worker.ts': `import 'node:fs';\nimport '../store/db.ts';\n`,
  });
  const found = importViolations(tree);
  expect(found).toHaveLength(1);
  expect(found[0]).toContain(`src/${folder}/broken.ts: `);
  expect(found[0]).toContain(reason);
});

test('imports are found over several lines and not in comments', () => {
  const source = `import {\n  a,\n  type B,\n} from './a.ts';\nimport * as c from 'c';\nexport * from "d";\n/* import './e.ts' */\n// import './f.ts'\nconst g = await import('g');\n`;
  expect(importsOf(source)).toEqual(['./a.ts', 'c', 'd', 'g']);
});
