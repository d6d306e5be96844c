/**
 * Writes `src/store/migrations.gen.ts` from `migrations/*.sql`, so that both engines run the same compiled-in
 * SQL and nothing is read from disk. `node scripts/generate-migrations.ts` writes, `--check` only compares.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
/** Where the compiled-in SQL stands. */
export const MIGRATIONS_FILE = join(ROOT, 'src/store/migrations.gen.ts');
const FOLDER = join(ROOT, 'migrations');

const text = (value: string): string => `\`${value.replaceAll('\\', '\\\\').replaceAll('`', '\\`').replaceAll('${', '\\${')}\``;

/** The module's text, from the SQL files in order of their names. */
export function migrationsModule(): string {
  const files = readdirSync(FOLDER)
    .filter((name) => name.endsWith('.sql'))
    .sort();
  const entries = files.map((file) => {
    const statements = readFileSync(join(FOLDER, file), 'utf8')
      .split('--> statement-breakpoint')
      .map((statement) => statement.trim().replaceAll('\t', '  '))
      .filter((statement) => statement !== '');
    const lines = statements.map((statement) => `      ${text(statement)},\n`).join('');
    return `  {\n    name: '${file.slice(0, -'.sql'.length)}',\n    statements: [\n${lines}    ],\n  },\n`;
  });
  return [
    '/** Made by scripts/generate-migrations.ts from migrations/*.sql: change the tables, then generate both. */\n',
    "import type { Migration } from './migrate.ts';\n\n",
    '/** In the order they are applied. */\n',
    `export const MIGRATIONS: readonly Migration[] = [\n${entries.join('')}];\n`,
  ].join('');
}

if (import.meta.main) {
  const fresh = migrationsModule();
  if (process.argv.includes('--check')) {
    if (readFileSync(MIGRATIONS_FILE, 'utf8') !== fresh) {
      console.error('src/store/migrations.gen.ts is older than migrations/*.sql; run node scripts/generate-migrations.ts');
      process.exitCode = 1;
    }
  } else {
    writeFileSync(MIGRATIONS_FILE, fresh);
  }
}
