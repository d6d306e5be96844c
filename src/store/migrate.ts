/** One small migrator for both engines: Drizzle's own differ per driver, and one hides its errors. */
import { sql } from 'drizzle-orm';
import { SealpoolError } from '../schema/problem.ts';
import type { Db } from './db.ts';
import { MIGRATIONS } from './migrations.gen.ts';

/** A file of `migrations/`, cut into statements. */
export type Migration = { readonly name: string; readonly statements: readonly string[] };

/**
 * Brings the database to `wanted`; call it inside a transaction, so that a failure leaves it as it was.
 * Answers how many files were applied. Throws `newer_database` when it was made by a newer version.
 */
export function migrate(db: Db, wanted: readonly Migration[] = MIGRATIONS): number {
  db.run(sql`create table if not exists migrations (position integer primary key, name text not null)`);
  const applied = db.all<{ name: string }>(sql`select name from migrations order by position`);
  for (const [at, { name }] of applied.entries()) {
    if (wanted[at]?.name === name) continue;
    throw new SealpoolError(
      'conflict',
      'newer_database',
      `the database has migration ${name}, which this version of Sealpool does not know: a newer version made it; start that version, or restore a copy from before the upgrade`,
    );
  }
  const missing = wanted.slice(applied.length);
  for (const [at, migration] of missing.entries()) {
    for (const statement of migration.statements) db.run(sql.raw(statement));
    db.run(sql`insert into migrations (position, name) values (${applied.length + at}, ${migration.name})`);
  }
  return missing.length;
}
