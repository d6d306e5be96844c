/** Whether the generated files are what their sources say now. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stateMachinesDocument } from '../state-machines.ts';

/** A sentence when docs/state-machines.md differs from the tables. */
export function staleStateMachines(root: string, fresh = stateMachinesDocument()): string[] {
  const path = join(root, 'docs/state-machines.md');
  if (existsSync(path) && readFileSync(path, 'utf8') === fresh) return [];
  return ['docs/state-machines.md differs from the tables in src/scheduler/plans; run `npm run generate`'];
}

/** A sentence when src/store/tables.ts has changed since the last file in migrations/ was made. */
export function staleMigrations(root: string): string[] {
  const schema = join(root, 'src/store/tables.ts');
  if (!existsSync(schema)) return [];
  const work = mkdtempSync(join(tmpdir(), 'sealpool-migrations-'));
  try {
    const out = join(work, 'migrations');
    if (existsSync(join(root, 'migrations'))) cpSync(join(root, 'migrations'), out, { recursive: true });
    const before = sqlFiles(out);
    const kit = join(import.meta.dirname, '../../node_modules/.bin/drizzle-kit');
    // The tool rebases `out` on the working folder, also when it is absolute.
    execFileSync(process.execPath, [kit, 'generate', '--dialect', 'sqlite', '--schema', schema, '--out', 'migrations'], {
      cwd: work,
      stdio: 'pipe',
    });
    const added = sqlFiles(out).filter((name) => !before.includes(name));
    return added.length === 0 ? [] : ['migrations/ lacks what src/store/tables.ts says now; run `npx drizzle-kit generate`'];
  } finally {
    rmSync(work, { recursive: true });
  }
}

function sqlFiles(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.sql')) : [];
}
