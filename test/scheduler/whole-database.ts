/** Everything the database of a test world holds, read by a connection of its own: what a refusal must leave as it was. */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { World } from './world.ts';

/** All rows of all tables as text, tables and rows in a fixed order. */
export function wholeDatabase(world: World): string {
  const client = new Database(join(world['folder'], 'sealpool.db'), { readonly: true });
  try {
    const tables = client.prepare("select name from sqlite_schema where type = 'table' order by name").all() as { name: string }[];
    return JSON.stringify(tables.map(({ name }) => [name, client.prepare(`select rowid, * from "${name}" order by rowid`).all()]));
  } finally {
    client.close();
  }
}
