/** Opening: upgrades, databases of newer versions, files that are none, a process that was replaced. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { MIGRATIONS_FILE, migrationsModule } from '../../scripts/generate-migrations.ts';
import { Guard } from '../../src/store/guard.ts';
import { MIGRATIONS } from '../../src/store/migrations.gen.ts';
import type { Migration } from '../../src/store/migrate.ts';
import { openNodeStore } from '../../src/store/node.ts';

const LATER: Migration = { name: '9999_later', statements: ['create table later (x integer)', 'alter table meta add note text'] };

function path(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sealpool-opening-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'a.db');
}

const fail = (error: Error): void => expect.fail(error.message);

test('the compiled-in SQL is what migrations/ says', () => {
  expect(readFileSync(MIGRATIONS_FILE, 'utf8')).toBe(migrationsModule());
});

test('an older database is brought forward with its rows; an older program then refuses it', async () => {
  const at = path();
  const old = openNodeStore({ path: at, onFatal: fail });
  await old.commit((tx) => tx.setMeta('kept', 'yes'));
  old.close();
  const newer = openNodeStore({ path: at, onFatal: fail, migrations: [...MIGRATIONS, LATER] });
  expect(await newer.commit((tx) => tx.meta('kept'))).toBe('yes');
  newer.close();
  expect(() => openNodeStore({ path: at, onFatal: fail })).toThrow(/migration 9999_later, which this version of Sealpool does not know/);
  // Refusing released the lock and changed nothing.
  openNodeStore({ path: at, onFatal: fail, migrations: [...MIGRATIONS, LATER] }).close();
});

test('a migration that fails leaves nothing of itself', () => {
  const at = path();
  const broken = { name: '9999_later', statements: ['create table half (x integer)', 'create table half (x integer)'] };
  expect(() => openNodeStore({ path: at, onFatal: fail, migrations: [...MIGRATIONS, broken] })).toThrow();
  openNodeStore({ path: at, onFatal: fail, migrations: [...MIGRATIONS, LATER] }).close();
});

test('a file that is no database, and a folder that is not there, are named', () => {
  const at = path();
  writeFileSync(at, 'no database at all, but long enough to have a header of its own'.repeat(50));
  expect(() => openNodeStore({ path: at, onFatal: fail })).toThrow(/a\.db is not a whole SQLite database; restore it/);
  expect(() => openNodeStore({ path: join(at, '../none/a.db'), onFatal: fail })).toThrow(/cannot be opened; make its folder/);
});

test('a process whose database was taken over writes nothing more and ends', async () => {
  const at = path();
  const fatal: string[] = [];
  const store = openNodeStore({ path: at, onFatal: (error) => fatal.push(error.message) });
  onTestFinished(() => store.close());
  await store.commit((tx) => tx.setMeta('mine', '1'));
  // As another machine would on a shared folder whose locks do not reach this one.
  const other = new Database(at);
  other.exec("update meta set value = value + 1 where key = 'fencing_epoch'");
  await expect(store.commit((tx) => tx.setMeta('mine', '2'))).rejects.toMatchObject({ status: 503 });
  await expect(store.commit((tx) => tx.setMeta('mine', '3'))).rejects.toMatchObject({ status: 503 });
  expect(fatal).toEqual([expect.stringContaining('another control plane took over')]);
  expect(other.prepare("select value from meta where key = 'mine'").pluck().get()).toBe('1');
  other.close();
});

test('requests queued at closing are committed, later ones refused', async () => {
  const at = path();
  const store = openNodeStore({ path: at, onFatal: fail });
  const queued = store.commit((tx) => tx.setMeta('queued', 'yes'));
  store.close();
  await queued;
  await expect(store.commit((tx) => tx.meta('queued'))).rejects.toMatchObject({ code: 'stopping', status: 503 });
});

test('101 bound values are refused here as on a Durable Object, 100 pass', () => {
  const guard = new Guard();
  guard.open = true;
  guard.logQuery(
    'select ?',
    Array.from({ length: 100 }, () => 1),
  );
  expect(() =>
    guard.logQuery(
      'select ?',
      Array.from({ length: 101 }, () => 1),
    ),
  ).toThrow(/101 values/);
});
