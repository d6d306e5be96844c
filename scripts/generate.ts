/** `npm run generate`: writes every generated file again. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MIGRATIONS_FILE, migrationsModule } from './generate-migrations.ts';
import { stateMachinesDocument } from './state-machines.ts';

const root = join(import.meta.dirname, '..');
mkdirSync(join(root, 'docs'), { recursive: true });
writeFileSync(join(root, 'docs/state-machines.md'), stateMachinesDocument());
console.log('docs/state-machines.md written');
writeFileSync(MIGRATIONS_FILE, migrationsModule());
console.log('src/store/migrations.gen.ts written');
