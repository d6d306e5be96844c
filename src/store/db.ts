/** The one database type that both Drizzle drivers have, and prepared statements over whole rows. */
import { sql, type InferInsertModel, type InferSelectModel, type Placeholder, type Table, getTableColumns } from 'drizzle-orm';
import type { BaseSQLiteDatabase, SQLiteColumn, SQLiteTable } from 'drizzle-orm/sqlite-core';
import type * as tables from './tables.ts';

/** better-sqlite3 and the Durable Object's SQLite under one synchronous type. */
export type Db = BaseSQLiteDatabase<'sync', unknown, typeof tables>;

/** A row as it is written: every column but the counter, nothing left to a default. */
export type Written<T extends Table> = Omit<InferSelectModel<T>, 'seq'>;

/**
 * A parameter of a prepared statement, for conditions and limits. The plus keeps SQLite from looking at its value:
 * built with STAT4, as better-sqlite3 is, it plans a statement anew each time a bare parameter in LIMIT, or one that it
 * compares under ORDER BY, is bound again, and that takes ten times as long as running it
 * (https://sqlite.org/c3ref/prepare.html).
 */
export function bound<Name extends string>(name: Name): Placeholder<Name> {
  return sql`+${sql.placeholder(name)}` as unknown as Placeholder<Name>;
}

/** A limit of one row, written out: as a number it would be a bare parameter. */
export const ONE = sql`1` as unknown as number;

function names(table: Table): string[] {
  return Object.keys(getTableColumns(table)).filter((name) => name !== 'seq');
}

/** Inserts one whole row; throws when a key or a unique index stands against it. */
export function prepareInsert<T extends SQLiteTable>(db: Db, table: T): (row: Written<T>) => void {
  const values = Object.fromEntries(names(table).map((name) => [name, sql.placeholder(name)]));
  const statement = db
    .insert(table)
    .values(values as unknown as InferInsertModel<T>)
    .prepare();
  return (row) => {
    statement.run(row);
  };
}

/**
 * Overwrites one whole row by its key column; throws when it is not there. Durable Objects do not say how
 * many rows an UPDATE met, so the key is returned and counted.
 */
export function prepareUpdate<T extends SQLiteTable>(db: Db, table: T, key: SQLiteColumn & { name: string }): (row: Written<T>) => void {
  const columns: Record<string, SQLiteColumn> = getTableColumns(table);
  const keyName = Object.keys(columns).find((name) => columns[name] === key) ?? key.name;
  const set = Object.fromEntries(
    names(table)
      .filter((name) => name !== keyName)
      .map((name) => [name, sql`${sql.placeholder(name)}`]),
  );
  const statement = db
    .update(table)
    .set(set as Parameters<ReturnType<Db['update']>['set']>[0])
    .where(sql`${key} = ${bound(keyName)}`)
    .returning({ key })
    .prepare();
  return (row) => {
    const met = statement.all(row).length;
    if (met !== 1) {
      throw new Error(`no row ${String((row as Record<string, unknown>)[keyName])} to update; insert it first`);
    }
  };
}
