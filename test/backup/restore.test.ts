/** Restoring a file: what is refused leaves everything as it was; what is taken replaces the database whole. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { beforeEach, expect, test } from 'vitest';
import { hashSecret } from '../../src/api/secrets.ts';
import { restoreDatabase } from '../../src/main/restore.ts';
import { RESTORED } from '../../src/scheduler/reconcile.ts';
import { openBackups } from '../../src/store/backup.ts';
import { MIGRATIONS } from '../../src/store/migrations.gen.ts';
import { openNodeStore } from '../../src/store/node.ts';
import { event, job, jobId } from '../store/rows.ts';
import { fileOf, freshFolder, sha256 } from './files.ts';

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);
const open = (path: string, migrations = MIGRATIONS) => openNodeStore({ path, onFatal: (error) => expect.fail(error.message), migrations });
const meta = (path: string, key: string): unknown => {
  const client = new Database(path, { readonly: true });
  const value = client.prepare('select value from meta where key = ?').pluck().get(key);
  client.close();
  return value;
};

let folder: string;
let data: string;
let path: string;
let backup: string;

/** A data folder with a database that says `later`, and a backup of when it said `earlier`. */
beforeEach(async () => {
  folder = freshFolder();
  data = join(folder, 'data');
  mkdirSync(data);
  path = join(data, 'sealpool.sqlite');
  backup = join(folder, 'backup.sqlite');
  const store = open(path);
  await store.commit((tx) => {
    tx.setMeta('said', 'earlier');
    tx.insertJob(job(1));
    tx.insertJob(job(2, { state: 'Finished' }));
    tx.insertJoinToken({ hash: 'unused', trust: 'own', labels: [], expiresMs: NOW + 1e9, usedBy: null });
  });
  const backups = await openBackups({ source: store, folder: data, minFreeBytes: 0 });
  await fileOf(await backups.make(), backup);
  await store.commit((tx) => tx.setMeta('said', 'later'));
  store.close();
});

test('the backup takes the place of the database, which is kept; it is marked, of this version, and one file', async () => {
  const done = await restoreDatabase(backup, data, NOW);
  expect(done).toMatchObject({ database: path, kept: `${path}.before-restore-2026-01-02T03-04-05-000Z`, liveJobs: 1 });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(data).sort()).toEqual(
    ['admin.token', 'sealpool.sqlite', 'sealpool.sqlite.before-restore-2026-01-02T03-04-05-000Z', 'sealpool.sqlite.lock'].sort(),
  );
  expect([meta(path, 'said'), meta(path, RESTORED)]).toEqual(['earlier', String(NOW)]);
  expect(meta(done.kept as string, 'said')).toBe('later');
  // A join token that was not used at the backup may have been used since.
  const store = open(path);
  expect(await store.commit((tx) => tx.joinToken('unused')?.expiresMs)).toBe(0);
  store.close();
});

test('no number of an event that the lost database gave out is given to another one, whichever version made the backup', async () => {
  const old = join(folder, 'old');
  mkdirSync(old);
  const client = new Database(join(old, 'sealpool.sqlite'));
  client.exec('create table migrations (position integer primary key, name text not null)');
  for (const [at, { name, statements }] of MIGRATIONS.slice(0, 5).entries()) {
    for (const statement of statements) client.exec(statement);
    client.prepare('insert into migrations (position, name) values (?, ?)').run(at, name);
  }
  client.exec(
    "insert into jobs (id, plan, miner, state, generation, paused, retries, waiting_for, created_ms, updated_ms, data) values ('j-old00001', 'sealer', 't01000', 'Empty', 1, 0, 0, 'thread', 1, 1, '{}')",
  );
  client.exec(
    "insert into events (job, generation, at_ms, actor, kind, detail) values ('j-old00001', 1, 1, 'engine', 'note', '{}'), ('j-old00001', 1, 1, 'engine', 'note', '{}')",
  );
  client.close();
  await restoreDatabase(join(old, 'sealpool.sqlite'), data, NOW);
  const store = open(path);
  const { seq } = await store.commit((tx) => {
    tx.insertJob(job(5));
    return tx.appendEvent(event(5));
  });
  expect(seq).toBeGreaterThan(1_000_000);
  expect(await store.commit((tx) => tx.eventsAfter(0, 10).map((row) => [row.seq, row.miner]))).toEqual([
    [1, 't01000'],
    [2, 't01000'],
    [seq, 't01000'],
  ]);
  store.close();
});

test('one backup restored twice: no number of the history between is given to another event', async () => {
  const numbers: number[] = [];
  for (const nowMs of [NOW, NOW + 3_000]) {
    await restoreDatabase(backup, data, nowMs);
    const store = open(path);
    numbers.push(...(await store.commit((tx) => [5, 6].map((n) => (tx.insertJob(job(n)), tx.appendEvent(event(n)).seq)))));
    store.close();
  }
  expect(new Set(numbers).size).toBe(4);
  expect(numbers.every(Number.isSafeInteger)).toBe(true);
});

test('what the log of the old database holds is kept with it', async () => {
  const crashed = new Database(path);
  crashed.pragma('journal_mode = WAL');
  crashed.prepare("update meta set value = 'only in the log' where key = 'said'").run();
  // As after kill -9: the files as they are, the log not folded in.
  for (const end of ['', '-wal']) copyFileSync(path + end, join(folder, `copy${end}`));
  crashed.close();
  for (const end of ['', '-wal']) copyFileSync(join(folder, `copy${end}`), path + end);
  const { kept } = await restoreDatabase(backup, data, NOW);
  expect(meta(kept as string, 'said')).toBe('only in the log');
  expect(meta(path, 'said')).toBe('earlier');
});

test('a database that is broken itself makes way for the backup, kept as it is', async () => {
  writeFileSync(path, 'no database any more');
  writeFileSync(`${path}-wal`, 'nor a log');
  const { kept } = await restoreDatabase(backup, data, NOW);
  expect(meta(path, 'said')).toBe('earlier');
  expect([readFileSync(kept as string, 'utf8'), readFileSync(`${kept}-wal`, 'utf8')]).toEqual(['no database any more', 'nor a log']);
});

test('into an empty folder, with a new admin token that works; an old one that the backup knows stays', async () => {
  const empty = join(folder, 'empty');
  const done = await restoreDatabase(backup, empty, NOW);
  expect(done).toMatchObject({ kept: null, newAdminToken: join(empty, 'admin.token') });
  const secret = readFileSync(join(empty, 'admin.token'), 'utf8').trim();
  const store = open(join(empty, 'sealpool.sqlite'));
  expect(await store.commit((tx) => tx.apiTokenByHash(hashSecret(secret)))).toMatchObject({ role: 'admin', miners: null, revokedMs: null });
  store.close();
  const again = await restoreDatabase(join(empty, 'sealpool.sqlite'), join(empty, '../third'), NOW);
  expect(again.newAdminToken).not.toBeNull();
  copyFileSync(join(empty, 'admin.token'), join(folder, 'third', 'admin.token'));
  const known = await restoreDatabase(join(empty, 'sealpool.sqlite'), join(folder, 'third'), NOW + 1);
  expect(known.newAdminToken).toBeNull();
  expect(readFileSync(join(folder, 'third', 'admin.token'), 'utf8').trim()).toBe(secret);
});

const broken: [string, (file: string) => void, string][] = [
  ['is not there', () => undefined, 'cannot_read_backup'],
  ['is a folder', (file) => mkdirSync(file), 'cannot_read_backup'],
  ['is no database', (file) => writeFileSync(file, 'a letter to the miner, longer than a header '.repeat(50)), 'not_a_database'],
  ['is empty', (file) => writeFileSync(file, ''), 'foreign_database'],
  ['is cut off', (file) => cut(file), 'damaged_backup'],
  ['has a damaged page', (file) => scribble(file), 'damaged_backup'],
  ['has an index that tells another story than its table', (file) => contradict(file), 'damaged_backup'],
  ['is of another program', (file) => foreign(file), 'foreign_database'],
  ['is of a newer version', (file) => newer(file), 'newer_database'],
];

function cut(file: string): void {
  copyFileSync(backup, file);
  truncateSync(file, Math.floor(statSync(file).size / 2));
}

function scribble(file: string): void {
  const bytes = readFileSync(backup);
  // Not the first page, which holds the schema: an index or a table further on.
  for (let page = 5; page < bytes.length / 4096; page += 1) bytes.fill(0xff, page * 4096, page * 4096 + 200);
  writeFileSync(file, bytes);
}

function contradict(file: string): void {
  const bytes = readFileSync(backup);
  // The id stands in the table and in its index: one of the two now says something else, and every page can be read.
  const at = bytes.indexOf(jobId(1));
  bytes.write('j-other', at);
  writeFileSync(file, bytes);
}

function foreign(file: string): void {
  const client = new Database(file);
  client.exec('create table meta (key text, value text); create table bookmarks (url text)');
  client.close();
}

function newer(file: string): void {
  copyFileSync(backup, file);
  open(file, [...MIGRATIONS, { name: '9999_later', statements: ['create table later (x integer)'] }]).close();
}

test.each(broken)('a file that %s is refused, and nothing has changed', async (_what, make, code) => {
  const file = join(folder, 'given');
  make(file);
  const before = [sha256(path), readdirSync(data).sort()];
  await expect(restoreDatabase(file, data, NOW)).rejects.toMatchObject({ code });
  expect([sha256(path), readdirSync(data).sort()]).toEqual(before);
});

test('while a control plane runs on the folder it is refused with what to do', async () => {
  const running = open(path);
  await expect(restoreDatabase(backup, data, NOW)).rejects.toThrow(/another control plane is running on .*; stop it first/);
  running.close();
  expect(meta(path, 'said')).toBe('later');
  await restoreDatabase(backup, data, NOW);
});

test('the database itself is no backup of itself', async () => {
  await expect(restoreDatabase(path, data, NOW)).rejects.toMatchObject({ code: 'same_file' });
  expect(existsSync(path)).toBe(true);
});
