/** Generated files are what their sources say, and a stale one is found. */
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { staleMigrations, staleStateMachines } from '../../scripts/check/generated.ts';
import { stateMachinesDocument } from '../../scripts/state-machines.ts';
import { planTables } from '../../src/scheduler/plans/all.ts';
import { brokenTree, ROOT } from './broken-tree.ts';

test('docs/state-machines.md is fresh', () => {
  expect(staleStateMachines(ROOT)).toEqual([]);
});

test('one more event in a table makes docs/state-machines.md stale', () => {
  const tables = planTables();
  const sealer = { ...tables['sealer'], Persisted: { ...tables['sealer']?.['Persisted'], RePersist: 'PCLanded' } };
  const changed = stateMachinesDocument({ ...tables, sealer });
  expect(changed).toContain('Persisted --> PCLanded: RePersist');
  expect(staleStateMachines(ROOT, changed)).toEqual([expect.stringContaining('npm run generate')]);
});

test('every state and event of every table stands in the document', () => {
  const document = readFileSync(join(ROOT, 'docs/state-machines.md'), 'utf8');
  for (const table of Object.values(planTables())) {
    for (const [state, events] of Object.entries(table)) {
      expect(document).toContain(`| ${state} |`);
      for (const [event, to] of Object.entries(events)) expect(document).toContain(`${state} --> ${to}: ${event}`);
    }
  }
});

const STORE = ['migrations', 'src/store/tables.ts', 'src/store/storage-tables.ts', 'src/store/runner-tables.ts'];

test('migrations/ is fresh, and one more table makes it stale', { timeout: 60_000 }, () => {
  const tree = brokenTree(STORE, {});
  expect(staleMigrations(tree)).toEqual([]);
  const more = `\nexport const broken = sqliteTable('broken_on_purpose', { id: text().primaryKey() });\n`;
  appendFileSync(join(tree, 'src/store/tables.ts'), more);
  expect(staleMigrations(tree)).toEqual([expect.stringContaining('npx drizzle-kit generate')]);
});
